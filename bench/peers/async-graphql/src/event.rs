//! The part of the graph that the pages ask for, under sluice's names.

use async_graphql::{Enum, ID, SimpleObject};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

#[derive(Clone, SimpleObject)]
pub(crate) struct SyncEvent {
    id: ID,
    pub(crate) position: String,
    org: String,
    uuid: String,
    event_type: String,
    pub(crate) published: String,
    message: Option<String>,
    version: Option<String>,
    severity: Option<Severity>,
    outcome: Option<Outcome>,
    admin: Option<Entity>,
    user: Option<Entity>,
    application_user: Option<Entity>,
    application: Option<Entity>,
    received_at: String,
}

#[derive(Clone, Copy, Enum, PartialEq, Eq)]
enum Severity {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, SimpleObject)]
struct Outcome {
    result: String,
    reason: Option<String>,
}

#[derive(Clone, SimpleObject)]
struct Entity {
    okta_id: Option<String>,
    alternate_id: Option<String>,
    display_name: Option<String>,
    r#type: String,
}

impl FromRow<'_, PgRow> for SyncEvent {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let position: i64 = row.try_get("position")?;
        let result: Option<String> = row.try_get("outcome_result")?;
        let reason = row.try_get("outcome_reason")?;
        Ok(Self {
            id: ID(format!("SyncEvent:{position}")),
            position: position.to_string(),
            org: row.try_get("org")?,
            uuid: row.try_get::<Uuid, _>("uuid")?.to_string(),
            event_type: row.try_get("event_type")?,
            published: in_words(row.try_get("published")?),
            message: row.try_get("message")?,
            version: row.try_get("version")?,
            severity: row.try_get::<Option<String>, _>("severity")?.as_deref().and_then(severity),
            outcome: result.map(|result| Outcome { result, reason }),
            admin: entity(row, "admin", row.try_get("admin_type")?)?,
            user: entity(row, "user", Some("User".to_owned()))?,
            application_user: entity(row, "application_user", Some("AppUser".to_owned()))?,
            application: application(row)?,
            received_at: in_words(row.try_get("received_at")?),
        })
    }
}

fn severity(text: &str) -> Option<Severity> {
    match text {
        "DEBUG" => Some(Severity::Debug),
        "INFO" => Some(Severity::Info),
        "WARN" => Some(Severity::Warn),
        "ERROR" => Some(Severity::Error),
        _ => None,
    }
}

fn entity(row: &PgRow, name: &str, r#type: Option<String>) -> sqlx::Result<Option<Entity>> {
    let column = |suffix: &str| row.try_get::<Option<String>, _>(format!("{name}_{suffix}").as_str());
    let (okta_id @ Some(_), Some(r#type)) = (column("id")?, r#type) else { return Ok(None) };
    Ok(Some(Entity { okta_id, alternate_id: column("alternate_id")?, display_name: column("display_name")?, r#type }))
}

fn application(row: &PgRow) -> sqlx::Result<Option<Entity>> {
    let okta_id @ Some(_) = row.try_get("instance_id")? else { return Ok(None) };
    Ok(Some(Entity {
        okta_id,
        alternate_id: row.try_get("instance_label")?,
        display_name: row.try_get("instance_display_name")?,
        r#type: "AppInstance".to_owned(),
    }))
}

/// Writes a time as JSON has it, with at least three digits of the second's fraction.
fn in_words(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    let mut text = time.format(&format).unwrap_or_default();
    for _ in 0..3 {
        if text.ends_with('0') {
            text.pop();
        }
    }
    text.push('Z');
    text
}
