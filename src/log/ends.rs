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
