//! Single-flight: callers that ask the store the same question at the same moment share one answer.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::store::StoreError;

/// A read of the store, with its last result.
#[derive(Debug)]
pub(super) struct SingleFlight<T> {
    /// The number of reads that have begun.
    asked: AtomicU64,
    /// The last result. The caller that reads holds the lock, and the others wait for it.
    last: Mutex<Option<SharedAnswer<T>>>,
}

#[derive(Debug)]
struct SharedAnswer<T> {
    /// The number of the read, counted from 1.
    number: u64,
    /// None if the store failed.
    answer: Option<T>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Returns the result of a read that began after this call, whether this caller or another one reads. The future
    /// must be polled to its end or dropped, since other callers wait for it.
    ///
    /// # Errors
    /// The error of `ask`; [`StoreError::NoAnswer`] if another caller asked and the store failed.
    pub(super) async fn ask(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let asked_before = self.asked.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some(SharedAnswer { number, answer }) = &*last
            && *number > asked_before
        {
            return answer.clone().ok_or(StoreError::NoAnswer);
        }
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let result = ask.await;
        *last = Some(SharedAnswer { number, answer: result.as_ref().ok().cloned() });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn callers_at_the_same_moment_share_an_answer_that_is_newer_than_their_question() {
        let (flight, begun) = (SingleFlight::default(), AtomicU64::new(0));
        let slow = || async {
            let number = begun.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(Duration::from_millis(10)).await;
            if number == 4 { Err(StoreError::CursorMoved) } else { Ok(number) }
        };
        let ten = async || join_all((0..10).map(|_| flight.ask(slow()))).await;
        // The first read began before the other callers came, so its result may be out of date for them.
        let answers: Vec<_> = ten().await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
        let answers = ten().await;
        assert!(matches!(answers[..2], [Ok(3), Err(StoreError::CursorMoved)]), "{answers:?}");
        assert!(answers[2..].iter().all(|answer| matches!(answer, Err(StoreError::NoAnswer))), "{answers:?}");
        // After a failure the store is read again.
        assert!(matches!(flight.ask(slow()).await, Ok(5)));
    }
}
