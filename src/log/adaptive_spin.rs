//! An adaptive spin wait for a response that is about to arrive. Sleeping and waking take about a tenth of the time of
//! a small commit.

use std::pin::pin;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::Instant;

/// An adaptive spin wait. It spins only if the last wait was short, so that slow disks cost no processor time.
#[derive(Debug)]
pub(super) struct AdaptiveSpin {
    is_useful: bool,
    /// The maximum time for which a wait spins.
    spin_time: Duration,
    last: Duration,
}

impl AdaptiveSpin {
    /// Creates a spin wait, which is active if the machine has several processors and the runtime has one thread. With
    /// several threads, a sleeping one would poll for the response, and would have to be woken anyway.
    pub(super) fn new() -> Self {
        let has_processor = available_parallelism().is_ok_and(|processors| processors.get() > 1);
        let is_useful = has_processor && Handle::current().metrics().num_workers() == 1;
        Self { is_useful, spin_time: Duration::from_micros(500), last: Duration::MAX }
    }

    /// Waits for work. Other tasks of the thread run in the meantime.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut work = pin!(work);
        let spins = self.is_useful && self.last < self.spin_time;
        while spins && started.elapsed() < self.spin_time {
            tokio::select! {
                biased;
                value = &mut work => {
                    self.last = started.elapsed();
                    return value;
                }
                () = yield_now() => {}
            }
        }
        let value = work.await;
        self.last = started.elapsed();
        value
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Completes when it is polled for the third time, without waking its task.
    async fn third_poll() {
        let mut polls = 0;
        let third = poll_fn(|_| {
            polls += 1;
            if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        third.await;
    }

    async fn spins(spin: &mut AdaptiveSpin) -> bool {
        timeout(Duration::from_millis(50), spin.wait(third_poll())).await.is_ok()
    }

    #[tokio::test]
    async fn a_wait_spins_after_a_short_one_and_sleeps_after_a_long_one() {
        let long = Duration::from_mins(1);
        let mut spin = AdaptiveSpin { is_useful: true, spin_time: long, last: Duration::MAX };
        assert!(!spins(&mut spin).await, "no wait was short yet");
        spin.wait(async {}).await;
        assert!(spins(&mut spin).await);
        spin.spin_time = Duration::from_millis(1);
        spin.wait(sleep(spin.spin_time)).await;
        assert!(!spins(&mut spin).await);
        let mut useless = AdaptiveSpin { is_useful: false, spin_time: long, last: Duration::ZERO };
        assert!(!spins(&mut useless).await);
    }

    #[tokio::test]
    async fn a_long_wait_stops_spinning_and_other_tasks_run_meanwhile() {
        let spin_time = Duration::from_millis(10);
        let mut spin = AdaptiveSpin { is_useful: true, spin_time, last: Duration::ZERO };
        let mut polls = 0;
        let never = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        let (waited, other) =
            tokio::join!(timeout(5 * spin_time, spin.wait(never)), timeout(spin_time, sleep(spin_time / 2)));
        assert!(waited.is_err() && other.is_ok());
        assert!(polls > 2, "it did not spin");
    }
}
