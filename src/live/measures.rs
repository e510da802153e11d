//! What is measured of deliveries.

use metrics::{Counter, Histogram};

use super::feed::Told;
use crate::event::{Position, Timestamp};

/// The metrics of deliveries, found once.
#[derive(Debug)]
pub(super) struct Measures {
    told: Counter,
    delivered: Counter,
    lag_seconds: Histogram,
    lag_positions: Histogram,
}

/// What a subscriber was handed and has not asked beyond.
#[derive(Debug)]
pub(super) struct HandedOut {
    events: usize,
    pub(super) last: Position,
    /// When the first of them was stored, if they came live.
    stored_at: Option<Timestamp>,
}

impl HandedOut {
    pub(super) fn live(batch: &[Told]) -> Option<Self> {
        let stored_at = Some(batch.first()?.stored_at);
        Some(Self { stored_at, ..Self::history(batch)? })
    }

    pub(super) fn history(batch: &[Told]) -> Option<Self> {
        Some(Self { events: batch.len(), last: batch.last()?.position, stored_at: None })
    }
}

impl Measures {
    pub(super) fn new() -> Self {
        Self {
            told: metrics::counter!("sluice_events_told_total"),
            delivered: metrics::counter!("sluice_events_delivered_total"),
            lag_seconds: metrics::histogram!("sluice_delivery_lag_seconds"),
            lag_positions: metrics::histogram!("sluice_delivery_lag_positions"),
        }
    }

    /// Events were put into words, whoever is to be told of them.
    pub(super) fn told(&self, events: usize) {
        self.told.increment(events as u64);
    }

    /// What was handed out went out to so many, while the feeds were through with a position.
    pub(super) fn delivered(&self, batch: &HandedOut, subscribers: usize, through: Position) {
        self.delivered.increment((batch.events * subscribers) as u64);
        #[expect(clippy::cast_precision_loss, reason = "buckets are coarser")]
        self.lag_positions.record_many(through.get().saturating_sub(batch.last.get()) as f64, subscribers);
        if let Some(stored_at) = batch.stored_at {
            let lag = Timestamp::now().date_time() - stored_at.date_time();
            self.lag_seconds.record_many(lag.as_seconds_f64().max(0.0), subscribers);
        }
    }
}
