//! One JSON object of any shape in which events come, read: an event, a delivery of an event hook, a card of Workflows.

use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::headers::redacted_headers;
use super::intake::OrgIntake;
use crate::event::{IngestSource, Occurrence, ReceivedEvent, Timestamp};
use crate::okta::{BrokenEvent, Card, Delivery, RawEvent, delivery_in, read_card, read_event};
use crate::store::{DeliveryRecord, NewEvent, Rejection};

/// Reads what comes from an org by one way.
#[derive(Clone, Debug)]
pub(super) struct RecordReader {
    pub(super) org: String,
    pub(super) intake: Arc<OrgIntake>,
    pub(super) source: IngestSource,
    pub(super) now: Timestamp,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// To be appended.
    pub(super) wanted: Vec<NewEvent>,
    /// The deliveries that brought them.
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// To be kept in `rejected`.
    pub(super) broken: Vec<Rejection>,
    /// The types of events that nobody wants.
    pub(super) dropped: Vec<String>,
}

impl RecordReader {
    /// Reads an object.
    pub(super) fn read(&self, json: &RawValue, sorted: &mut Sorted) {
        let broken = match read_event(json, self.now) {
            Err(broken @ BrokenEvent::Uuid(_)) => broken,
            read => return self.sort(read.map(|occurrence| (occurrence, json.get())), None, json.get(), sorted),
        };
        if let Some(card) = read_card(json) {
            self.read_card(card, json, sorted);
        } else if let Some(delivery) = delivery_in(json) {
            self.read_delivery(delivery, sorted);
        } else {
            sorted.broken.push(self.rejection(broken.to_string(), json.get().as_bytes()));
        }
    }

    /// What could not be read.
    pub(super) fn rejection(&self, reason: String, raw: &[u8]) -> Rejection {
        Rejection { org: self.org.clone(), source: self.source, reason, raw: raw.to_vec() }
    }

    fn read_delivery(&self, delivery: Delivery, sorted: &mut Sorted) {
        let record = DeliveryRecord {
            id: Uuid::now_v7(),
            org: self.org.clone(),
            event_id: delivery.event_id,
            event_time: delivery.event_time,
            source: delivery.source,
            headers: "{}".to_owned(),
        };
        for event in &delivery.events {
            let bytes = event.as_bytes();
            match event.json() {
                Ok(json) => {
                    let read = read_event(json, self.now).map(|occurrence| (occurrence, json.get()));
                    self.sort(read, Some(record.id), json.get(), sorted);
                }
                Err(broken) => sorted.broken.push(self.rejection(broken.to_string(), bytes)),
            }
        }
        sorted.deliveries.push(record);
    }

    fn read_card(&self, card: Card, json: &RawValue, sorted: &mut Sorted) {
        let delivery = card.has_delivery().then(Uuid::now_v7);
        // The card's own JSON is what is kept where it makes no event.
        let made = RawValue::from_string(card.event).map_err(|_| BrokenEvent::NotAnObject);
        let read = made.as_ref().map_err(|_| BrokenEvent::NotAnObject).and_then(|made| {
            let occurrence = read_event(made, self.now)?;
            Ok((occurrence, made.get()))
        });
        self.sort(read, delivery, json.get(), sorted);
        if let Some(id) = delivery {
            let headers = card.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            sorted.deliveries.push(DeliveryRecord {
                id,
                org: self.org.clone(),
                event_id: card.event_id,
                event_time: card.event_time,
                source: card.source,
                headers: redacted_headers(headers, &self.intake.secret_header),
            });
        }
    }

    fn sort(
        &self,
        read: Result<(Occurrence, &str), BrokenEvent>,
        delivery: Option<Uuid>,
        came_as: &str,
        sorted: &mut Sorted,
    ) {
        match read {
            Ok((occurrence, raw)) if self.intake.wants(&occurrence.event_type) => {
                let event = ReceivedEvent { occurrence, raw: raw.to_owned() };
                sorted.wanted.push(NewEvent::new(self.org.clone(), event, delivery));
            }
            Ok((occurrence, _)) => sorted.dropped.push(occurrence.event_type),
            Err(broken) => sorted.broken.push(self.rejection(broken.to_string(), came_as.as_bytes())),
        }
    }

    /// Reads an object that was found in a body, if it is one.
    pub(super) fn read_raw(&self, raw: &RawEvent, sorted: &mut Sorted) {
        match raw.json() {
            Ok(json) => self.read(json, sorted),
            Err(broken) => sorted.broken.push(self.rejection(broken.to_string(), raw.as_bytes())),
        }
    }
}
