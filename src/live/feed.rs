//! A feed: what all subscribers get that want the same. An event is told once and then handed on as it is.

pub(super) mod router;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::OnceCell;

use super::push::parked::Seat;
use super::push::parked_queue::Seats;
use crate::event::{Filter, Position, SyncEvent, Timestamp};

/// How many events are handed out at once.
pub(super) const BATCH: usize = 64;

/// How many bytes of them, if it is more than one: others have their turn then.
const BATCH_BYTES: usize = 64 << 10;

/// What a feed is: which events, and how each of them is told.
#[derive(Clone)]
pub struct FeedRequest {
    /// The same text for whoever wants the same events told the same way. Once readers differ in what they may see, that
    /// is part of it.
    pub key: String,
    /// Which events.
    pub filter: Filter,
    /// How an event is told.
    pub teller: Teller,
    /// Whether that needs the events as Okta sent them.
    pub with_details: bool,
}

/// How an event is told.
#[derive(Clone)]
pub enum Teller {
    /// From the event alone, when it comes.
    AtOnce(TellAtOnce),
    /// With what else must be read, when the first subscriber asks for it.
    OnDemand(TellOnDemand),
}

/// Tells an event from what it holds.
pub type TellAtOnce = Arc<dyn Fn(&SyncEvent) -> Arc<str> + Send + Sync>;

/// Tells an event with what else must be read.
pub type TellOnDemand = Arc<dyn Fn(Arc<SyncEvent>) -> BoxFuture<'static, Told> + Send + Sync>;

impl fmt::Debug for FeedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FeedRequest").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An event as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its place in the log.
    pub position: Position,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// What is told of it.
    pub text: Arc<str>,
    /// What went wrong, if anything did: then nothing is told after it.
    pub errors: Option<Arc<str>>,
}

/// An event of a feed: told, or still to be told.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Told(Told),
    Untold(Arc<Untold>),
}

/// An event that the first subscriber who asks for it has told for all.
pub(super) struct Untold {
    event: Arc<SyncEvent>,
    tell: TellOnDemand,
    told: OnceCell<Told>,
}

impl fmt::Debug for Untold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Untold").field("position", &self.event.position).finish_non_exhaustive()
    }
}

impl Untold {
    /// What is told. What went wrong is not kept: who comes back for the event has it told anew.
    async fn told(&self) -> Told {
        let told = self.told.get_or_try_init(|| async {
            let told = (self.tell)(Arc::clone(&self.event)).await;
            if told.errors.is_none() { Ok(told) } else { Err(told) }
        });
        told.await.map_or_else(|failed| failed, Told::clone)
    }
}

impl Entry {
    /// An event for those who are told so.
    pub(super) fn new(teller: &Teller, event: &Arc<SyncEvent>) -> Self {
        match teller {
            Teller::AtOnce(tell) => {
                let (position, stored_at) = (event.position, event.received_at);
                Self::Told(Told { position, stored_at, text: tell(event), errors: None })
            }
            Teller::OnDemand(tell) => {
                let (event, tell) = (Arc::clone(event), Arc::clone(tell));
                Self::Untold(Arc::new(Untold { event, tell, told: OnceCell::new() }))
            }
        }
    }

    pub(super) fn position(&self) -> Position {
        match self {
            Self::Told(told) => told.position,
            Self::Untold(untold) => untold.event.position,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Told(told) => told.text.len(),
            Self::Untold(untold) => untold.event.size(),
        }
    }

    /// How many of the first are handed out at once, at least one.
    pub(super) fn fitting<'e>(entries: impl Iterator<Item = &'e Self>) -> usize {
        let mut bytes = 0;
        let fits = |entry: &&Self| {
            bytes += entry.size();
            bytes <= BATCH_BYTES
        };
        entries.take(BATCH).take_while(fits).count().max(1)
    }

    /// What is told, where nothing is still to be told.
    pub(super) fn all_told(entries: Vec<Self>) -> Result<Vec<Told>, Vec<Self>> {
        if entries.iter().any(|entry| matches!(entry, Self::Untold(_))) {
            return Err(entries);
        }
        let told = entries.into_iter().filter_map(|entry| match entry {
            Self::Told(told) => Some(told),
            Self::Untold(_) => None,
        });
        Ok(told.collect())
    }

    /// Tells what is still to be told, several at once, so that what they need is read together.
    pub(super) async fn tell_all(entries: Vec<Self>) -> Vec<Told> {
        const AT_ONCE: usize = 32;

        let untold = entries.iter().filter_map(|entry| match entry {
            Self::Told(_) => None,
            Self::Untold(untold) => Some(Arc::clone(untold)),
        });
        stream::iter(untold).for_each_concurrent(AT_ONCE, |untold| async move { drop(untold.told().await) }).await;
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            all.push(match entry {
                Self::Told(told) => told,
                Self::Untold(untold) => untold.told().await,
            });
        }
        all
    }
}

/// The newest events of a feed, told.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) number: u64,
    pub(super) request: FeedRequest,
    /// How many subscribers it has; changes under the router's lock only.
    pub(super) members: AtomicUsize,
    tail: Mutex<Tail>,
    /// Where its subscribers wait.
    seats: Mutex<Seats>,
}

#[derive(Debug)]
struct Tail {
    /// Every event after this that matches is here.
    start: Position,
    entries: VecDeque<Entry>,
}

impl Feed {
    pub(super) fn new(number: u64, request: FeedRequest, start: Position) -> Self {
        let tail = Mutex::new(Tail { start, entries: VecDeque::new() });
        Self { number, request, members: AtomicUsize::new(0), tail, seats: Mutex::default() }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event, where it matches. Gives how many bytes that takes.
    pub(super) fn offer(&self, event: &Arc<SyncEvent>) -> Option<usize> {
        if !self.request.filter.matches(event) {
            return None;
        }
        let entry = Entry::new(&self.request.teller, event);
        let bytes = entry.size();
        self.tail().entries.push_back(entry);
        Some(bytes)
    }

    /// Lets go of what is oldest.
    pub(super) fn forget_oldest(&self) {
        let mut tail = self.tail();
        if let Some(oldest) = tail.entries.pop_front() {
            tail.start = oldest.position();
        }
    }

    /// Starts anew after a position.
    pub(super) fn reset(&self, start: Position) {
        *self.tail() = Tail { start, entries: VecDeque::new() };
    }

    /// Gives a subscriber its seat; gives the seat's number.
    pub(super) fn take_seat(&self, seat: Arc<Seat>) -> u64 {
        self.seats().add(seat)
    }

    /// Takes a seat back.
    pub(super) fn give_seat_back(&self, number: u64) {
        self.seats().remove(number);
    }

    /// There is something new for all who wait. Gives whether somebody has to begin to visit them.
    pub(super) fn make_due(&self) -> bool {
        self.seats().make_due()
    }

    /// The next seats that are to be visited; gives whether there are more.
    pub(super) fn next_seats(&self, most: usize, into: &mut Vec<Arc<Seat>>) -> bool {
        self.seats().next(most, into)
    }

    /// At most `limit` events after a position. None where the feed does not go back so far.
    pub(super) fn after(&self, position: Position, limit: usize) -> Option<Vec<Entry>> {
        let tail = self.tail();
        if position < tail.start {
            return None;
        }
        let from = tail.entries.partition_point(|entry| entry.position() <= position);
        Some(tail.entries.range(from..).take(limit).cloned().collect())
    }

    /// Whether nothing is there after a position that the feed goes back to.
    pub(super) fn is_quiet_after(&self, position: Position) -> bool {
        let tail = self.tail();
        position >= tail.start && tail.entries.back().is_none_or(|newest| newest.position() <= position)
    }

    /// Whether several subscribers are told by it.
    pub(super) fn is_shared(&self) -> bool {
        self.members.load(Ordering::Acquire) > 1
    }

    pub(super) fn has_members(&self) -> bool {
        self.members.load(Ordering::Acquire) > 0
    }
}
