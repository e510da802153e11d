//! The log's end as far as this gateway's appends have moved it, and the notification of other gateways.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use crate::event::{Position, SyncEvent};
use crate::store::HeadNotifier;

/// The events of one commit, in the order of the log.
pub type Commit = Arc<[Arc<SyncEvent>]>;

/// The number of commits that are kept for a slow receiver. The receiver reads commits that it missed from the store.
const COMMITS: usize = 256;

/// The delay before other gateways are notified of an append. Notifying takes processor time, which goes to this
/// gateway's own subscribers first.
const NOTIFY_DELAY: Duration = Duration::from_millis(2);

/// The pause after a notification.
const NOTIFY_PAUSE: Duration = Duration::from_millis(8);

/// The log's end and its newest commits. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    head: watch::Sender<Position>,
    commits: broadcast::Sender<Commit>,
}

impl Ends {
    pub(super) fn new(head: Position) -> Self {
        Self { head: watch::Sender::new(head), commits: broadcast::Sender::new(COMMITS) }
    }

    /// Publishes the events of a commit.
    pub(super) fn grow(&self, events: Vec<Arc<SyncEvent>>) {
        let Some(newest) = events.last().map(|event| event.position) else { return };
        self.head.send_if_modified(|head| std::mem::replace(head, newest.max(*head)) < newest);
        // A send fails if nobody is subscribed.
        _ = self.commits.send(events.into());
    }

    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    pub(super) fn commits(&self) -> broadcast::Receiver<Commit> {
        self.commits.subscribe()
    }
}

/// Notifies other gateways of this one's appends, until the log is dropped. Lost notifications are harmless, since every
/// gateway polls too.
pub(super) async fn notify_gateways(mut notifier: HeadNotifier, mut head: watch::Receiver<Position>) {
    while head.changed().await.is_ok() {
        sleep(NOTIFY_DELAY).await;
        let position = *head.borrow_and_update();
        if let Err(error) = notifier.notify(position).await {
            tracing::debug!(%error, "could not notify other gateways of an append");
        }
        sleep(NOTIFY_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Details, IngestSource, Occurrence, Timestamp};

    fn commit(positions: std::ops::RangeInclusive<u128>) -> Vec<Arc<SyncEvent>> {
        let event = |position| SyncEvent {
            position: Position::new(position),
            org: "acme".into(),
            occurrence: Occurrence::of_type("a.b"),
            received_at: Timestamp::now(),
            first_source: IngestSource::EventHook,
            details: Details::NotRead,
        };
        positions.map(|position| Arc::new(event(position))).collect()
    }

    #[test]
    fn the_head_grows_and_each_commit_is_handed_on() {
        let ends = Ends::new(Position::new(4));
        let (mut head, mut commits) = (ends.head(), ends.commits());
        let mut grow = |positions| {
            ends.grow(commit(positions));
            let has_changed = head.has_changed().unwrap();
            let commit = commits.try_recv().ok().map(|commit| commit.len());
            (head.borrow_and_update().get(), has_changed, commit)
        };
        assert_eq!(grow(5..=7), (7, true, Some(3)));
        // Of two writers, the one that committed first may be the second to tell.
        assert_eq!(grow(9..=9), (9, true, Some(1)));
        assert_eq!(grow(8..=8), (9, false, Some(1)));
        // A commit in which nothing is new is none.
        ends.grow(Vec::new());
        assert!(head.borrow().get() == 9 && commits.try_recv().is_err());
    }
}
