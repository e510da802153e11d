//! Sorting of parsed records: events to append, records to reject, and events to drop because of their type.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::org_intake::OrgIntake;
use crate::event::{IngestSource, Occurrence, ReceivedEvent, Timestamp};
use crate::ledger::{RecordPlace, Rejection};
use crate::okta::{
    BrokenEvent, Card, Delivery, MalformedBody, Privacy, PrivateEvent, RawJson, Record, Shape, read_event, read_shapes,
};
use crate::store::{DeliveryRecord, NewEvent};

/// The places of an import's events in its file.
#[derive(Debug, Default)]
pub(super) struct EventPlaces {
    /// The file's name; None for a request body.
    pub(super) file: Option<String>,
    /// The line on which each event's record starts; empty for sources other than imports.
    pub(super) lines: Vec<u64>,
}

impl EventPlaces {
    pub(super) fn of(&self, event: usize) -> Option<RecordPlace> {
        self.lines.get(event).map(|line| RecordPlace { file: self.file.clone(), line: *line })
    }
}

/// Records, sorted by the way in which they are handled.
#[derive(Debug, Default)]
pub(super) struct SortedRecords {
    /// The events to append.
    pub(super) events: Vec<NewEvent>,
    /// The places of these events.
    pub(super) places: EventPlaces,
    /// The deliveries with which the events came.
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// The broken records.
    pub(super) rejected: Vec<Rejection>,
    /// The number of dropped events of each type.
    pub(super) dropped: BTreeMap<String, usize>,
    /// The number of events that the log has already, which are only counted.
    pub(super) known: usize,
    /// The number of events, deliveries and cards, including broken ones.
    pub(super) recognised: usize,
}

impl SortedRecords {
    fn drop_type(&mut self, event_type: String) {
        *self.dropped.entry(event_type).or_default() += 1;
    }
}

/// A reader that parses and sorts the records of an org from one source.
#[derive(Clone, Debug)]
pub(super) struct RecordReader {
    pub(super) org: String,
    pub(super) intake: Arc<OrgIntake>,
    pub(super) source: IngestSource,
    pub(super) now: Timestamp,
    /// The maximum number of events in one record.
    pub(super) max_events: usize,
    /// The headers of the request, as JSON.
    pub(super) headers: String,
}

impl RecordReader {
    /// Sorts a record of a stream or body. Returns the number of its events.
    pub(super) fn read_record(&self, record: &Record<'_>, sorted: &mut SortedRecords) -> usize {
        match &record.content {
            Ok(json) => self.read(*json, sorted),
            Err(broken) => {
                sorted.rejected.push(self.rejection(broken.reason.clone(), broken.bytes));
                1
            }
        }
    }

    /// Sorts an object: an event, a delivery, a card, or a wrapper of these. Returns the number of its events.
    fn read(&self, json: RawJson<'_>, sorted: &mut SortedRecords) -> usize {
        let (events, rejected, deliveries) = (sorted.events.len(), sorted.rejected.len(), sorted.deliveries.len());
        let mut number = 0;
        read_shapes(json, self.now, &mut |json, shape| {
            number += if let Shape::Delivery(delivery) = &shape { delivery.events.len() } else { 1 };
            // Memory is bounded: excess events are counted but not kept.
            if number <= self.max_events {
                self.sort(json, shape, sorted);
            }
        });
        if number > self.max_events {
            sorted.events.truncate(events);
            sorted.rejected.truncate(rejected);
            sorted.deliveries.truncate(deliveries);
            let reason = MalformedBody::TooManyEvents { number, limit: self.max_events };
            sorted.rejected.push(self.rejection(reason.to_string(), json.as_bytes()));
        }
        number
    }

    fn sort(&self, json: RawJson<'_>, shape: Shape<'_>, sorted: &mut SortedRecords) {
        if let Some(reason) = self.wrong_source(&shape) {
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
            Shape::Unknown(found) => {
                // Keys may be private, too, in an org with private members.
                let found = if self.intake.privacy.is_some() { found.without_keys() } else { found };
                sorted.rejected.push(self.rejection(found.to_string(), json.as_bytes()));
            }
        }
    }

    /// Returns the reason why a shape does not belong to this source; None if it does.
    fn wrong_source(&self, shape: &Shape<'_>) -> Option<String> {
        let (what, route) = match (self.source, shape) {
            (IngestSource::LogStream, Shape::Delivery(_)) => ("a delivery of an event hook", "hooks"),
            (IngestSource::LogStream, Shape::Card(_)) => ("the output of a card of Okta Workflows", "workflows"),
            _ => return None,
        };
        Some(format!("{what}, and no event of Log Streaming: send it to /okta/{}/{route}", self.org))
    }

    /// Sorts the events of a delivery.
    pub(super) fn read_delivery(&self, delivery: &Delivery<'_>, sorted: &mut SortedRecords) {
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

    /// Parses an event that has no wrapper.
    pub(super) fn event(&self, json: RawJson<'_>) -> Result<Occurrence, BrokenEvent> {
        read_event(json.exact()?, self.now)
    }

    pub(super) fn sort_event(
        &self,
        json: RawJson<'_>,
        read: Result<Occurrence, BrokenEvent>,
        delivery: Option<Uuid>,
        sorted: &mut SortedRecords,
    ) {
        let Some(privacy) = &self.intake.privacy else { return self.sort_read(read, json, delivery, sorted) };
        match json.exact() {
            Ok(exact) => self.sort_private(&self.without_private(privacy, exact), delivery, sorted),
            Err(broken) => sorted.rejected.push(self.rejection(broken.to_string(), json.as_bytes())),
        }
    }

    /// Returns an event's JSON without what is private, and counts that.
    fn without_private(&self, privacy: &Privacy, event: &RawValue) -> String {
        let PrivateEvent { json, dropped, hashed } = privacy.apply(event);
        for (action, members) in
            [("dropped", dropped), ("hashed", hashed)].into_iter().filter(|(_, members)| *members > 0)
        {
            metrics::counter!("sluice_private_members_total", "org" => self.org.clone(), "action" => action)
                .increment(members);
        }
        json
    }

    fn sort_read(
        &self,
        read: Result<Occurrence, BrokenEvent>,
        json: RawJson<'_>,
        delivery: Option<Uuid>,
        sorted: &mut SortedRecords,
    ) {
        match read {
            Ok(occurrence) => self.sort_wanted(occurrence, json.text().get(), delivery, sorted),
            Err(broken) => sorted.rejected.push(self.rejection(broken.to_string(), json.as_bytes())),
        }
    }

    /// Sorts an event from which everything private was removed. A broken one is kept without it.
    fn sort_private(&self, event: &str, delivery: Option<Uuid>, sorted: &mut SortedRecords) {
        let json: Result<&RawValue, _> = serde_json::from_str(event);
        match json.map_err(|_| BrokenEvent::NotAnObject).and_then(|json| read_event(json, self.now)) {
            Ok(occurrence) => self.sort_wanted(occurrence, event, delivery, sorted),
            Err(broken) => sorted.rejected.push(self.kept_rejection(broken.to_string(), event.as_bytes())),
        }
    }

    fn sort_wanted(&self, occurrence: Occurrence, raw: &str, delivery: Option<Uuid>, sorted: &mut SortedRecords) {
        if self.intake.wants(occurrence.event_type()) {
            let event = ReceivedEvent { occurrence, raw: raw.to_owned() };
            sorted.events.push(NewEvent::new(self.org.clone(), event, delivery));
        } else {
            sorted.drop_type(occurrence.event_type().to_owned());
        }
    }

    fn read_card(&self, card: Card, json: RawJson<'_>, sorted: &mut SortedRecords) {
        let delivery = card.has_delivery().then(Uuid::now_v7);
        let made = RawValue::from_string(card.event).map_err(|_| BrokenEvent::NotAnObject);
        let made = made.and_then(|made| match &self.intake.privacy {
            Some(privacy) => {
                RawValue::from_string(self.without_private(privacy, &made)).map_err(|_| BrokenEvent::NotAnObject)
            }
            None => Ok(made),
        });
        match made.and_then(|made| Ok((read_event(&made, self.now)?, made))) {
            Ok((occurrence, made)) => self.sort_wanted(occurrence, made.get(), delivery, sorted),
            // The card's own JSON is stored if it does not yield an event.
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
                headers: self.intake.headers.filter(headers),
            });
        }
    }

    /// Creates a rejection. Of an org with private members, the bytes are withheld, since these may stand anywhere in them.
    pub(super) fn rejection(&self, reason: String, raw: &[u8]) -> Rejection {
        if self.intake.privacy.is_none() {
            return self.kept_rejection(reason, raw);
        }
        let withheld = format!("{} bytes, withheld because of orgs.privacy: {reason}", raw.len());
        self.kept_rejection(reason, withheld.as_bytes())
    }

    fn kept_rejection(&self, reason: String, raw: &[u8]) -> Rejection {
        Rejection { org: self.org.clone(), source: self.source, reason, raw: raw.to_vec(), place: None }
    }
}
