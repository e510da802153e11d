//! What a listener has told the tail reader and the tail reader has not heard yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::Position;

/// Word from other gateways that the log has grown. Later word takes the place of earlier word.
#[derive(Debug, Default)]
pub(super) struct Hint {
    told: Mutex<Option<Told>>,
    more: Notify,
}

/// Through where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// At least through here.
    Through(Position),
    /// Nobody knows: word may have been lost.
    Anything,
}

impl Hint {
    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the reader.
    pub(super) fn tell(&self, told: Told) {
        let mut waiting = self.lock();
        *waiting = Some(match (*waiting, told) {
            (Some(Told::Through(one)), Told::Through(other)) => Told::Through(one.max(other)),
            (None, told) => told,
            (Some(Told::Anything), _) | (_, Told::Anything) => Told::Anything,
        });
        drop(waiting);
        self.more.notify_one();
    }

    /// Waits until something is told.
    pub(super) async fn told(&self) {
        self.more.notified().await;
    }

    /// What is told.
    pub(super) fn take(&self) -> Told {
        self.lock().take().unwrap_or(Told::Through(Position::START))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_kept_until_it_is_heard_and_lost_word_wins() {
        let (hint, at) = (Hint::default(), |number| Told::Through(Position::new(number)));
        for told in [at(7), at(5)] {
            hint.tell(told);
        }
        assert_eq!(hint.take(), at(7));
        assert_eq!(hint.take(), at(0));
        for told in [at(7), Told::Anything, at(9)] {
            hint.tell(told);
        }
        assert_eq!(hint.take(), Told::Anything);
    }
}
