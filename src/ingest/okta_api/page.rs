//! A page of the System Log: what of it is to be stored, and what it tells beside.

use crate::event::Timestamp;
use crate::ingest::sorted::{RecordReader, Sorted};
use crate::okta::{DeliveryError, HOOK_DELIVERY, JsonBody, LIFECYCLE, read_log_page};

/// What a page has.
#[derive(Debug, Default)]
pub(super) struct LogPage {
    /// Its events, sorted.
    pub(super) sorted: Sorted,
    /// The number of its events.
    pub(super) number: usize,
    /// When the newest event happened.
    pub(super) newest: Option<Timestamp>,
    /// Of how many failed event hook deliveries it tells, and when the newest failed.
    pub(super) failed_deliveries: i64,
    pub(super) failed_delivery_at: Option<Timestamp>,
    /// True where it tells that applications have changed.
    pub(super) changes_applications: bool,
}

impl LogPage {
    /// Reads a page of an org's System Log.
    ///
    /// # Errors
    /// The body is no list.
    pub(super) fn read(reader: &RecordReader, body: &[u8]) -> Result<Self, DeliveryError> {
        let body = JsonBody::new(body);
        let json = body.json().map_err(|error| DeliveryError::NotJson(error.to_string()))?;
        let events = read_log_page(json)?;
        let mut page = Self { number: events.len(), ..Self::default() };
        for json in events {
            let read = reader.event(json);
            if let Ok(occurrence) = &read {
                page.newest = page.newest.max(Some(occurrence.published));
                page.changes_applications |= occurrence.event_type().starts_with(LIFECYCLE);
                if occurrence.event_type() == HOOK_DELIVERY {
                    page.failed_deliveries += 1;
                    page.failed_delivery_at = page.failed_delivery_at.max(Some(occurrence.published));
                }
            }
            reader.sort_event(json, read, None, &mut page.sorted);
        }
        Ok(page)
    }
}
