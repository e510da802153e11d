//! Hints that the log has grown, from the task that listens to NOTIFY to the tail reader.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event::Position;

/// The hints that the tail reader has not taken yet, merged into one.
#[derive(Debug, Default)]
pub(super) struct Hints {
    waiting: Mutex<Option<Hint>>,
    sent: Notify,
}

/// A hint that the log has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// The log has an event at this position.
    Through(Position),
    /// Hints may have been lost, so the log's end is unknown.
    Unknown,
}

impl Hints {
    /// Sends a hint. A hint that is still waiting is replaced by the one of the two that says more.
    pub(super) fn send(&self, hint: Hint) {
        let mut waiting = self.waiting.lock();
        *waiting = Some(match (*waiting, hint) {
            (Some(Hint::Through(one)), Hint::Through(other)) => Hint::Through(one.max(other)),
            (None, hint) => hint,
            (Some(Hint::Unknown), _) | (_, Hint::Unknown) => Hint::Unknown,
        });
        drop(waiting);
        self.sent.notify_one();
    }

    /// Waits until a hint was sent.
    pub(super) async fn received(&self) {
        self.sent.notified().await;
    }

    /// Takes the waiting hint.
    pub(super) fn take(&self) -> Hint {
        self.waiting.lock().take().unwrap_or(Hint::Through(Position::START))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_kept_until_it_is_taken_and_a_lost_one_wins() {
        let (hints, at) = (Hints::default(), |number| Hint::Through(Position::new(number)));
        for hint in [at(7), at(5)] {
            hints.send(hint);
        }
        assert_eq!(hints.take(), at(7));
        assert_eq!(hints.take(), at(0));
        for hint in [at(7), Hint::Unknown, at(9)] {
            hints.send(hint);
        }
        assert_eq!(hints.take(), Hint::Unknown);
    }
}
