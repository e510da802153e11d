//! Permits to read large bodies, which bound the processors that they take from small requests.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The size in bytes from which a body is large. Reading a large body would hold up other requests of the same thread.
pub(super) const LARGE_BODY: usize = 512 << 10;

/// The permits to read large bodies: one for every two processors. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LargeBodies {
    permits: Arc<Semaphore>,
}

impl LargeBodies {
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new((processors / 2).max(1))) }
    }

    /// Waits for a permit and reads a body on a thread of its own. The read goes on to its end and holds the permit,
    /// even if the caller stops waiting.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let waiting = WaitingGauge::begin();
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        drop(waiting);
        let reading = spawn_blocking(move || {
            let read = work();
            drop(permit);
            read
        });
        match reading.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(read) => read,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime is shutting down, and this task will not be polled again.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}

/// Counts a body that waits for a permit in the metrics.
struct WaitingGauge;

impl WaitingGauge {
    fn begin() -> Self {
        metrics::gauge!("sluice_large_bodies_waiting").increment(1);
        Self
    }
}

impl Drop for WaitingGauge {
    fn drop(&mut self) {
        metrics::gauge!("sluice_large_bodies_waiting").decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_permit_is_held_until_a_body_is_read_also_where_nobody_waits_any_more() {
        let bodies = LargeBodies { permits: Arc::new(Semaphore::new(1)) };
        let (goes_on, may_go_on) = oneshot::channel();
        let mut first = Box::pin(bodies.read(move || may_go_on.blocking_recv()));
        assert!((&mut first).now_or_never().is_none());
        drop(first);
        let mut second = Box::pin(bodies.read(|| "second"));
        assert!((&mut second).now_or_never().is_none(), "the first one is still being read");
        goes_on.send(()).unwrap();
        assert_eq!(second.await, "second");
    }

    #[tokio::test]
    #[should_panic(expected = "a fault of the reader")]
    async fn a_panic_reaches_the_caller() {
        LargeBodies::new().read(|| panic!("a fault of the reader")).await;
    }
}
