//! The runtime of live delivery, whose threads are separate so that hooks, queries and probes are served however many
//! subscribers there are.

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of its own for live delivery. Its threads end when it is dropped, whatever they do then.
pub(super) struct DeliveryRuntime {
    /// The handle for spawning tasks.
    pub(super) handle: Handle,
    runtime: Option<Runtime>,
}

impl DeliveryRuntime {
    /// Starts as many threads as the current runtime has; the operating system divides the processors between both.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn start() -> std::io::Result<Self> {
        let threads = Handle::current().metrics().num_workers();
        let runtime =
            Builder::new_multi_thread().worker_threads(threads).thread_name("delivery").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for DeliveryRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A task may drop the runtime, and must not wait for its threads.
            runtime.shutdown_background();
        }
    }
}
