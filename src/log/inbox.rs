//! What waits to be appended, and which writer takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// After how long a second writer takes whatever is there, so that nothing waits for long for one that is busy, as with a
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
            self.crowd.call.notify_one();
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
    /// Whether whoever takes everything cannot: it is busy for long, or at its end.
    is_left: AtomicBool,
    /// They are many, or left.
    call: Notify,
}

impl Inbox {
    /// The next request, as soon as it comes, and the turn to take more. None when the inbox is closed.
    pub(super) async fn next(&self) -> Option<(Waiting, Option<Turn<'_>>)> {
        let mut requests = self.requests.lock().await;
        let Some(first) = requests.recv().await else {
            // Who waits for a crowd ends, too, and needs the turn for that.
            drop(requests);
            self.leave();
            return None;
        };
        Some((self.taken(first), Some(Turn { inbox: self, requests })))
    }

    /// Does what keeps a writer from taking what comes. Where that takes long, the one that waits for a crowd takes it.
    pub(super) async fn while_away<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            match timeout(PATIENCE, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.leave(),
            }
        }
    }

    fn leave(&self) {
        self.crowd.is_left.store(true, Ordering::Release);
        self.crowd.call.notify_one();
    }

    /// The next request, as soon as there is a crowd, or one that the other writer has left, and the turn to take more. None
    /// when the inbox is closed.
    pub(super) async fn next_of_many(&self) -> Option<(Waiting, Option<Turn<'_>>)> {
        loop {
            let is_crowded = self.crowd.events.load(Ordering::Relaxed) >= CROWD;
            if !is_crowded && !self.crowd.is_left.swap(false, Ordering::AcqRel) {
                // Somebody may have taken them by then.
                self.crowd.call.notified().await;
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::{Instant, sleep};

    use super::super::writer::AppendRequest;
    use super::*;
    use crate::event::{IngestSource, Occurrence, ReceivedEvent};
    use crate::store::NewEvent;

    fn request() -> Waiting {
        request_of(0)
    }

    fn request_of(events: usize) -> Waiting {
        let event = || {
            let event = ReceivedEvent { occurrence: Occurrence::of_type("a.b"), raw: "{}".into() };
            NewEvent::new("acme".into(), event, None)
        };
        let events = (0..events).map(|_| event()).collect();
        let request = AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() };
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Waiting { request, cursor: None, reply: oneshot::channel().0, _room: room }
    }

    /// Counts how often a future is polled until a time has passed; the future must still be pending then.
    async fn polls_of(work: impl Future, time: Duration) -> usize {
        let (mut polls, mut work) = (0, pin!(work));
        let counted = poll_fn(|context| {
            polls += 1;
            work.as_mut().poll(context).map(drop)
        });
        assert!(timeout(time, counted).await.is_err(), "it is not pending");
        polls
    }

    #[tokio::test]
    async fn the_second_writer_sleeps_once_many_events_have_been_taken() {
        let (door, inbox) = open();
        for _ in 0..3 {
            door.hand_over(request_of(CROWD / 2)).await.unwrap();
        }
        let (_, turn) = inbox.next_of_many().now_or_never().expect("many events wait").unwrap();
        let mut turn = turn.unwrap();
        assert!(turn.take().is_some() && turn.take().is_some() && turn.take().is_none());
        drop(turn);
        // A notification of the crowd may still be stored, so the writer may look once more.
        assert!(polls_of(inbox.next_of_many(), PATIENCE / 2).await < 5);
        door.hand_over(request_of(CROWD - 1)).await.unwrap();
        assert!(inbox.next_of_many().now_or_never().is_none(), "these are too few");
        door.hand_over(request_of(1)).await.unwrap();
        assert!(inbox.next_of_many().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_a_busy_writer_leaves_another_takes_and_both_end_with_the_door() {
        let (door, inbox) = open();
        door.hand_over(request()).await.unwrap();
        assert!(inbox.next_of_many().now_or_never().is_none(), "one is no crowd");
        let started = Instant::now();
        tokio::select! {
            () = inbox.while_away(std::future::pending::<()>()) => {}
            next = inbox.next_of_many() => assert!(next.is_some()),
        }
        assert!(started.elapsed() >= PATIENCE);
        // Nothing comes, for which nobody wakes.
        let (other, ()) =
            tokio::join!(timeout(PATIENCE * 3, inbox.next_of_many()), inbox.while_away(sleep(PATIENCE / 2)),);
        assert!(other.is_err());
        // Nor does anybody look again and again when the busy writer is back before the other one comes.
        inbox.leave();
        let (back, polls) =
            tokio::join!(timeout(PATIENCE / 2, inbox.next()), polls_of(inbox.next_of_many(), PATIENCE / 2));
        assert!(back.is_err());
        assert!(polls < 10, "polled {polls} times");
        drop(door);
        let (one, other) = tokio::join!(inbox.next(), inbox.next_of_many());
        assert!(one.is_none() && other.is_none());
    }
}
