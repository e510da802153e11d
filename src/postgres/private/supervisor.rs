//! The supervisor of a private PostgreSQL, which starts it again when it ends unexpectedly.

use std::path::Path;
use std::process::Child;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio_util::sync::CancellationToken;

use super::cluster::{self, Cluster};
use super::process::{pid_of, shut_down, stop};
use super::{DataDirLock, PrivateError};
use crate::backoff::Backoff;

/// Pauses before a PostgreSQL that ended is started again: the first one, and the longest one after failed starts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A running private PostgreSQL. It is stopped when this is dropped, or when the process ends, even by a crash.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    state: Arc<SupervisorState>,
    keeper: Option<JoinHandle<()>>,
    /// Keeps other gateways from the data directory.
    _lock: DataDirLock,
}

#[derive(Debug, Default)]
struct SupervisorState {
    /// Token that is cancelled when the `PrivatePostgres` is dropped.
    stopping: CancellationToken,
    running: Mutex<RunningPostgres>,
}

#[derive(Debug, Default)]
struct RunningPostgres {
    /// Id of the main process; None as soon as another process could have the same id.
    pid: Option<Pid>,
    /// Identity of the data directory at the latest start.
    identity: String,
}

impl PrivatePostgres {
    /// Starts the PostgreSQL of a data directory, and creates its cluster if there is none. Without `durable`, which is for
    /// tests, commits do not wait for the disk.
    ///
    /// # Errors
    /// See [`PrivateError`].
    pub fn start(lock: DataDirLock, durable: bool) -> Result<Self, PrivateError> {
        Self::start_unless(lock, durable, CancellationToken::new())
    }

    /// Starts the PostgreSQL as [`PrivatePostgres::start`] does, unless `cancelled` is cancelled before it accepts
    /// connections, which may take long after a crash. A later cancellation has no effect.
    ///
    /// # Errors
    /// See [`PrivateError`].
    pub fn start_unless(lock: DataDirLock, durable: bool, cancelled: CancellationToken) -> Result<Self, PrivateError> {
        let cluster = Cluster::open(lock.directory(), durable, &cancelled)?;
        let url = cluster.url();
        let state = Arc::new(SupervisorState::default());
        let (started, wait_for_start) = mpsc::channel();
        // The kernel ends PostgreSQL with the thread that started it, so this thread lives as long as PostgreSQL.
        let keeper = thread::Builder::new()
            .name("private-postgres".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || keep(&cluster, &state, cancelled, &started)
            })
            .map_err(PrivateError::io(lock.directory()))?;
        wait_for_start.recv().unwrap_or(Err(PrivateError::Cancelled))?;
        Ok(Self { url, state, keeper: Some(keeper), _lock: lock })
    }

    /// Returns true if a data directory has a cluster.
    pub fn exists(directory: &Path) -> bool {
        cluster::exists(directory)
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of the database that another process runs in this data directory.
    pub fn url_of_running(directory: &Path) -> String {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        cluster::url_of(&directory)
    }

    /// Returns the identity of the data directory at the latest start of PostgreSQL, as a short text. A restart or a
    /// `mv` keeps the identity; a copy of the directory has another one, even in the place of the original.
    pub fn identity(&self) -> String {
        self.state.running().identity.clone()
    }

    /// Returns the identity of a data directory whose PostgreSQL another process runs: the value of
    /// [`PrivatePostgres::identity`] there.
    ///
    /// # Errors
    /// The directory has no cluster, or cannot be read.
    pub fn identity_of(directory: &Path) -> Result<String, PrivateError> {
        cluster::identity_of(directory)
    }

    /// Returns the id of the main process; None while it is being started again.
    pub fn process_id(&self) -> Option<u32> {
        self.state.running().pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }
}

impl SupervisorState {
    fn running(&self) -> MutexGuard<'_, RunningPostgres> {
        self.running.lock()
    }

    /// Sends a signal to the main process, if it is running.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.running().pid {
            _ = kill_process(pid, signal);
        }
    }

    /// Waits until a process has ended. Returns true if PostgreSQL must be started again.
    fn wait_until_gone(&self, mut child: Child) -> bool {
        // A stop that was requested before the process id was known could not signal the process.
        if self.stopping.is_cancelled() {
            self.running().pid = None;
            stop(&mut child);
        } else if let Some(pid) = pid_of(&child) {
            // The process keeps its id until `wait` below, so that no signal reaches another process.
            while matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT), Err(Errno::INTR)) {}
        }
        let mut running = self.running();
        running.pid = None;
        _ = child.wait();
        !self.stopping.is_cancelled()
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.state.stopping.cancel();
        let Some(keeper) = self.keeper.take() else { return };
        shut_down(|signal| self.state.signal(signal), || keeper.is_finished());
        if keeper.is_finished() {
            _ = keeper.join();
        }
    }
}

fn keep(
    cluster: &Cluster,
    state: &SupervisorState,
    mut cancelled: CancellationToken,
    started: &mpsc::Sender<Result<(), PrivateError>>,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut ever_started = false;
    loop {
        match cluster.start(&cancelled) {
            Ok(running) => {
                backoff.reset();
                *state.running() = RunningPostgres { pid: pid_of(&running.child), identity: running.identity };
                if !ever_started {
                    ever_started = started.send(Ok(())).is_ok();
                    cancelled = state.stopping.clone();
                }
                if !state.wait_until_gone(running.child) {
                    return;
                }
                metrics::counter!("sluice_private_postgres_ended_total").increment(1);
                tracing::error!("the private PostgreSQL ended; starting it again");
            }
            Err(PrivateError::Cancelled) if ever_started => return,
            Err(error) if ever_started => {
                metrics::counter!("sluice_private_postgres_start_failures_total").increment(1);
                tracing::error!(%error, "the private PostgreSQL does not start; trying again");
            }
            Err(error) => {
                _ = started.send(Err(error));
                return;
            }
        }
        let deadline = Instant::now() + backoff.pause();
        while Instant::now() < deadline {
            if state.stopping.is_cancelled() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
