//! The log's end, as far as this gateway's own appends move it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use crate::event::{Position, SyncEvent};
use crate::store::HeadTeller;

/// Events of one commit, in the order of the log.
pub type Commit = Arc<[Arc<SyncEvent>]>;

/// How many commits are kept for a reader that is late; what it misses, it reads from the store.
const COMMITS: usize = 256;

/// How long after an append other gateways are told that the log has grown. To tell them takes processors from this
/// gateway's own subscribers, who are told meanwhile.
const NOTIFY_DELAY: Duration = Duration::from_millis(2);

/// How long they are not told again after that.
const NOTIFY_PAUSE: Duration = Duration::from_millis(8);

/// Where the log ends, and what was last added to it. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    head: watch::Sender<Position>,
    commits: broadcast::Sender<Commit>,
}

impl Ends {
    pub(super) fn new(head: Position) -> Self {
        Self { head: watch::Sender::new(head), commits: broadcast::Sender::new(COMMITS) }
    }

    /// Hands on the events of a commit.
    pub(super) fn grow(&self, events: Vec<Arc<SyncEvent>>) {
        let Some(newest) = events.last().map(|event| event.position) else { return };
        self.head.send_if_modified(|head| std::mem::replace(head, newest.max(*head)) < newest);
        // Nobody may be listening.
        _ = self.commits.send(events.into());
    }

    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    pub(super) fn commits(&self) -> broadcast::Receiver<Commit> {
        self.commits.subscribe()
    }
}

/// Tells the other gateways about this one's appends. A hint: what gets lost, their polls find. Ends with the log.
pub(super) async fn tell_others(mut teller: HeadTeller, mut head: watch::Receiver<Position>) {
    while head.changed().await.is_ok() {
        sleep(NOTIFY_DELAY).await;
        let position = *head.borrow_and_update();
        if let Err(error) = teller.tell(position).await {
            tracing::debug!(%error, "could not tell other gateways that the log has grown");
        }
        sleep(NOTIFY_PAUSE).await;
    }
}
