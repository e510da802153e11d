//! Waiting awake for an answer that is about to come: to fall asleep and wake up again takes a processor about a tenth of
//! the time that a small commit takes.

use std::pin::pin;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Waits that are alike: the last one tells whether it is worth its while to stay awake for the next one, so that a disk
/// that takes longer costs no processor time.
#[derive(Debug)]
pub(super) struct Awake {
    is_worth_it: bool,
    /// For longer than this nobody stays awake.
    moment: Duration,
    last: Duration,
}

impl Awake {
    /// Awake where this keeps no processor from the one that is waited for, and where whoever stays awake sees the answer
    /// himself: of several threads of the runtime, one that sleeps looks for answers and has to be woken all the same.
    pub(super) fn new() -> Self {
        let has_processor = available_parallelism().is_ok_and(|processors| processors.get() > 1);
        let is_worth_it = has_processor && Handle::current().metrics().num_workers() == 1;
        Self { is_worth_it, moment: Duration::from_micros(500), last: Duration::MAX }
    }

    /// Waits. Other tasks of the thread go on meanwhile.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut work = pin!(work);
        let is_quick = self.is_worth_it && self.last < self.moment;
        while is_quick && started.elapsed() < self.moment {
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

    /// Is there when it is looked at for the third time, and wakes nobody.
    async fn unannounced() {
        let mut looks = 0;
        let third = poll_fn(|_| {
            looks += 1;
            if looks < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        third.await;
    }

    async fn sees(awake: &mut Awake) -> bool {
        timeout(Duration::from_millis(50), awake.wait(unannounced())).await.is_ok()
    }

    #[tokio::test]
    async fn after_a_short_wait_one_stays_awake_and_after_a_long_one_sleeps() {
        let long = Duration::from_mins(1);
        let mut awake = Awake { is_worth_it: true, moment: long, last: Duration::MAX };
        assert!(!sees(&mut awake).await, "nothing has told how long it takes");
        awake.wait(async {}).await;
        assert!(sees(&mut awake).await);
        awake.moment = Duration::from_millis(1);
        awake.wait(sleep(awake.moment)).await;
        assert!(!sees(&mut awake).await);
        let mut alone = Awake { is_worth_it: false, moment: long, last: Duration::ZERO };
        assert!(!sees(&mut alone).await);
    }

    #[tokio::test]
    async fn one_falls_asleep_in_the_end_and_others_go_on_before() {
        let moment = Duration::from_millis(10);
        let mut awake = Awake { is_worth_it: true, moment, last: Duration::ZERO };
        let mut looks = 0;
        let never = poll_fn(|_| {
            looks += 1;
            Poll::<()>::Pending
        });
        let (waited, other) = tokio::join!(timeout(5 * moment, awake.wait(never)), timeout(moment, sleep(moment / 2)));
        assert!(waited.is_err() && other.is_ok());
        assert!(looks > 2, "it slept at once");
    }
}
