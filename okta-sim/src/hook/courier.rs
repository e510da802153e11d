//! Concurrent sending of deliveries, and a tally of the results.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::{Delivery, Fate, HookSender};
use crate::system_log::SystemLog;

/// The maximum number of concurrent deliveries.
const AT_ONCE: usize = 16;

/// A courier, which passes deliveries to a sender.
#[derive(Debug)]
pub struct Courier {
    sender: HookSender,
    tally: Arc<Tally>,
    under_way: JoinSet<()>,
    losses: f64,
    random: ChaCha8Rng,
    log: Option<SystemLog>,
}

/// The results of the deliveries so far, which may change while they are read.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    retried: AtomicU64,
    lost: AtomicU64,
    events: AtomicU64,
    /// The status of the endpoint's last response that was not an acknowledgement; 0 if there was none.
    refusal: AtomicU16,
}

impl Courier {
    /// Creates a courier.
    pub fn new(sender: HookSender) -> Self {
        Self::counting(sender, Arc::default())
    }

    /// Creates a courier with an existing tally.
    pub fn counting(sender: HookSender, tally: Arc<Tally>) -> Self {
        Self { sender, tally, under_way: JoinSet::new(), losses: 0.0, random: ChaCha8Rng::seed_from_u64(0), log: None }
    }

    /// Loses a share of the deliveries, between 0 and 1, which are never sent. The seed decides which ones.
    #[must_use]
    pub fn losing(self, losses: f64, seed: u64) -> Self {
        Self { losses: losses.clamp(0.0, 1.0), random: ChaCha8Rng::seed_from_u64(seed), ..self }
    }

    /// Records each lost delivery in the System Log, as Okta does.
    #[must_use]
    pub fn recording(self, log: SystemLog) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Returns the tally.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Sends a delivery concurrently; waits while 16 deliveries are being sent.
    pub async fn take(&mut self, delivery: Delivery) {
        while self.under_way.try_join_next().is_some() {}
        if self.under_way.len() >= AT_ONCE {
            self.under_way.join_next().await;
        }
        let (sender, tally, log) = (self.sender.clone(), Arc::clone(&self.tally), self.log.clone());
        let is_lost = self.random.random_bool(self.losses);
        self.under_way.spawn(async move {
            let fate = if is_lost {
                Fate::Lost
            } else {
                let report = sender.send(&delivery).await;
                if report.fate == Fate::Lost {
                    tally.refusal.store(report.status.unwrap_or_default(), Ordering::Relaxed);
                }
                report.fate
            };
            tally.add(fate, delivery.events.len());
            if fate == Fate::Lost
                && let Some(log) = log
            {
                log.record(&delivery.failure(OffsetDateTime::now_utc()));
            }
        });
    }

    /// Waits for all deliveries that are being sent, at most for two timeouts.
    pub async fn finish(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

impl Tally {
    /// Returns the number of deliveries that were acknowledged at the first attempt.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Returns the number of deliveries that were acknowledged at the second attempt.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Returns the number of deliveries that were not acknowledged.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Returns the number of events in acknowledged deliveries, including repetitions.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    fn add(&self, fate: Fate, events: usize) {
        let (count, events) = match fate {
            Fate::Delivered => (&self.delivered, events),
            Fate::Retried => (&self.retried, events),
            Fate::Lost => (&self.lost, 0),
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(u64::try_from(events).unwrap_or_default(), Ordering::Relaxed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (delivered, retried, lost) = (self.delivered(), self.retried(), self.lost());
        write!(
            formatter,
            "{} events delivered; of {} deliveries {delivered} at once, {retried} at the retry, {lost} lost",
            self.events(),
            delivered + retried + lost,
        )?;
        match self.refusal.load(Ordering::Relaxed) {
            0 => Ok(()),
            status => write!(formatter, " (the hook's last refusal: {status})"),
        }
    }
}
