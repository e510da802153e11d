//! Work that holds what others wait for, as a connection to the database. An operation's own task is not asked to go on
//! while its client takes nothing.

use std::panic::resume_unwind;

use tokio_util::task::AbortOnDropHandle;

/// Does something in a task of its own: it goes on whoever asks for it, and ends early when this is dropped.
pub(crate) fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    // At once: who waits is not as large as the work.
    let task = AbortOnDropHandle::new(tokio::spawn(work));
    async {
        match task.await {
            Ok(done) => done,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and whoever waits with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
