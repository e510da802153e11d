//! The metrics of live delivery.

use metrics::{Counter, Histogram};

use super::feed::renderer::RenderedEvent;
use crate::event::{Position, Timestamp};

/// Handles to the metrics of live delivery, registered once because they change with every event.
#[derive(Debug)]
pub(super) struct LiveMetrics {
    rendered: Counter,
    delivered: Counter,
    lag_seconds: Histogram,
    lag_positions: Histogram,
}

/// Events that a subscriber was given. They count as delivered when they are sent.
#[derive(Debug)]
pub(super) struct HandedOut {
    pub(super) events: usize,
    /// The position of the last one.
    pub(super) last: Position,
    /// The time at which the first one was stored; None for history, whose age is no lag.
    stored_at: Option<Timestamp>,
}

impl HandedOut {
    /// A batch of events that came while the subscriber waited for them.
    pub(super) fn live(batch: &[RenderedEvent]) -> Option<Self> {
        let stored_at = Some(batch.first()?.stored_at);
        Some(Self { stored_at, ..Self::history(batch)? })
    }

    /// A batch of events that a subscriber read to catch up.
    pub(super) fn history(batch: &[RenderedEvent]) -> Option<Self> {
        Some(Self { events: batch.len(), last: batch.last()?.position, stored_at: None })
    }
}

impl LiveMetrics {
    pub(super) fn new() -> Self {
        Self {
            rendered: metrics::counter!("sluice_events_rendered_total"),
            delivered: metrics::counter!("sluice_events_delivered_total"),
            lag_seconds: metrics::histogram!("sluice_delivery_lag_seconds"),
            lag_positions: metrics::histogram!("sluice_delivery_lag_positions"),
        }
    }

    /// Counts events that were rendered, each once for its feed.
    pub(super) fn rendered(&self, events: usize) {
        self.rendered.increment(events as u64);
    }

    /// Counts a batch that was delivered to a number of subscribers, while the router had routed events through a position.
    pub(super) fn delivered(&self, batch: &HandedOut, subscribers: usize, routed: Position) {
        self.delivered.increment((batch.events * subscribers) as u64);
        #[expect(clippy::cast_precision_loss, reason = "buckets are coarser")]
        self.lag_positions.record_many(routed.get().saturating_sub(batch.last.get()) as f64, subscribers);
        if let Some(stored_at) = batch.stored_at {
            let lag = Timestamp::now().date_time() - stored_at.date_time();
            self.lag_seconds.record_many(lag.as_seconds_f64().max(0.0), subscribers);
        }
    }
}
