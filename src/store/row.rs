//! Rows of `sync_event` as events.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::event::{Details, Entity, IngestSource, Occurrence, Position, SyncEvent};

/// The columns that [`event`] reads, of an alias `e`.
pub(super) const COLUMNS: &str = "e.position, e.published, e.org, e.uuid, e.event_type, e.message, e.version, \
    e.severity, e.outcome_result, e.outcome_reason, e.admin_id, e.admin_alternate_id, e.admin_display_name, \
    e.admin_type, e.user_id, e.user_alternate_id, e.user_display_name, e.application_user_id, \
    e.application_user_alternate_id, e.application_user_display_name, e.instance_id, e.instance_label, \
    e.instance_display_name, e.application_name, e.debug_data, e.received_at, e.first_source";

/// How many columns those are; the raw event comes after them where it is read along.
pub(super) const COLUMN_COUNT: usize = 27;

/// The events in rows, without those rows in which an outer join found none.
pub(super) fn events(rows: &[PgRow]) -> Result<Vec<SyncEvent>, sqlx::Error> {
    let found = rows.iter().filter(|row| row.try_get::<Option<i64>, _>(0).is_ok_and(|position| position.is_some()));
    found.map(event).collect()
}

/// The event in a row of [`COLUMNS`], and its details where a column `raw` follows them.
pub(super) fn event(row: &PgRow) -> Result<SyncEvent, sqlx::Error> {
    let details = if row.len() > COLUMN_COUNT {
        row.try_get::<Option<String>, _>(COLUMN_COUNT)?.map_or(Details::NotRead, |raw| Details::Read(Arc::from(raw)))
    } else {
        Details::NotRead
    };
    let occurrence = Occurrence {
        uuid: row.try_get(3)?,
        event_type: row.try_get(4)?,
        published: row.try_get::<OffsetDateTime, _>(1)?.into(),
        message: row.try_get(5)?,
        version: row.try_get(6)?,
        severity: row.try_get(7)?,
        outcome_result: row.try_get(8)?,
        outcome_reason: row.try_get(9)?,
        admin: entity(row, 10, || row.try_get::<Option<String>, _>(13).map(Option::unwrap_or_default))?,
        user: entity(row, 14, || Ok("User".to_owned()))?,
        application_user: entity(row, 17, || Ok("AppUser".to_owned()))?,
        application: entity(row, 20, || Ok("AppInstance".to_owned()))?,
        application_name: row.try_get(23)?,
        debug_data: row.try_get(24)?,
    };
    Ok(SyncEvent {
        position: Position::new(row.try_get(0)?),
        org: row.try_get(2)?,
        occurrence,
        received_at: row.try_get::<OffsetDateTime, _>(25)?.into(),
        first_source: IngestSource::from_code(row.try_get(26)?).unwrap_or(IngestSource::EventHook),
        details,
    })
}

/// The entity whose id, alternate id and display name start at a column; an id is null where there is no entity.
fn entity(
    row: &PgRow,
    column: usize,
    kind: impl FnOnce() -> Result<String, sqlx::Error>,
) -> Result<Option<Entity>, sqlx::Error> {
    let Some(id) = row.try_get(column)? else { return Ok(None) };
    Ok(Some(Entity {
        id,
        alternate_id: row.try_get(column + 1)?,
        display_name: row.try_get(column + 2)?,
        kind: kind()?,
    }))
}
