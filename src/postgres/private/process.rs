//! Control of PostgreSQL's processes: they are tied to the gateway's life, signalled, and stopped.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

/// Signals that stop a PostgreSQL, each with the time until the next one is sent: "fast" shutdown, "immediate" shutdown
/// (after which PostgreSQL recovers at its next start), and kill.
const SHUTDOWNS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_mins(1)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];

/// A process that another process started. Where the system has process handles, a signal reaches this process or none,
/// even when its id was reused.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    /// True if the gateway may signal the process: it runs as root or under the same user.
    pub(super) is_reachable: bool,
    #[cfg(target_os = "linux")]
    handle: Option<OwnedFd>,
}

impl Process {
    /// Returns the process with an id; None if it does not exist.
    pub(super) fn find(pid: Pid) -> Option<Self> {
        #[cfg(target_os = "linux")]
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok();
        let is_reachable = match test_kill_process(pid) {
            Ok(()) => true,
            Err(Errno::SRCH) => return None,
            Err(_) => false,
        };
        Some(Self {
            pid,
            is_reachable,
            #[cfg(target_os = "linux")]
            handle,
        })
    }

    /// Sends a signal to the process, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            match pidfd_send_signal(handle, signal) {
                // A kernel or a sandbox without this system call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                _ => return,
            }
        }
        _ = kill_process(self.pid, signal);
    }
}

/// Stops a PostgreSQL: sends the signals of `SHUTDOWNS` in turn until it has ended, for at most 80 seconds.
pub(super) fn shut_down(signal: impl Fn(Signal), mut has_ended: impl FnMut() -> bool) {
    for (step, patience) in SHUTDOWNS {
        if step != Signal::INT {
            let signal = if step == Signal::QUIT { "SIGQUIT" } else { "SIGKILL" };
            tracing::warn!(signal, "the private PostgreSQL takes too long to stop");
        }
        signal(step);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if has_ended() {
                return;
            }
            sleep(Duration::from_millis(5));
        }
    }
    tracing::error!("the private PostgreSQL did not stop");
}

/// Stops a PostgreSQL that this process started.
pub(super) fn stop(child: &mut Child) {
    let pid = pid_of(child);
    // The process id stays the child's until the child is waited for, which only `try_wait` does here.
    shut_down(|signal| _ = pid.map(|pid| kill_process(pid, signal)), || !matches!(child.try_wait(), Ok(None)));
}

/// Returns the process id of a child.
pub(super) fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Makes the kernel interrupt a program when the thread that started it ends, as after `kill -9` of the gateway. Works
/// on Linux only.
#[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by nature; one system call is safe there")]
pub(super) fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches no memory of the process.
    unsafe {
        use std::os::unix::process::CommandExt as _;
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::INT))?));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
