//! The router: finds the feeds that want an event by the values that their filters require, so that the cost of an event
//! depends on the feeds that it matches and not on the number of subscribers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Feed;
use super::request::FeedRequest;
use crate::event::{EventColumn, Filter, Position, SyncEvent};
use crate::live::atomic_position::AtomicPosition;
use crate::live::measures::LiveMetrics;
use crate::live::push::scheduler::Scheduler;

/// All feeds of a gateway.
#[derive(Debug)]
pub(in crate::live) struct Router {
    /// The position through which every feed has the events that it wants.
    routed: Arc<AtomicPosition>,
    routes: Mutex<Routes>,
    max_bytes: usize,
    scheduler: Arc<Scheduler>,
    metrics: Arc<LiveMetrics>,
}

#[derive(Debug, Default)]
struct Routes {
    by_key: HashMap<String, Arc<Feed>>,
    by_instance: FeedsByValue,
    by_application: FeedsByValue,
    by_type: FeedsByValue,
    /// The feeds whose filters require none of these values. They are offered every event.
    others: HashMap<u64, Arc<Feed>>,
    /// The entries of all feeds with their sizes in bytes, the oldest first.
    entries: VecDeque<(Weak<Feed>, usize)>,
    /// The total size of these entries.
    bytes: usize,
    last_number: u64,
}

/// Feeds by the values that their filters require; within a value, by the feed's number.
type FeedsByValue = HashMap<String, HashMap<u64, Arc<Feed>>>;

/// The feeds of a gateway, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedUsage {
    /// Number of feeds.
    pub feeds: usize,
    /// Number of their subscribers.
    pub subscribers: usize,
    /// Total size of their entries, in bytes.
    pub bytes: usize,
}

impl Router {
    /// A router that starts after a position. Its feeds hold at most so many bytes together.
    pub(in crate::live) fn new(
        start: Position,
        max_bytes: usize,
        scheduler: Arc<Scheduler>,
        metrics: Arc<LiveMetrics>,
    ) -> Self {
        let routed = Arc::new(AtomicPosition::new(start));
        Self { routed, routes: Mutex::default(), max_bytes, scheduler, metrics }
    }

    pub(in crate::live) fn usage(&self) -> FeedUsage {
        let routes = self.routes.lock();
        let subscribers = routes.by_key.values().map(|feed| feed.subscribers()).sum();
        FeedUsage { feeds: routes.by_key.len(), subscribers, bytes: routes.bytes }
    }

    /// Adds a subscriber to the feed with this request's key, or to a new feed that starts now. Every call must be followed
    /// by a call of [`leave`](Self::leave).
    pub(in crate::live) fn join(&self, request: FeedRequest) -> Arc<Feed> {
        let mut routes = self.routes.lock();
        let feed = if let Some(feed) = routes.by_key.get(&request.key) {
            Arc::clone(feed)
        } else {
            routes.last_number += 1;
            let feed = Arc::new(Feed::new(routes.last_number, request, Arc::clone(&self.routed)));
            routes.add(&feed);
            feed
        };
        feed.enter();
        feed
    }

    /// Removes a subscriber from a feed, and the feed with its last subscriber.
    pub(in crate::live) fn leave(&self, feed: &Arc<Feed>) {
        let mut routes = self.routes.lock();
        if feed.leave() == 0 {
            routes.remove(feed);
        }
    }

    /// Gives each event to the feeds that want it, in the order of the log, and schedules delivery to their subscribers. The
    /// fan-out to single subscribers is left to the workers.
    pub(in crate::live) fn route(&self, events: &[Arc<SyncEvent>], through: Position) {
        let mut changed: HashMap<u64, Arc<Feed>> = HashMap::new();
        let mut rendered = 0;
        {
            let mut routes = self.routes.lock();
            let Routes { by_instance, by_application, by_type, others, entries, bytes, .. } = &mut *routes;
            for event in events {
                let occurrence = &event.occurrence;
                let instance = occurrence.text(EventColumn::InstanceId).and_then(|id| by_instance.get(id));
                let application = occurrence.text(EventColumn::ApplicationName);
                let application = application.and_then(|name| by_application.get(name));
                let candidates = [instance, application, by_type.get(occurrence.event_type()), Some(&*others)];
                for feed in candidates.into_iter().flatten().flat_map(HashMap::values) {
                    let Some(size) = feed.offer(event) else { continue };
                    *bytes += size;
                    rendered += 1;
                    entries.push_back((Arc::downgrade(feed), size));
                    changed.entry(feed.number).or_insert_with(|| Arc::clone(feed));
                }
            }
            routes.drop_oldest_entries(self.max_bytes);
            self.routed.set(through);
        }
        self.metrics.rendered(rendered);
        for feed in changed.into_values() {
            self.scheduler.schedule(feed);
        }
    }

    /// Empties all feeds and starts them again after a position, as when the log was replaced by an older copy.
    pub(in crate::live) fn reset(&self, start: Position) {
        let mut routes = self.routes.lock();
        (routes.entries, routes.bytes) = (VecDeque::new(), 0);
        // The feeds come first: a subscriber must not step over to the new start because its feed has nothing for it.
        routes.by_key.values().for_each(|feed| feed.reset(start));
        self.routed.set(start);
        // Visits come last, so that a visited subscriber finds the reset feed and the new start.
        routes.by_key.values().for_each(|feed| self.scheduler.schedule(Arc::clone(feed)));
    }
}

impl Routes {
    /// The index for a filter's feed, and the values under which the feed is listed there: the shortest list of values that
    /// the filter requires, itself or in its `and` parts. None if it requires no such value.
    fn index_of(&mut self, filter: &Filter) -> Option<(&mut FeedsByValue, Vec<String>)> {
        let parts = filter.conjuncts();
        let shortest = |list: fn(&Filter) -> Option<&Vec<String>>| {
            parts.iter().copied().filter_map(list).min_by_key(|values| values.len()).cloned()
        };
        if let Some(instances) = shortest(|part| part.application_instances.as_ref()) {
            return Some((&mut self.by_instance, instances));
        }
        if let Some(applications) = shortest(|part| part.applications.as_ref()) {
            return Some((&mut self.by_application, applications));
        }
        let types = parts.iter().filter_map(|part| {
            let types = part.event_types.as_ref()?.iter();
            types.map(|pattern| pattern.exact().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        types.min_by_key(Vec::len).map(|types| (&mut self.by_type, types))
    }

    fn add(&mut self, feed: &Arc<Feed>) {
        self.by_key.insert(feed.request.key.clone(), Arc::clone(feed));
        let Some((index, values)) = self.index_of(feed.request.events.filter()) else {
            self.others.insert(feed.number, Arc::clone(feed));
            return;
        };
        for value in values {
            index.entry(value).or_default().insert(feed.number, Arc::clone(feed));
        }
    }

    fn remove(&mut self, feed: &Arc<Feed>) {
        self.by_key.remove(&feed.request.key);
        self.others.remove(&feed.number);
        let Some((index, values)) = self.index_of(feed.request.events.filter()) else { return };
        for value in values {
            if let Some(feeds) = index.get_mut(&value) {
                feeds.remove(&feed.number);
                if feeds.is_empty() {
                    index.remove(&value);
                }
            }
        }
    }

    /// Drops the oldest entries of all feeds until the rest fits into so many bytes.
    fn drop_oldest_entries(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes
            && let Some((feed, size)) = self.entries.pop_front()
        {
            self.bytes -= size;
            if let Some(feed) = feed.upgrade() {
                feed.drop_oldest();
            }
        }
    }
}

#[cfg(test)]
pub(in crate::live) mod tests;
