//! The events that every measurement stores, and how they stand in the tables.

use anyhow::{Context as _, Result};
use okta_sim::{Organisation, OrganisationOptions};
use serde_json::value::RawValue;
use sluice::event::{EventColumn, ReceivedEvent, Timestamp};
use sluice::okta::read_event;
use time::{Date, Duration};

/// How many different events there are; they are stored again and again, under new identities.
pub(crate) const POOL: usize = 1024;

/// Events of a stand-in org in its last hour, as event hooks bring them.
pub(crate) fn events(count: usize) -> Result<Vec<ReceivedEvent>> {
    let now = Timestamp::now();
    let mut organisation = Organisation::new(OrganisationOptions { only_for_hooks: true, ..Default::default() });
    let history = organisation.history(count, now.plus(-Duration::HOUR).date_time(), now.date_time());
    history.into_iter().map(|event| received(event.hook_json(), now)).collect()
}

/// An event as the gateway reads it.
pub(crate) fn received(json: String, now: Timestamp) -> Result<ReceivedEvent> {
    let raw = RawValue::from_string(json)?;
    let occurrence = read_event(&raw, now).context("okta-sim made a broken event")?;
    Ok(ReceivedEvent { occurrence, raw: Box::<str>::from(raw).into_string() })
}

/// The first day of the month of an event.
pub(crate) fn month(event: &ReceivedEvent) -> Option<Date> {
    event.occurrence.published.date_time().date().replace_day(1).ok()
}

/// How many bytes an event's JSON has on average.
pub(crate) fn mean_size(events: &[ReceivedEvent]) -> usize {
    events.iter().map(|event| event.raw.len()).sum::<usize>() / events.len().max(1)
}

/// The event whose JSON is nearest to the average size.
pub(crate) fn typical(events: &[ReceivedEvent]) -> Result<&ReceivedEvent> {
    let mean = mean_size(events);
    events.iter().min_by_key(|event| event.raw.len().abs_diff(mean)).context("there are no events")
}

/// The first days of the months in which the events happened.
pub(crate) fn months(events: &[ReceivedEvent]) -> Vec<Date> {
    let mut months: Vec<_> = events.iter().filter_map(month).collect();
    months.sort_unstable();
    months.dedup();
    months
}

/// The names of the columns of `sync_event` that the texts of an event fill, as a list in SQL.
pub(crate) fn text_column_names() -> String {
    EventColumn::texts().filter_map(|column| column.spec().sql_name()).collect::<Vec<_>>().join(", ")
}
