//! A page of events, newest first, by keyset: one statement, whatever its depth.

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, PgPool};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::SyncEvent;

/// The columns of an event.
pub(crate) const COLUMNS: &str = "e.position, e.published, e.org, e.uuid, e.event_type, e.message, e.version, e.severity, \
    e.outcome_result, e.outcome_reason, e.admin_id, e.admin_alternate_id, e.admin_display_name, e.admin_type, e.user_id, \
    e.user_alternate_id, e.user_display_name, e.application_user_id, e.application_user_alternate_id, \
    e.application_user_display_name, e.instance_id, e.instance_label, e.instance_display_name, e.received_at";

/// The place of an event in a page: its time and its position.
pub(crate) type Cursor = (OffsetDateTime, i64);

/// Reads events of some instances, or of all, after a cursor.
pub(crate) async fn read(
    pool: &PgPool,
    instances: Option<Vec<String>>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<SyncEvent>> {
    let (bound, (published, position)) = match after {
        // The bound on published alone is redundant, and lets the planner leave out partitions.
        Some(cursor) => ("AND published <= $2 AND (published, position) < ($2, $3)", cursor),
        None => ("AND $2::timestamptz IS NOT NULL AND $3::bigint IS NOT NULL", (OffsetDateTime::UNIX_EPOCH, 0)),
    };
    let by_instance = match &instances {
        // An equality keeps the index's order; ANY would sort.
        Some(instances) if instances.len() == 1 => "instance_id = $4[1]",
        Some(_) => "instance_id = ANY($4)",
        None => "$4::text[] IS NULL",
    };
    let statement = format!(
        "SELECT {COLUMNS} FROM sync_event e WHERE {by_instance} {bound} ORDER BY published DESC, position DESC LIMIT $1"
    );
    let query = sqlx::query_as(AssertSqlSafe(statement)).bind(i64::try_from(limit)?);
    Ok(query.bind(published).bind(position).bind(instances).fetch_all(pool).await?)
}

/// Writes the cursor of an event.
pub(crate) fn cursor(event: &SyncEvent) -> String {
    format!("{} {}", event.published, event.position)
}

/// Reads what [`cursor`] wrote.
pub(crate) fn read_cursor(text: &str) -> Result<Cursor> {
    let (published, position) = text.split_once(' ').context("after is no cursor of this list")?;
    Ok((OffsetDateTime::parse(published, &Rfc3339)?, position.parse()?))
}
