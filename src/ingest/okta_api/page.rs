//! A page of the System Log: its events, and what sluice itself learns from them.

use crate::event::Timestamp;
use crate::ingest::sorted::{RecordReader, SortedRecords};
use crate::okta::{HOOK_DELIVERY, JsonBody, LIFECYCLE, MalformedBody, read_log_page};

/// The content of a page.
#[derive(Debug, Default)]
pub(super) struct LogPage {
    /// The events, sorted.
    pub(super) sorted: SortedRecords,
    /// The number of events.
    pub(super) number: usize,
    /// The time of the newest event.
    pub(super) newest: Option<Timestamp>,
    /// The number of failed event hook deliveries that the page reports.
    pub(super) failed_deliveries: i64,
    /// The time of the newest failed delivery.
    pub(super) failed_delivery_at: Option<Timestamp>,
    /// True if the page reports changes of applications.
    pub(super) changes_applications: bool,
}

impl LogPage {
    /// Parses a page of an org's System Log.
    ///
    /// # Errors
    /// The body is not a list.
    pub(super) fn read(reader: &RecordReader, body: &[u8]) -> Result<Self, MalformedBody> {
        let body = JsonBody::new(body);
        let json = body.json().map_err(|error| MalformedBody::NotJson(error.to_string()))?;
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
