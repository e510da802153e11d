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
use crate::live::feed::rendered::{BATCH, FeedEntry};
use crate::live::feed::renderer::RenderedEvent;
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

/// The bytes of the last batch, in the format of the last outlet: mostly the next outlet sends the same.
#[derive(Debug, Default)]
struct FormattedBatch {
    /// False if the bytes are of another batch.
    is_current: bool,
    format_key: Vec<u8>,
    bytes: Vec<u8>,
}

impl FormattedBatch {
    /// The bytes of the current batch in an outlet's format.
    fn format(&mut self, batch: &[RenderedEvent], outlet: &dyn Outlet) -> &[u8] {
        let format_key = outlet.format_key();
        if !self.is_current || self.format_key != format_key {
            self.is_current = true;
            self.format_key.clear();
            self.format_key.extend_from_slice(format_key);
            self.bytes.clear();
            for event in batch {
                outlet.write(event, &mut self.bytes);
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
    /// The position of the last visited subscriber with the feed's batch after it; None in place of a batch if subscribers
    /// there must read by themselves. Mostly the next subscriber is at the same position.
    batch: Option<(Position, Option<Vec<RenderedEvent>>)>,
    /// Number of subscribers that were sent this batch.
    sent: usize,
    /// True if some batch did not hold all events of the feed.
    has_more: bool,
}

impl<'p> DeliveryPass<'p> {
    fn new(feed: &'p Feed, metrics: &'p LiveMetrics, formatted: &'p mut FormattedBatch) -> Self {
        formatted.is_current = false;
        Self { feed, metrics, formatted, batch: None, sent: 0, has_more: false }
    }

    /// Sends a subscriber what is new for it if it is parked, or wakes it if that cannot be done from here.
    fn visit(&mut self, subscriber: &ParkedSubscriber) {
        let Some(parked) = subscriber.lock_parked() else { return };
        let Some(outlet) = parked.outlet() else {
            parked.wake();
            return;
        };
        self.find_batch_after(parked.position());
        match &self.batch {
            Some((_, Some(batch))) => {
                let Some(last) = batch.last() else { return };
                let bytes = self.formatted.format(batch, outlet);
                self.sent += usize::from(parked.send(bytes, last.position));
            }
            _ => parked.wake(),
        }
    }

    /// Takes the feed's batch after a position, unless the last subscriber was there, too.
    fn find_batch_after(&mut self, position: Position) {
        if self.batch.as_ref().is_some_and(|(after, _)| *after == position) {
            return;
        }
        self.count_delivered();
        self.formatted.is_current = false;
        self.batch = Some((position, self.read_feed(position)));
    }

    fn read_feed(&mut self, after: Position) -> Option<Vec<RenderedEvent>> {
        // The feed's position is read first: by then the feed has every event through there.
        let routed = self.feed.routed();
        let mut entries = self.feed.after(after, BATCH).filter(|_| after <= routed)?;
        let found = entries.len();
        entries.truncate(FeedEntry::first_batch(entries.iter()));
        self.has_more |= entries.len() < found || found == BATCH;
        FeedEntry::all_rendered(entries).ok()
    }

    /// Counts what was sent of the batch.
    fn count_delivered(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        if sent > 0
            && let Some((_, Some(batch))) = &self.batch
            && let Some(batch) = HandedOut::live(batch)
        {
            self.metrics.delivered(&batch, sent, self.feed.routed());
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
