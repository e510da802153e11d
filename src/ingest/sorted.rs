//! Reads bytes that came in, and sorts them: events to append, records to reject, and types that nobody wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::org_intake::OrgIntake;
use crate::event::{IngestSource, Occurrence, ReceivedEvent, Timestamp};
use crate::okta::{BrokenEvent, Card, Delivery, DeliveryError, RawJson, Record, Shape, read_event, read_shapes};
use crate::store::{DeliveryRecord, NewEvent, RecordPlace, Rejection};

/// The places of events in an import.
#[derive(Debug, Default)]
pub(super) struct EventPlaces {
    /// The file's name; None for a body of a request.
    pub(super) file: Option<String>,
    /// The line on which each event's record starts; empty for what came otherwise.
    pub(super) lines: Vec<u64>,
}

impl EventPlaces {
    /// Returns the place of the event with this index.
    pub(super) fn of(&self, event: usize) -> Option<RecordPlace> {
        self.lines.get(event).map(|line| RecordPlace { file: self.file.clone(), line: *line })
    }
}

/// Events and other records, sorted by what is to be done with them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Events to append.
    pub(super) events: Vec<NewEvent>,
    /// The places of these events.
    pub(super) places: EventPlaces,
    /// The deliveries that brought them.
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// Records that could not be read.
    pub(super) rejected: Vec<Rejection>,
    /// The number of events of each type that nobody wants.
    pub(super) dropped: BTreeMap<String, usize>,
    /// The number of events that were found in the log already, and are only counted.
    pub(super) known: usize,
    /// The number of events, deliveries and cards that were recognised as such, broken ones included.
    pub(super) recognised: usize,
}

impl Sorted {
    fn drop_type(&mut self, event_type: String) {
        *self.dropped.entry(event_type).or_default() += 1;
    }
}

/// Reads and sorts what comes from an org by one way.
#[derive(Clone, Debug)]
pub(super) struct RecordReader {
    pub(super) org: String,
    pub(super) intake: Arc<OrgIntake>,
    pub(super) source: IngestSource,
    pub(super) now: Timestamp,
    /// The most events of one record.
    pub(super) max_events: usize,
    /// The headers of the request that brings it, as JSON.
    pub(super) headers: String,
}

impl RecordReader {
    /// Reads a record of a stream or a body; returns how many events it has.
    pub(super) fn read_record(&self, record: &Record<'_>, sorted: &mut Sorted) -> usize {
        match &record.content {
            Ok(json) => self.read(*json, sorted),
            Err(broken) => {
                sorted.rejected.push(self.rejection(broken.reason.clone(), broken.bytes));
                1
            }
        }
    }

    /// Reads an object: an event, a delivery or a card, or what wraps some of these. Returns how many events it has.
    fn read(&self, json: RawJson<'_>, sorted: &mut Sorted) -> usize {
        let (events, rejected, deliveries) = (sorted.events.len(), sorted.rejected.len(), sorted.deliveries.len());
        let mut number = 0;
        read_shapes(json, self.now, &mut |json, shape| {
            number += if let Shape::Delivery(delivery) = &shape { delivery.events.len() } else { 1 };
            // Memory is bounded: what is too much is counted, and nothing of it is kept.
            if number <= self.max_events {
                self.sort(json, shape, sorted);
            }
        });
        if number > self.max_events {
            sorted.events.truncate(events);
            sorted.rejected.truncate(rejected);
            sorted.deliveries.truncate(deliveries);
            let reason = DeliveryError::TooManyEvents { number, limit: self.max_events };
            sorted.rejected.push(self.rejection(reason.to_string(), json.as_bytes()));
        }
        number
    }

    /// Sorts an object by its shape.
    fn sort(&self, json: RawJson<'_>, shape: Shape<'_>, sorted: &mut Sorted) {
        if let Some(reason) = self.elsewhere(&shape) {
            return sorted.rejected.push(self.rejection(reason, json.as_bytes()));
        }
        match shape {
            Shape::Event(read) => {
                sorted.recognised += 1;
                self.sort_event(json, read, None, sorted);
            }
            Shape::Delivery(delivery) => {
                sorted.recognised += 1;
                self.read_delivery(&delivery, sorted);
            }
            Shape::Card(card) => {
                sorted.recognised += 1;
                self.read_card(card, json, sorted);
            }
            Shape::Unknown(reason) => sorted.rejected.push(self.rejection(reason, json.as_bytes())),
        }
    }

    /// Returns why a shape does not belong to this way; None where it does.
    fn elsewhere(&self, shape: &Shape<'_>) -> Option<String> {
        let (what, route) = match (self.source, shape) {
            (IngestSource::LogStream, Shape::Delivery(_)) => ("a delivery of an event hook", "hooks"),
            (IngestSource::LogStream, Shape::Card(_)) => ("the output of a card of Okta Workflows", "workflows"),
            _ => return None,
        };
        Some(format!("{what}, and no event of Log Streaming: send it to /okta/{}/{route}", self.org))
    }

    /// Reads the events of a delivery.
    pub(super) fn read_delivery(&self, delivery: &Delivery<'_>, sorted: &mut Sorted) {
        let record = DeliveryRecord {
            id: Uuid::now_v7(),
            org: self.org.clone(),
            event_id: delivery.event_id.clone(),
            event_time: delivery.event_time,
            source: delivery.source.clone(),
            headers: self.headers.clone(),
        };
        for event in &delivery.events {
            self.sort_event(*event, self.event(*event), Some(record.id), sorted);
        }
        sorted.deliveries.push(record);
    }

    /// Reads an event that wraps nothing and is wrapped in nothing.
    pub(super) fn event(&self, json: RawJson<'_>) -> Result<Occurrence, BrokenEvent> {
        read_event(json.exact()?, self.now)
    }

    /// Sorts an event that was read of some JSON.
    pub(super) fn sort_event(
        &self,
        json: RawJson<'_>,
        read: Result<Occurrence, BrokenEvent>,
        delivery: Option<Uuid>,
        sorted: &mut Sorted,
    ) {
        match read {
            Ok(occurrence) => self.sort_wanted(occurrence, json.text().get(), delivery, sorted),
            Err(broken) => sorted.rejected.push(self.rejection(broken.to_string(), json.as_bytes())),
        }
    }

    fn sort_wanted(&self, occurrence: Occurrence, raw: &str, delivery: Option<Uuid>, sorted: &mut Sorted) {
        if self.intake.wants(occurrence.event_type()) {
            let event = ReceivedEvent { occurrence, raw: raw.to_owned() };
            sorted.events.push(NewEvent::new(self.org.clone(), event, delivery));
        } else {
            sorted.drop_type(occurrence.event_type().to_owned());
        }
    }

    fn read_card(&self, card: Card, json: RawJson<'_>, sorted: &mut Sorted) {
        let delivery = card.has_delivery().then(Uuid::now_v7);
        let made = RawValue::from_string(card.event).map_err(|_| BrokenEvent::NotAnObject);
        match made.and_then(|made| Ok((read_event(&made, self.now)?, made))) {
            Ok((occurrence, made)) => self.sort_wanted(occurrence, made.get(), delivery, sorted),
            // The card's own JSON is what is kept where it makes no event.
            Err(broken) => sorted.rejected.push(self.rejection(broken.to_string(), json.as_bytes())),
        }
        if let Some(id) = delivery {
            let headers = card.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            sorted.deliveries.push(DeliveryRecord {
                id,
                org: self.org.clone(),
                event_id: card.event_id,
                event_time: card.event_time,
                source: card.source,
                headers: self.intake.headers.of(headers),
            });
        }
    }

    /// Makes a rejection of what could not be read.
    pub(super) fn rejection(&self, reason: String, raw: &[u8]) -> Rejection {
        Rejection { org: self.org.clone(), source: self.source, reason, raw: raw.to_vec(), place: None }
    }
}
