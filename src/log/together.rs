//! A question that many have at the same moment is asked once for all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::store::StoreError;

/// A question to the store, and its last answer.
#[derive(Debug)]
pub(super) struct Together<T> {
    /// How often it was asked.
    asked: AtomicU64,
    last: Mutex<Option<Answered<T>>>,
}

#[derive(Debug)]
struct Answered<T> {
    /// How often it had been asked then.
    number: u64,
    /// None where that failed.
    answer: Option<T>,
}

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<T: Clone> Together<T> {
    /// An answer that nobody had asked for before this was called: whoever waits gets the same as the others who do. Is not
    /// to be left waiting, as they wait for it.
    ///
    /// # Errors
    /// The database's; none of its own words where another asked.
    pub(super) async fn ask(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let before = self.asked.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some(Answered { number, answer }) = &*last
            && *number > before
        {
            return answer.clone().ok_or(StoreError::NoAnswer);
        }
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let answered = ask.await;
        *last = Some(Answered { number, answer: answered.as_ref().ok().cloned() });
        answered
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_gets_one_answer_that_is_newer_than_the_question() {
        let (together, begun) = (Together::default(), AtomicU64::new(0));
        let slow = || async {
            let number = begun.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(Duration::from_millis(10)).await;
            if number == 4 { Err(StoreError::CursorMoved) } else { Ok(number) }
        };
        let ten = async || join_all((0..10).map(|_| together.ask(slow()))).await;
        // The first has begun when the others come, for whom its answer may be out of date.
        let told: Vec<_> = ten().await.into_iter().map(Result::unwrap).collect();
        assert_eq!(told, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
        let told = ten().await;
        assert!(matches!(told[..2], [Ok(3), Err(StoreError::CursorMoved)]), "{told:?}");
        assert!(told[2..].iter().all(|answer| matches!(answer, Err(StoreError::NoAnswer))), "{told:?}");
        // What failed is asked again.
        assert!(matches!(together.ask(slow()).await, Ok(5)));
    }
}
