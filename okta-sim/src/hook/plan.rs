//! The plan of deliveries: batches, duplicates and delays of events.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use time::{Duration, OffsetDateTime};
use uuid::Builder;

use super::{Delivery, EventHook};
use crate::event::LogEvent;

/// The behaviour of deliveries. The rates are shares between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The maximum number of new events in a delivery.
    pub batch: usize,
    /// The share of events that are delivered again, in another delivery.
    pub duplicates: f64,
    /// The share of deliveries that are sent again unchanged.
    pub repeated: f64,
    /// The share of events that are delayed by some deliveries.
    pub late: f64,
    /// The share of deliveries that later ones overtake.
    pub reordered: f64,
}

impl Behaviour {
    /// Delivers each event once and in order, in batches of up to `batch` events.
    pub const fn orderly(batch: usize) -> Self {
        Self { batch, duplicates: 0.0, repeated: 0.0, late: 0.0, reordered: 0.0 }
    }
}

impl Default for Behaviour {
    /// The behaviour of an org on an ordinary day.
    fn default() -> Self {
        Self { batch: 4, duplicates: 0.01, repeated: 0.01, late: 0.02, reordered: 0.03 }
    }
}

/// The counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// The number of events.
    pub events: u64,
    /// The number of deliveries, including repeated ones.
    pub deliveries: u64,
    /// The number of events that were delivered again in another delivery.
    pub duplicates: u64,
    /// The number of deliveries that were sent again.
    pub repeated: u64,
    /// The number of delayed events.
    pub late: u64,
    /// The number of delayed deliveries.
    pub reordered: u64,
}

/// A plan that turns events into deliveries. Equal events and seeds give equal deliveries, and every event is delivered
/// in the end.
#[derive(Debug)]
pub struct DeliveryPlan<E> {
    events: E,
    hook: Arc<EventHook>,
    behaviour: Behaviour,
    random: ChaCha8Rng,
    round: u64,
    later_events: Later<Arc<LogEvent>>,
    later_deliveries: Later<Delivery>,
    newest: OffsetDateTime,
    counts: PlanCounts,
}

impl<E: Iterator<Item: Into<Arc<LogEvent>>>> DeliveryPlan<E> {
    /// Creates a plan for events, which are consumed as they are needed.
    pub fn new(hook: Arc<EventHook>, events: impl IntoIterator<IntoIter = E>, behaviour: Behaviour, seed: u64) -> Self {
        Self {
            events: events.into_iter(),
            hook,
            behaviour,
            random: ChaCha8Rng::seed_from_u64(seed),
            round: 0,
            later_events: Later::new(),
            later_deliveries: Later::new(),
            newest: OffsetDateTime::UNIX_EPOCH,
            counts: PlanCounts::default(),
        }
    }

    /// Returns the counts so far.
    pub fn counts(&self) -> PlanCounts {
        self.counts
    }

    /// Returns the events of the next delivery: new ones, and delayed ones that are due.
    fn batch(&mut self) -> Vec<Arc<LogEvent>> {
        let mut batch = self.later_events.due(self.round);
        for _ in 0..self.random.random_range(1..=self.behaviour.batch.max(1)) {
            let Some(event) = self.events.next() else { break };
            let event: Arc<LogEvent> = event.into();
            self.newest = self.newest.max(event.published);
            self.counts.events += 1;
            if self.random.random_bool(self.behaviour.duplicates) {
                self.counts.duplicates += 1;
                self.later_events.hold(self.round + self.random.random_range(1..10), Arc::clone(&event));
            }
            if self.random.random_bool(self.behaviour.late) {
                self.counts.late += 1;
                self.later_events.hold(self.round + self.random.random_range(3..30), event);
            } else {
                batch.push(event);
            }
        }
        batch
    }

    /// Creates a delivery of events, unless it is delayed.
    fn deliver(&mut self, events: Vec<Arc<LogEvent>>) -> Option<Delivery> {
        let event_id = Builder::from_random_bytes(self.random.random()).into_uuid();
        let event_time = self.newest + Duration::milliseconds(self.random.random_range(200..900));
        let delivery = self.hook.delivery(event_id, event_time, events);
        if self.random.random_bool(self.behaviour.repeated) {
            self.counts.repeated += 1;
            self.later_deliveries.hold(self.round + self.random.random_range(1..6), delivery.clone());
        }
        if self.random.random_bool(self.behaviour.reordered) {
            self.counts.reordered += 1;
            self.later_deliveries.hold(self.round + self.random.random_range(1..4), delivery);
            return None;
        }
        Some(delivery)
    }
}

impl<E: Iterator<Item: Into<Arc<LogEvent>>>> Iterator for DeliveryPlan<E> {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.later_deliveries.next_due(self.round) {
                self.counts.deliveries += 1;
                return Some(delivery);
            }
            self.round += 1;
            let before = self.counts.events;
            let batch = self.batch();
            if batch.is_empty() {
                // There are no more events, and nothing is delayed.
                let ended = self.counts.events == before;
                if ended && self.later_events.0.is_empty() && self.later_deliveries.0.is_empty() {
                    return None;
                }
            } else if let Some(delivery) = self.deliver(batch) {
                self.counts.deliveries += 1;
                return Some(delivery);
            }
        }
    }
}

/// Items that are due in a later round.
#[derive(Debug)]
struct Later<T>(Vec<(u64, T)>);

impl<T> Later<T> {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn hold(&mut self, until: u64, thing: T) {
        self.0.push((until, thing));
    }

    fn next_due(&mut self, round: u64) -> Option<T> {
        let at = self.0.iter().position(|(until, _)| *until <= round)?;
        Some(self.0.remove(at).1)
    }

    fn due(&mut self, round: u64) -> Vec<T> {
        std::iter::from_fn(|| self.next_due(round)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use time::macros::datetime;

    use super::*;
    use crate::Organisation;

    fn plan(behaviour: Behaviour, seed: u64) -> (Vec<Arc<LogEvent>>, Vec<Delivery>, PlanCounts) {
        let mut organisation = Organisation::new(crate::OrganisationOptions::default());
        let day = datetime!(2026-11-23 08:00 UTC);
        let events: Vec<_> = organisation.history(1000, day, day + Duration::DAY).into_iter().map(Arc::new).collect();
        let mut plan = DeliveryPlan::new(Arc::clone(organisation.hook()), events.clone(), behaviour, seed);
        let deliveries: Vec<_> = plan.by_ref().collect();
        (events, deliveries, plan.counts())
    }

    fn told(deliveries: &[Delivery]) -> Vec<uuid::Uuid> {
        deliveries.iter().flat_map(|delivery| &delivery.events).map(|event| event.uuid).collect()
    }

    #[test]
    fn orderly_is_each_event_once_and_in_order() {
        let (events, deliveries, counts) = plan(Behaviour::orderly(5), 1);
        assert_eq!(told(&deliveries), events.iter().map(|event| event.uuid).collect::<Vec<_>>());
        assert!(deliveries.iter().all(|delivery| (1..=5).contains(&delivery.events.len())));
        assert!(deliveries.iter().any(|delivery| delivery.events.len() == 5));
        let deliveries = u64::try_from(deliveries.len()).unwrap();
        assert_eq!(counts, PlanCounts { events: 1000, deliveries, ..PlanCounts::default() });
    }

    #[test]
    fn each_fault_happens_alone_and_as_often_as_it_is_counted() {
        let orderly = Behaviour::orderly(3);
        let repetitions = |deliveries: &[Delivery]| told(deliveries).len() - 1000;
        let in_order = |deliveries: &[Delivery]| {
            deliveries.iter().flat_map(|delivery| &delivery.events).is_sorted_by_key(|event| event.published)
        };

        let (_, deliveries, counts) = plan(Behaviour { duplicates: 0.1, ..orderly }, 2);
        assert!((60..150).contains(&counts.duplicates));
        assert_eq!(repetitions(&deliveries), usize::try_from(counts.duplicates).unwrap());

        let (_, deliveries, counts) = plan(Behaviour { repeated: 0.1, ..orderly }, 2);
        let mut bodies = HashMap::<_, Vec<_>>::new();
        for delivery in &deliveries {
            bodies.entry(delivery.event_id).or_default().push(delivery.json());
        }
        let twice: Vec<_> = bodies.values().filter(|bodies| bodies.len() == 2).collect();
        assert!(twice.iter().all(|bodies| bodies[0] == bodies[1]));
        assert!(counts.repeated > 20);
        assert_eq!(twice.len(), usize::try_from(counts.repeated).unwrap());

        for behaviour in [Behaviour { late: 0.1, ..orderly }, Behaviour { reordered: 0.1, ..orderly }] {
            let (_, deliveries, counts) = plan(behaviour, 2);
            assert!(counts.late + counts.reordered > 20);
            assert_eq!(repetitions(&deliveries), 0);
            assert!(!in_order(&deliveries));
        }
    }

    #[test]
    fn at_its_worst_it_still_tells_everything_and_ends() {
        let worst = Behaviour { batch: 7, duplicates: 1.0, repeated: 1.0, late: 1.0, reordered: 1.0 };
        let (events, deliveries, _) = plan(worst, 3);
        let told = told(&deliveries);
        assert!(events.iter().all(|event| told.iter().filter(|uuid| **uuid == event.uuid).count() >= 2));
    }

    #[test]
    fn the_same_seed_plans_the_same() {
        let bodies = |seed| -> Vec<_> { plan(Behaviour::default(), seed).1.iter().map(Delivery::json).collect() };
        assert_eq!(bodies(4), bodies(4));
        assert_ne!(bodies(4), bodies(5));
    }
}
