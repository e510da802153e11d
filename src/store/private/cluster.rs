//! One Postgres cluster in a data directory: made, started, stopped.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::PrivateError;
use super::account::Account;
use super::programs::Programs;

/// How long a Postgres may take to start (recovery after a crash included) or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster's directories and how its processes run.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    programs: Programs,
    account: Option<Account>,
    home: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    durable: bool,
}

impl Cluster {
    /// The cluster in a data directory; makes it where there is none. Without `durable` it does not wait for the
    /// disk: for tests.
    pub(super) fn open(directory: &Path, durable: bool) -> Result<Self, PrivateError> {
        let home = directory.join("postgres");
        let data = home.join("data");
        let cluster = Self {
            programs: Programs::find(&data)?,
            account: Account::needed()?,
            sockets: socket_directory(&home),
            home,
            data,
            durable,
        };
        cluster.make_directory(&cluster.home)?;
        cluster.make_directory(&cluster.sockets)?;
        if let Some(account) = cluster.account {
            account.reaches(&cluster.home)?;
        }
        cluster.stop_left_behind()?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.init()?;
        }
        Ok(cluster)
    }

    /// The URL of its database.
    pub(super) fn url(&self) -> String {
        url(&self.sockets)
    }

    /// Where it logs.
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("start.log")
    }

    /// Starts it and waits until it takes connections. The process ends with the thread that calls this.
    pub(super) fn start(&self) -> Result<Child, PrivateError> {
        self.stop_left_behind()?;
        let log = File::create(self.log()).map_err(PrivateError::io(&self.log()))?;
        let log_again = log.try_clone().map_err(PrivateError::io(&self.log()))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).stdin(Stdio::null()).stdout(log).stderr(log_again).process_group(0);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        end_with_parent(&mut command);
        let mut child = command.spawn().map_err(PrivateError::io(&self.programs.path("postgres")))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = child.try_wait() {
                let output = fs::read_to_string(self.log()).unwrap_or_default();
                return Err(PrivateError::Failed {
                    program: "postgres".to_owned(),
                    output: format!("{status}: {output}"),
                });
            }
            if self.is_ready(child.id()) {
                return Ok(child);
            }
            sleep(Duration::from_millis(10));
        }
        stop(&mut child);
        Err(PrivateError::NotReady(self.log()))
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", self.sockets.display()),
            "shared_buffers=256MB".to_owned(),
            "max_wal_size=2GB".to_owned(),
            "max_connections=200".to_owned(),
            "logging_collector=on".to_owned(),
            // A week of logs, over and over.
            "log_filename=postgres-%a.log".to_owned(),
            "log_truncate_on_rotation=on".to_owned(),
            "log_rotation_age=1d".to_owned(),
            "log_rotation_size=0".to_owned(),
        ];
        if !self.durable {
            settings.extend(["fsync=off", "full_page_writes=off", "shared_buffers=64MB"].map(str::to_owned));
        }
        settings
    }

    fn init(&self) -> Result<(), PrivateError> {
        // Made aside and moved into place, so that a half-made cluster is never taken for one.
        let fresh = self.home.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(PrivateError::io(&fresh))?;
        }
        let mut command = self.command("initdb");
        command.arg("-D").arg(&fresh).args(["-U", "sluice", "-A", "trust", "--locale=C", "-E", "UTF8"]);
        if !self.durable {
            command.arg("-N");
        }
        finish(&mut command, "initdb", "")?;
        let mut command = self.command("postgres");
        command.args(["--single", "-F", "-D"]).arg(&fresh).arg("postgres");
        finish(&mut command, "postgres --single", "CREATE DATABASE sluice;\n")?;
        fs::rename(&fresh, &self.data).map_err(PrivateError::io(&self.data))
    }

    /// Waits for a Postgres that a killed gateway left behind to stop, and tells it to.
    fn stop_left_behind(&self) -> Result<(), PrivateError> {
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        while let Some(pid) = self.running() {
            if !told {
                told = kill_process(pid, Signal::INT).is_ok();
            }
            if Instant::now() > deadline {
                return Err(PrivateError::NotReady(self.log()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The process that has the cluster.
    fn running(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid_file()?.lines().next()?.trim().parse().ok()?)?;
        let is_postgres = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()))
            .map_or(true, |name| name.trim() == "postgres");
        (test_kill_process(pid).is_ok() && is_postgres).then_some(pid)
    }

    fn is_ready(&self, pid: u32) -> bool {
        self.pid_file().is_some_and(|text| {
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
        })
    }

    fn pid_file(&self) -> Option<String> {
        fs::read_to_string(self.data.join("postmaster.pid")).ok()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        // A user who may not read the caller's directory could not start at all.
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGOPTIONS");
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    fn make_directory(&self, path: &Path) -> Result<(), PrivateError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(PrivateError::io(path))?;
        self.account.map_or(Ok(()), |account| account.give(path))
    }
}

/// The URL of the database behind a directory's socket.
fn url(sockets: &Path) -> String {
    let host = percent_encoding::utf8_percent_encode(&sockets.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
        .to_string();
    format!("postgres://sluice@{host}/sluice")
}

/// The URL of the cluster that runs in a data directory.
pub(super) fn url_of(directory: &Path) -> String {
    url(&socket_directory(&directory.join("postgres")))
}

/// Where the sockets are: beside the data, or, where that path is too long for a socket, under the system's own.
fn socket_directory(home: &Path) -> PathBuf {
    const LONGEST: usize = 107 - "/.s.PGSQL.5432".len();
    let beside = home.join("run");
    if beside.as_os_str().len() <= LONGEST {
        return beside;
    }
    let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, beside.as_os_str().as_encoded_bytes());
    PathBuf::from("/tmp").join(format!("sluice-{}", name.simple()))
}

fn finish(command: &mut Command, program: &str, input: &str) -> Result<(), PrivateError> {
    let failed = |output: String| PrivateError::Failed { program: program.to_owned(), output };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())) }
}

/// Stops a Postgres as its "fast" shutdown does, and waits for it.
pub(super) fn stop(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id())
        && let Some(pid) = Pid::from_raw(pid)
        && kill_process(pid, Signal::INT).is_ok()
        && child.wait().is_ok()
    {
        return;
    }
    _ = child.kill();
}

/// Has the kernel stop Postgres when the thread that starts it is gone, as after `kill -9` of the gateway.
#[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by nature; one system call is safe there")]
fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches no memory of the process.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::INT))?));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
