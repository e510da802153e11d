//! A page of the System Log: what of it is to be stored, and what it tells beside.

use crate::event::{IngestSource, ReceivedEvent, Timestamp};
use crate::ingest::Intake;
use crate::okta::{HOOK_DELIVERY, LIFECYCLE, RawEvent, read_event};
use crate::store::{NewEvent, Rejection};

/// What a page has.
#[derive(Debug, Default)]
pub(super) struct LogPage {
    /// Events to store.
    pub(super) wanted: Vec<NewEvent>,
    /// What could not be read.
    pub(super) broken: Vec<Rejection>,
    /// How many events of types that are not wanted there are.
    pub(super) dropped: usize,
    /// When the newest event happened.
    pub(super) newest: Option<Timestamp>,
    /// Of how many failed event hook deliveries it tells, and when the newest failed.
    pub(super) failed_deliveries: i64,
    pub(super) failed_delivery_at: Option<Timestamp>,
    /// Whether it tells that applications have changed.
    pub(super) changes_applications: bool,
}

impl LogPage {
    /// Reads the events of a page of an org's System Log.
    pub(super) fn read(intake: &Intake, org: &str, events: Vec<RawEvent>) -> Self {
        let now = Timestamp::now();
        let mut page = Self::default();
        for raw in events {
            let occurrence = match raw.json().and_then(|json| read_event(json, now)) {
                Ok(occurrence) => occurrence,
                Err(broken) => {
                    let (reason, raw) = (broken.to_string(), raw.as_bytes().to_vec());
                    page.broken.push(Rejection { org: org.to_owned(), source: IngestSource::SystemLog, reason, raw });
                    continue;
                }
            };
            page.newest = page.newest.max(Some(occurrence.published));
            page.changes_applications |= occurrence.event_type.starts_with(LIFECYCLE);
            if occurrence.event_type == HOOK_DELIVERY {
                page.failed_deliveries += 1;
                page.failed_delivery_at = page.failed_delivery_at.max(Some(occurrence.published));
            }
            if intake.wants(org, &occurrence.event_type) {
                let event = ReceivedEvent { occurrence, raw: raw.into_text() };
                page.wanted.push(NewEvent::new(org.to_owned(), event, None));
            } else {
                page.dropped += 1;
            }
        }
        page
    }
}
