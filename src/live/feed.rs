//! A feed: what all subscribers get that want the same. An event is told once and then handed on as it is.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use crate::event::{Filter, Position, SyncEvent};

/// What a feed is: which events, and how each of them is told.
#[derive(Clone)]
pub struct FeedRequest {
    /// The same text for whoever wants the same events told the same way.
    pub key: String,
    /// Which events.
    pub filter: Filter,
    /// Tells an event.
    pub tell: Arc<dyn Fn(&SyncEvent) -> Bytes + Send + Sync>,
    /// Whether that needs the events as Okta sent them.
    pub with_details: bool,
}

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
    /// What is told of it.
    pub text: Bytes,
}

/// The newest events of a feed, told.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) number: u64,
    pub(super) request: FeedRequest,
    /// How many subscribers it has; changes under the router's lock only.
    pub(super) members: AtomicUsize,
    tail: Mutex<Tail>,
    grown: watch::Sender<()>,
}

#[derive(Debug)]
struct Tail {
    /// Every event after this that matches is here.
    start: Position,
    told: VecDeque<Told>,
}

impl Feed {
    pub(super) fn new(number: u64, request: FeedRequest, start: Position) -> Self {
        let tail = Mutex::new(Tail { start, told: VecDeque::new() });
        Self { number, request, members: AtomicUsize::new(0), tail, grown: watch::Sender::new(()) }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an event, where it matches. Gives how many bytes that takes.
    pub(super) fn offer(&self, event: &SyncEvent) -> Option<usize> {
        if !self.request.filter.matches(event) {
            return None;
        }
        let text = (self.request.tell)(event);
        let bytes = text.len();
        self.tail().told.push_back(Told { position: event.position, text });
        Some(bytes)
    }

    /// Lets go of what is oldest.
    pub(super) fn forget_oldest(&self) {
        let mut tail = self.tail();
        if let Some(oldest) = tail.told.pop_front() {
            tail.start = oldest.position;
        }
    }

    /// Starts anew after a position.
    pub(super) fn reset(&self, start: Position) {
        *self.tail() = Tail { start, told: VecDeque::new() };
        self.wake();
    }

    /// Tells the subscribers that there is something new.
    pub(super) fn wake(&self) {
        self.grown.send_replace(());
    }

    pub(super) fn grown(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// At most `limit` events after a position. None where the feed does not go back so far.
    pub(super) fn after(&self, position: Position, limit: usize) -> Option<Vec<Told>> {
        let tail = self.tail();
        if position < tail.start {
            return None;
        }
        let from = tail.told.partition_point(|told| told.position <= position);
        Some(tail.told.range(from..).take(limit).cloned().collect())
    }

    /// Whether nothing is there after a position that the feed goes back to.
    pub(super) fn is_quiet_after(&self, position: Position) -> bool {
        let tail = self.tail();
        position >= tail.start && tail.told.back().is_none_or(|newest| newest.position <= position)
    }

    pub(super) fn has_members(&self) -> bool {
        self.members.load(Ordering::Acquire) > 0
    }
}
