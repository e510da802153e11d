//! The workers: each takes a feed from the scheduler's queue and sends its new events to some of its parked subscribers.
//! To wake a task for each subscriber would take longer than to send the event.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::parked::{Outlet, ParkedSubscriber};
use super::scheduler::Scheduler;
use crate::event::Position;
use crate::live::feed::Feed;
use crate::live::feed::payload::Payload;
use crate::live::feed::rendered::FeedEntry;
use crate::live::measures::{HandedOut, LiveMetrics};

/// Number of subscribers that a delivery pass visits before other feeds have their turn.
const VISITS: usize = 128;

/// Starts as many workers as the runtime has threads.
pub(in crate::live) fn start(scheduler: &Arc<Scheduler>, metrics: &Arc<LiveMetrics>, stop: &CancellationToken) {
    for _ in 0..Handle::current().metrics().num_workers() {
        let (scheduler, metrics) = (Arc::clone(scheduler), Arc::clone(metrics));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let mut subscribers = Vec::with_capacity(VISITS);
            let mut formatted = FormattedBatch::default();
            loop {
                let feed = scheduler.next().await;
                if feed.next_to_visit(VISITS, &mut subscribers) {
                    scheduler.enqueue(Arc::clone(&feed));
                }
                let mut pass = DeliveryPass::new(&feed, &metrics, &mut formatted);
                subscribers.drain(..).for_each(|subscriber| pass.visit(&subscriber));
                if pass.finish() {
                    scheduler.schedule(feed);
                }
                yield_now().await;
            }
        }));
    }
}

/// The bytes of the last payloads, in the format of the last outlet: mostly the next outlet sends the same.
#[derive(Debug, Default)]
struct FormattedBatch {
    /// False if the bytes are of other payloads.
    is_current: bool,
    format_key: Vec<u8>,
    bytes: Vec<u8>,
}

impl FormattedBatch {
    /// The bytes of the current payloads in an outlet's format.
    fn format(&mut self, payloads: &[Payload], outlet: &dyn Outlet) -> &[u8] {
        let format_key = outlet.format_key();
        if !self.is_current || self.format_key != format_key {
            self.is_current = true;
            self.format_key.clear();
            self.format_key.extend_from_slice(format_key);
            self.bytes.clear();
            for payload in payloads {
                outlet.write(payload, &mut self.bytes);
            }
        }
        &self.bytes
    }
}

/// One pass of a worker through some of a feed's parked subscribers.
struct DeliveryPass<'p> {
    feed: &'p Feed,
    metrics: &'p LiveMetrics,
    formatted: &'p mut FormattedBatch,
    /// The position and the batch of the last visited subscriber, with the feed's new events for it; None in place of
    /// events if such subscribers must read by themselves. Mostly the next subscriber needs the same.
    found: Option<((Position, usize), Option<NewEvents>)>,
    /// Number of subscribers that were sent these events.
    sent: usize,
    /// True if the feed has more events than some subscriber was sent.
    has_more: bool,
}

/// The events that a feed has after a position.
struct NewEvents {
    payloads: Vec<Payload>,
    /// None if there are no events.
    handed_out: Option<HandedOut>,
}

impl<'p> DeliveryPass<'p> {
    fn new(feed: &'p Feed, metrics: &'p LiveMetrics, formatted: &'p mut FormattedBatch) -> Self {
        formatted.is_current = false;
        Self { feed, metrics, formatted, found: None, sent: 0, has_more: false }
    }

    /// Sends a subscriber what is new for it if it is parked, or wakes it if that cannot be done from here.
    fn visit(&mut self, subscriber: &ParkedSubscriber) {
        let Some(parked) = subscriber.lock_parked() else { return };
        let Some(outlet) = parked.outlet() else {
            parked.wake();
            return;
        };
        self.find((parked.position(), parked.batch()));
        match &self.found {
            Some((_, Some(new))) => {
                let Some(handed_out) = &new.handed_out else { return };
                let bytes = self.formatted.format(&new.payloads, outlet);
                self.sent += usize::from(parked.send(bytes, handed_out));
            }
            _ => parked.wake(),
        }
    }

    /// Finds what is new after a position for a batch, unless the last subscriber needed the same.
    fn find(&mut self, needed: (Position, usize)) {
        if self.found.as_ref().is_some_and(|(known, _)| *known == needed) {
            return;
        }
        self.count_delivered();
        self.formatted.is_current = false;
        self.found = Some((needed, self.read_feed(needed)));
    }

    fn read_feed(&mut self, (after, batch): (Position, usize)) -> Option<NewEvents> {
        // The feed's position is read first: by then the feed has every event through there.
        let routed = self.feed.routed();
        let at_once = FeedEntry::at_once(batch);
        let mut entries = self.feed.after(after, at_once).filter(|_| after <= routed)?;
        let found = entries.len();
        entries.truncate(FeedEntry::first_batches(entries.iter(), batch));
        self.has_more |= entries.len() < found || found == at_once;
        let events = FeedEntry::all_rendered(entries).ok()?;
        Some(NewEvents { payloads: self.feed.payloads_of(&events, batch), handed_out: HandedOut::live(&events) })
    }

    /// Counts the events that were sent.
    fn count_delivered(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        if sent > 0
            && let Some((_, Some(new))) = &self.found
            && let Some(handed_out) = &new.handed_out
        {
            self.metrics.delivered(handed_out, sent, self.feed.routed());
        }
    }

    /// Ends the pass. Returns true if some subscriber needs another visit for the rest of its events.
    fn finish(mut self) -> bool {
        self.count_delivered();
        self.has_more
    }
}

#[cfg(test)]
mod tests;
