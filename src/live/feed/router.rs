//! The router: finds the feeds that want an event by the values that their filters require, so that the cost of an event
//! depends on the feeds that it matches and not on the number of subscribers.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Feed;
use super::renderer::{ImmediateRenderer, PayloadWriter, Renderer};
use super::request::{FeedKey, FeedRequest};
use super::required::{ValueKind, required_values};
use crate::event::{EventColumn, Position, SyncEvent};
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

#[derive(Default)]
struct Routes {
    by_key: HashMap<FeedKey, Arc<Feed>>,
    /// The renderings of feeds that render at once, by their keys.
    renderings: HashMap<FeedKey, SharedRendering>,
    by_instance: FeedsByValue,
    by_application: FeedsByValue,
    by_type: FeedsByValue,
    by_org: FeedsByValue,
    /// The feeds whose filters require none of these values. They are offered every event.
    others: HashMap<u64, ListedFeed>,
    /// The entries of all feeds with their sizes in bytes, the oldest first.
    entries: VecDeque<(Weak<Feed>, usize)>,
    /// The total size of these entries.
    bytes: usize,
    last_number: u64,
}

/// Feeds by the values that their filters require; within a value, by the feed's number.
type FeedsByValue = HashMap<String, HashMap<u64, ListedFeed>>;

/// A rendering that several feeds share, since it takes as much memory as the rest of a feed.
struct SharedRendering {
    renderer: ImmediateRenderer,
    payload_writer: PayloadWriter,
    /// Number of the feeds.
    feeds: usize,
}

/// A feed in a list of the router.
#[derive(Debug)]
struct ListedFeed {
    feed: Arc<Feed>,
    /// True if the feed is also listed under values of another kind, so that an event may lead to it several times.
    is_elsewhere: bool,
}

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
    pub(in crate::live) fn join(&self, mut request: FeedRequest) -> Arc<Feed> {
        let mut routes = self.routes.lock();
        let feed = if let Some(feed) = routes.by_key.get(&request.key) {
            Arc::clone(feed)
        } else {
            routes.last_number += 1;
            routes.share_rendering(&mut request);
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
            let Routes { by_instance, by_application, by_type, by_org, others, entries, bytes, .. } = &mut *routes;
            let mut offered = HashSet::new();
            for event in events {
                let occurrence = &event.occurrence;
                let instance = occurrence.text(EventColumn::InstanceId).and_then(|id| by_instance.get(id));
                let application = occurrence.text(EventColumn::ApplicationName);
                let application = application.and_then(|name| by_application.get(name));
                let by_type = by_type.get(occurrence.event_type());
                let candidates = [instance, application, by_type, by_org.get(&event.org), Some(&*others)];
                offered.clear();
                for ListedFeed { feed, is_elsewhere } in candidates.into_iter().flatten().flat_map(HashMap::values) {
                    if *is_elsewhere && !offered.insert(feed.number) {
                        continue;
                    }
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

impl fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Routes").field("feeds", &self.by_key.len()).finish_non_exhaustive()
    }
}

impl Routes {
    fn by_kind(&mut self, kind: ValueKind) -> &mut FeedsByValue {
        match kind {
            ValueKind::Instance => &mut self.by_instance,
            ValueKind::Application => &mut self.by_application,
            ValueKind::Type => &mut self.by_type,
            ValueKind::Org => &mut self.by_org,
        }
    }

    fn add(&mut self, feed: &Arc<Feed>) {
        self.by_key.insert(feed.request.key, Arc::clone(feed));
        let listed = |is_elsewhere| ListedFeed { feed: Arc::clone(feed), is_elsewhere };
        let Some(values) = required_values(feed.request.events.filter()) else {
            self.others.insert(feed.number, listed(false));
            return;
        };
        let is_elsewhere = values.first().map(|(kind, _)| kind) != values.last().map(|(kind, _)| kind);
        for (kind, value) in values {
            self.by_kind(kind).entry(value).or_default().insert(feed.number, listed(is_elsewhere));
        }
    }

    /// Gives a request the rendering that other feeds have for the same text. A renderer on demand is not shared: it reads
    /// with the rights of its feed.
    fn share_rendering(&mut self, request: &mut FeedRequest) {
        let Renderer::Immediate(renderer) = &mut request.renderer else { return };
        let shared = self.renderings.entry(request.rendering_key).or_insert_with(|| SharedRendering {
            renderer: Arc::clone(renderer),
            payload_writer: Arc::clone(&request.payload_writer),
            feeds: 0,
        });
        shared.feeds += 1;
        *renderer = Arc::clone(&shared.renderer);
        request.payload_writer = Arc::clone(&shared.payload_writer);
    }

    fn remove(&mut self, feed: &Arc<Feed>) {
        self.by_key.remove(&feed.request.key);
        if let Entry::Occupied(mut shared) = self.renderings.entry(feed.request.rendering_key)
            && matches!(feed.request.renderer, Renderer::Immediate(_))
        {
            shared.get_mut().feeds -= 1;
            if shared.get().feeds == 0 {
                shared.remove();
            }
        }
        self.others.remove(&feed.number);
        for (kind, value) in required_values(feed.request.events.filter()).into_iter().flatten() {
            let by_value = self.by_kind(kind);
            if let Some(feeds) = by_value.get_mut(&value) {
                feeds.remove(&feed.number);
                if feeds.is_empty() {
                    by_value.remove(&value);
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
