//! Keeps a private Postgres running as long as somebody wants it.

use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::{self, Cluster};
use super::{DataDirLock, PrivateError};

/// A running private Postgres. Stopped when this is dropped, and with the process however that ends.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    state: Arc<Mutex<State>>,
    keeper: Option<JoinHandle<()>>,
    /// Nobody else has the data directory while it runs.
    _lock: DataDirLock,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    pid: Option<Pid>,
}

impl PrivatePostgres {
    /// Starts the Postgres of a data directory; makes its cluster where there is none. It is started again when it
    /// dies. Without `durable` it does not wait for the disk: for tests.
    ///
    /// # Errors
    /// See [`PrivateError`].
    pub fn start(lock: DataDirLock, durable: bool) -> Result<Self, PrivateError> {
        let cluster = Cluster::open(lock.directory(), durable)?;
        let url = cluster.url();
        let state = Arc::new(Mutex::new(State::default()));
        let (started, wait_for_start) = mpsc::channel();
        // A thread of its own, as the kernel ties Postgres's life to the thread that started it.
        let keeper = thread::Builder::new()
            .name("private-postgres".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || keep(&cluster, &state, &started)
            })
            .map_err(PrivateError::io(lock.directory()))?;
        wait_for_start.recv().unwrap_or_else(|_| Err(PrivateError::NotReady(lock.directory().to_owned())))?;
        Ok(Self { url, state, keeper: Some(keeper), _lock: lock })
    }

    /// The URL of its database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the database that another process keeps running in this data directory.
    pub fn url_of_running(directory: &Path) -> String {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        cluster::url_of(&directory)
    }

    /// The process id of its main process; None while it is being started again.
    pub fn process_id(&self) -> Option<u32> {
        locked(&self.state).pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        {
            let mut state = locked(&self.state);
            state.stopping = true;
            if let Some(pid) = state.pid {
                _ = kill_process(pid, Signal::INT);
            }
        }
        if let Some(keeper) = self.keeper.take() {
            _ = keeper.join();
        }
    }
}

fn locked(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(cluster: &Cluster, state: &Mutex<State>, started: &mpsc::Sender<Result<(), PrivateError>>) {
    let mut pause = Duration::from_millis(50);
    let mut ever_started = false;
    loop {
        match cluster.start() {
            Ok(child) => {
                pause = Duration::from_millis(50);
                if !ever_started {
                    ever_started = started.send(Ok(())).is_ok();
                }
                if !wait_until_gone(child, state) {
                    return;
                }
                tracing::error!("the private PostgreSQL ended; starting it again");
            }
            Err(error) if ever_started => {
                tracing::error!(%error, "the private PostgreSQL does not start; trying again");
            }
            Err(error) => {
                _ = started.send(Err(error));
                return;
            }
        }
        if locked(state).stopping {
            return;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Waits for the process; gives whether it is to be started again.
fn wait_until_gone(mut child: Child, state: &Mutex<State>) -> bool {
    {
        let mut state = locked(state);
        if state.stopping {
            cluster::stop(&mut child);
            return false;
        }
        state.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    }
    _ = child.wait();
    let mut state = locked(state);
    state.pid = None;
    !state.stopping
}
