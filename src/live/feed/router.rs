//! From each event to the feeds that may want it: found by what their filters pin, so that an event costs what it
//! matches and not the number of subscribers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use portable_atomic::AtomicU128;

use super::{Feed, FeedRequest};
use crate::event::{Filter, Position, SyncEvent};
use crate::live::catch_up::shared::History;
use crate::live::measures::Measures;
use crate::live::push::worker::DueFeeds;

/// All feeds of a gateway.
#[derive(Debug)]
pub(in crate::live) struct Router {
    /// Through where events were handed to the feeds.
    through: AtomicU128,
    routes: Mutex<Routes>,
    most_bytes: usize,
    history: History,
    /// Feeds that have something for those who wait.
    due: DueFeeds,
    measures: Arc<Measures>,
}

#[derive(Debug, Default)]
struct Routes {
    by_key: HashMap<String, Arc<Feed>>,
    by_instance: Pinned,
    by_application: Pinned,
    by_type: Pinned,
    /// Feeds whose filters pin nothing.
    others: HashMap<u64, Arc<Feed>>,
    /// What feeds hold, the oldest first.
    told: VecDeque<(Weak<Feed>, usize)>,
    bytes: usize,
    next_number: u64,
}

/// Feeds by the values that they pin.
type Pinned = HashMap<String, HashMap<u64, Arc<Feed>>>;

/// What the feeds of a gateway hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedUsage {
    /// How many feeds there are.
    pub feeds: usize,
    /// How many subscribers they have together.
    pub subscribers: usize,
    /// Bytes of told events that they hold.
    pub bytes: usize,
}

impl Router {
    /// Feeds from after a position on that hold so many bytes together, and as much again of what is behind them.
    pub(in crate::live) fn new(start: Position, most_bytes: usize, measures: Arc<Measures>) -> Self {
        let history = History::new(most_bytes);
        let through = AtomicU128::new(start.get());
        Self { through, routes: Mutex::default(), most_bytes, history, due: DueFeeds::default(), measures }
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Through where every feed has what it wants.
    pub(in crate::live) fn through(&self) -> Position {
        Position::new(self.through.load(Ordering::Acquire))
    }

    /// What the feeds told of stretches that are behind them.
    pub(in crate::live) const fn history(&self) -> &History {
        &self.history
    }

    /// Feeds that have something for those who wait.
    pub(in crate::live) const fn due(&self) -> &DueFeeds {
        &self.due
    }

    /// Has what a feed has be brought to those who wait.
    pub(in crate::live) fn make_due(&self, feed: Arc<Feed>) {
        if feed.make_due() {
            self.due.add(feed);
        }
    }

    pub(in crate::live) fn usage(&self) -> FeedUsage {
        let routes = self.routes();
        let subscribers = routes.by_key.values().map(|feed| feed.members.load(Ordering::Acquire)).sum();
        FeedUsage { feeds: routes.by_key.len(), subscribers, bytes: routes.bytes }
    }

    /// The feed for a request: the one that is there, or a new one that starts now. Every call is to be followed by one
    /// of [`leave`](Self::leave).
    pub(in crate::live) fn join(&self, request: FeedRequest) -> Arc<Feed> {
        let mut routes = self.routes();
        let feed = if let Some(feed) = routes.by_key.get(&request.key) {
            Arc::clone(feed)
        } else {
            routes.next_number += 1;
            let feed = Arc::new(Feed::new(routes.next_number, request, self.through()));
            routes.add(&feed);
            feed
        };
        feed.members.fetch_add(1, Ordering::AcqRel);
        feed
    }

    /// Takes a subscriber from a feed; the feed ends with its last one.
    pub(in crate::live) fn leave(&self, feed: &Arc<Feed>) {
        let mut routes = self.routes();
        feed.members.fetch_sub(1, Ordering::AcqRel);
        if !feed.has_members() {
            routes.remove(feed);
        }
    }

    /// Hands events to the feeds that want them, in the order of the log, and has their subscribers be told.
    pub(in crate::live) fn route(&self, events: &[Arc<SyncEvent>], through: Position) {
        let mut touched: HashMap<u64, Arc<Feed>> = HashMap::new();
        let mut taken = 0;
        {
            let mut routes = self.routes();
            let Routes { by_instance, by_application, by_type, others, told, bytes, .. } = &mut *routes;
            for event in events {
                let occurrence = &event.occurrence;
                let instance = occurrence.application.as_ref().and_then(|found| by_instance.get(&found.id));
                let application = occurrence.application_name.as_ref().and_then(|name| by_application.get(name));
                let pinned = [instance, application, by_type.get(&occurrence.event_type), Some(&*others)];
                for feed in pinned.into_iter().flatten().flat_map(HashMap::values) {
                    let Some(size) = feed.offer(event) else { continue };
                    *bytes += size;
                    taken += 1;
                    told.push_back((Arc::downgrade(feed), size));
                    touched.entry(feed.number).or_insert_with(|| Arc::clone(feed));
                }
            }
            routes.shrink(self.most_bytes);
            self.through.store(through.get(), Ordering::Release);
        }
        self.measures.told(taken);
        for feed in touched.into_values() {
            self.make_due(feed);
        }
    }

    /// Starts all feeds anew after a position.
    pub(in crate::live) fn reset(&self, start: Position) {
        let mut routes = self.routes();
        self.history.void();
        (routes.told, routes.bytes) = (VecDeque::new(), 0);
        // First: nobody steps over to where they start because a feed has nothing on the way.
        routes.by_key.values().for_each(|feed| feed.reset(start));
        self.through.store(start.get(), Ordering::Release);
        // Last: who is visited finds both.
        routes.by_key.values().for_each(|feed| self.make_due(Arc::clone(feed)));
    }
}

impl Routes {
    /// Returns the index of a filter's feed, and the values under which the feed stands there: those of the shortest list
    /// that an event must be in, whether the filter has it itself or in its `and` parts. None for filters without one.
    fn places(&mut self, filter: &Filter) -> Option<(&mut Pinned, Vec<String>)> {
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
        let Some((pinned, values)) = self.places(&feed.request.filter) else {
            self.others.insert(feed.number, Arc::clone(feed));
            return;
        };
        for value in values {
            pinned.entry(value).or_default().insert(feed.number, Arc::clone(feed));
        }
    }

    fn remove(&mut self, feed: &Arc<Feed>) {
        self.by_key.remove(&feed.request.key);
        self.others.remove(&feed.number);
        let Some((pinned, values)) = self.places(&feed.request.filter) else { return };
        for value in values {
            if let Some(feeds) = pinned.get_mut(&value) {
                feeds.remove(&feed.number);
                if feeds.is_empty() {
                    pinned.remove(&value);
                }
            }
        }
    }

    /// Lets go of what was told first, whichever feed's it is.
    fn shrink(&mut self, most_bytes: usize) {
        while self.bytes > most_bytes
            && let Some((feed, size)) = self.told.pop_front()
        {
            self.bytes -= size;
            if let Some(feed) = feed.upgrade() {
                feed.forget_oldest();
            }
        }
    }
}

#[cfg(test)]
pub(in crate::live) mod tests;
