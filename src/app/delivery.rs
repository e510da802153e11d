//! Threads of their own for what subscribers are told: however many there are, hooks, queries and probes are answered.

use tokio::runtime::{Builder, Handle, Runtime};

/// The threads. They end when this is dropped, whatever they do then.
pub(super) struct Delivery {
    /// Where tasks are spawned.
    pub(super) handle: Handle,
    runtime: Option<Runtime>,
}

impl Delivery {
    /// As many as the runtime that starts them has: the system divides the processors among all who have something to
    /// do.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start() -> std::io::Result<Self> {
        let threads = Handle::current().metrics().num_workers();
        let runtime =
            Builder::new_multi_thread().worker_threads(threads).thread_name("delivery").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Where tasks run, nobody may wait for others.
            runtime.shutdown_background();
        }
    }
}
