//! A feed: the newest events that match one request, rendered once for all subscribers with that request.

pub(super) mod payload;
pub(super) mod rendered;
pub(super) mod renderer;
pub(super) mod request;
mod required;
pub(super) mod router;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::atomic_position::AtomicPosition;
use super::push::parked::ParkedSubscriber;
use super::push::parked_queue::ParkedQueue;
use crate::event::{Position, SyncEvent};
use payload::{LastPayload, Payload, Payloads};
use rendered::FeedEntry;
use renderer::RenderedEvent;
use request::FeedRequest;

/// A feed: its newest events, and the subscribers that wait for more.
#[derive(Debug)]
pub(super) struct Feed {
    /// A number that no other feed of this gateway has or had.
    pub(super) number: u64,
    pub(super) request: FeedRequest,
    /// The position through which the router has given every feed the events that it wants.
    routed: Arc<AtomicPosition>,
    /// Number of subscribers; changes under the router's lock only.
    subscribers: AtomicUsize,
    newest: Mutex<NewestEvents>,
    parked: Mutex<ParkedQueue>,
    last_payload: LastPayload,
}

/// The newest events of a feed, in order and without gaps.
#[derive(Debug)]
struct NewestEvents {
    /// Every matching event after this position is an entry.
    start: Position,
    entries: VecDeque<FeedEntry>,
}

impl NewestEvents {
    const fn after(start: Position) -> Self {
        Self { start, entries: VecDeque::new() }
    }
}

impl Feed {
    pub(super) fn new(number: u64, request: FeedRequest, routed: Arc<AtomicPosition>) -> Self {
        let newest = Mutex::new(NewestEvents::after(routed.get()));
        let (subscribers, parked, last_payload) = Default::default();
        Self { number, request, routed, subscribers, newest, parked, last_payload }
    }

    /// The position through which this feed has every event that it wants.
    pub(super) fn routed(&self) -> Position {
        self.routed.get()
    }

    /// Renders and keeps an event if it matches. Returns the size of the new entry in bytes.
    pub(super) fn offer(&self, event: &Arc<SyncEvent>) -> Option<usize> {
        if !self.request.events.filter().matches(event) {
            return None;
        }
        let entry = self.request.entry(event);
        let bytes = entry.size();
        self.newest.lock().entries.push_back(entry);
        Some(bytes)
    }

    /// Drops the oldest event.
    pub(super) fn drop_oldest(&self) {
        let mut newest = self.newest.lock();
        if let Some(oldest) = newest.entries.pop_front() {
            newest.start = oldest.position();
        }
    }

    /// Drops all events and starts again after a position.
    pub(super) fn reset(&self, start: Position) {
        *self.newest.lock() = NewestEvents::after(start);
        self.last_payload.clear();
    }

    /// At most `limit` events after a position; None if the feed has dropped some of them, or started later.
    pub(super) fn after(&self, position: Position, limit: usize) -> Option<Vec<FeedEntry>> {
        let newest = self.newest.lock();
        if position < newest.start {
            return None;
        }
        let from = newest.entries.partition_point(|entry| entry.position() <= position);
        Some(newest.entries.range(from..).take(limit).cloned().collect())
    }

    /// True if the feed certainly has no event after a position: it goes back so far, and its newest event is not after it.
    pub(super) fn has_nothing_after(&self, position: Position) -> bool {
        let newest = self.newest.lock();
        position >= newest.start && newest.entries.back().is_none_or(|last| last.position() <= position)
    }

    fn payloads(&self) -> Payloads<'_> {
        let writer = &self.request.payload_writer;
        Payloads { writer, last: &self.last_payload, routed: self.routed() }
    }

    /// Returns the payloads of at most `batch` events each that have these events. An event with errors is the last one.
    pub(super) fn payloads_of(&self, events: &[RenderedEvent], batch: usize) -> Vec<Payload> {
        self.payloads().of(events, batch)
    }

    /// Returns a payload without events, for a subscriber that was given everything that matches through a position.
    pub(super) fn empty_payload(&self, position: Position) -> Payload {
        self.payloads().one(&[], position)
    }

    /// Adds a subscriber to those that the workers visit. Returns the number by which it is removed.
    pub(super) fn add_parked(&self, subscriber: Arc<ParkedSubscriber>) -> u64 {
        self.parked.lock().add(subscriber)
    }

    /// Removes a subscriber from those that the workers visit.
    pub(super) fn remove_parked(&self, number: u64) {
        self.parked.lock().remove(number);
    }

    /// Marks all subscribers for a visit. Returns true if the caller must queue the feed for the workers.
    pub(super) fn mark_for_visits(&self) -> bool {
        self.parked.lock().mark_all()
    }

    /// Appends the next subscribers to be visited to a list. Returns true if there are more.
    pub(super) fn next_to_visit(&self, limit: usize, into: &mut Vec<Arc<ParkedSubscriber>>) -> bool {
        self.parked.lock().next(limit, into)
    }

    /// Counts one more subscriber.
    pub(super) fn enter(&self) {
        self.subscribers.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one subscriber less. Returns the number of those that are left.
    pub(super) fn leave(&self) -> usize {
        self.subscribers.fetch_sub(1, Ordering::AcqRel) - 1
    }

    /// The number of subscribers.
    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Acquire)
    }
}
