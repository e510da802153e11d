//! What waits to be appended, and which writer takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Mutex, MutexGuard, Notify, mpsc};
use tokio::time::timeout;

use super::writer::{AppendError, Waiting};

/// How many requests wait inside; more wait at the door.
const REQUESTS: usize = 4096;

/// From how many waiting events on a second append is worth its while: the database prepares it while another one holds
/// the log's head. With fewer, one append that takes them all costs less than two that take turns.
const CROWD: usize = 256;

/// How often a second writer takes whatever is there, so that nothing waits for long for one that is busy, as with a
/// connection that does not answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Makes an inbox, which is closed when every door to it is gone.
pub(super) fn open() -> (Door, Inbox) {
    let (sender, receiver) = mpsc::channel(REQUESTS);
    let crowd = Arc::new(Crowd::default());
    (Door { requests: sender, crowd: Arc::clone(&crowd) }, Inbox { requests: Mutex::new(receiver), crowd })
}

/// Where requests come in. Clones lead to the same inbox.
#[derive(Clone, Debug)]
pub(super) struct Door {
    requests: mpsc::Sender<Waiting>,
    crowd: Arc<Crowd>,
}

impl Door {
    /// Hands over a request, when there is room for it.
    pub(super) async fn hand_over(&self, waiting: Waiting) -> Result<(), AppendError> {
        let events = waiting.request.events.len();
        let place = self.requests.reserve().await.map_err(|_| AppendError::Closed)?;
        let waiting_events = self.crowd.events.fetch_add(events, Ordering::Relaxed) + events;
        place.send(waiting);
        if waiting_events >= CROWD {
            self.crowd.grown.notify_one();
        }
        Ok(())
    }
}

/// The requests that wait, in the order in which they came.
pub(super) struct Inbox {
    requests: Mutex<mpsc::Receiver<Waiting>>,
    crowd: Arc<Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    /// Events that wait.
    events: AtomicUsize,
    /// They are many.
    grown: Notify,
}

impl Inbox {
    /// The next request, as soon as it comes, and the turn to take more. None when the inbox is closed.
    pub(super) async fn next(&self) -> Option<(Waiting, Option<Turn<'_>>)> {
        let mut requests = self.requests.lock().await;
        let first = requests.recv().await?;
        Some((self.taken(first), Some(Turn { inbox: self, requests })))
    }

    /// The next request, as soon as there is a crowd, or whatever is there every now and then, and the turn to take more.
    /// None when the inbox is closed.
    pub(super) async fn next_of_many(&self) -> Option<(Waiting, Option<Turn<'_>>)> {
        loop {
            let is_crowded = self.crowd.events.load(Ordering::Relaxed) >= CROWD;
            if !is_crowded && timeout(PATIENCE, self.crowd.grown.notified()).await.is_ok() {
                // Somebody may have taken them before.
                continue;
            }
            let Some(mut turn) = self.turn() else {
                // Another writer is about to take what is there.
                tokio::task::yield_now().await;
                continue;
            };
            match turn.requests.try_recv() {
                Ok(first) => return Some((self.taken(first), Some(turn))),
                Err(TryRecvError::Disconnected) => return None,
                // It has just been counted and is about to come.
                Err(TryRecvError::Empty) => drop(turn),
            }
            tokio::task::yield_now().await;
        }
    }

    /// The turn to take what is there, unless another writer has it.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        self.requests.try_lock().ok().map(|requests| Turn { inbox: self, requests })
    }

    fn taken(&self, waiting: Waiting) -> Waiting {
        self.crowd.events.fetch_sub(waiting.request.events.len(), Ordering::Relaxed);
        waiting
    }
}

/// The turn to take what waits.
pub(super) struct Turn<'a> {
    inbox: &'a Inbox,
    requests: MutexGuard<'a, mpsc::Receiver<Waiting>>,
}

impl Turn<'_> {
    /// The next request, if there is one.
    pub(super) fn take(&mut self) -> Option<Waiting> {
        self.requests.try_recv().ok().map(|waiting| self.inbox.taken(waiting))
    }
}
