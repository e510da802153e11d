//! Tasks for work that holds something that others wait for, such as a database connection. The task of a client's
//! operation is not polled while the client reads slowly, and would hold it for that long.

use std::panic::resume_unwind;

use tokio_util::task::AbortOnDropHandle;

/// Spawns work as a task that goes on whether or not the returned future is polled. Dropping that future aborts the task.
pub(crate) fn spawn_abort_on_drop<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    // Spawned here and not at the first poll, so that the returned future does not contain the whole work.
    let task = AbortOnDropHandle::new(tokio::spawn(work));
    async {
        match task.await {
            Ok(done) => done,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down, and the caller with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
