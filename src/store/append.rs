//! Appending to the log: one call, one transaction.

use time::Date;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::event::{Entity, IngestSource, Position, ReceivedEvent, Timestamp};

/// An event to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The configured name of the Okta org it came from.
    pub org: String,
    /// The event.
    pub event: ReceivedEvent,
    /// The event hook delivery that brings it.
    pub delivery: Option<Uuid>,
}

/// An event hook delivery to be kept if it brings an event first.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// sluice's own id of it.
    pub id: Uuid,
    /// The configured name of the Okta org.
    pub org: String,
    /// The envelope's id.
    pub event_id: Option<String>,
    /// The envelope's time.
    pub event_time: Option<Timestamp>,
    /// The envelope's source.
    pub source: Option<String>,
    /// The request's headers as JSON, secrets redacted.
    pub headers: String,
}

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the log.
    pub position: Position,
    /// Whether this append put it there; false where it was there already.
    pub is_new: bool,
}

impl Store {
    /// Appends events that came by one way, no two of the same org and uuid, and tells for each where it is. All or
    /// nothing: after an error none of them was stored, or, where the connection broke, perhaps all: ask again.
    ///
    /// # Errors
    /// The database's.
    pub async fn append(
        &self,
        source: IngestSource,
        events: &[NewEvent],
        deliveries: &[DeliveryRecord],
    ) -> Result<Vec<Appended>, StoreError> {
        let rows: Vec<(i64, i64, bool)> = bind(sqlx::query_as(APPEND), source, events, deliveries)
            .fetch_all(&self.writes)
            .await?;
        let mut appended = vec![Appended { position: Position::START, is_new: false }; events.len()];
        for (ordinal, position, is_new) in rows {
            let slot = usize::try_from(ordinal - 1).ok().and_then(|index| appended.get_mut(index));
            if let Some(slot) = slot {
                *slot = Appended { position: Position::new(position), is_new };
            }
        }
        Ok(appended)
    }

    /// Makes the partitions of a month, where they are missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_month(&self, first_day: Date) -> Result<(), StoreError> {
        sqlx::query("SELECT log_add_month($1)").bind(first_day).execute(&self.writes).await?;
        Ok(())
    }

    /// Starts a new era, as after a restore that the database itself cannot tell from none.
    ///
    /// # Errors
    /// The database's.
    pub async fn new_era(&self, reason: &str) -> Result<Position, StoreError> {
        let start = sqlx::query_scalar("SELECT log_new_era($1)").bind(reason).fetch_one(&self.writes).await?;
        Ok(Position::new(start))
    }
}

const APPEND: &str = "SELECT * FROM log_append($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,\
                      $21,$22,$23,$24,$25,$26,$27,$28,$29,$30,$31,$32,$33)";

type AppendQuery<'q> = sqlx::query::QueryAs<'q, sqlx::Postgres, (i64, i64, bool), sqlx::postgres::PgArguments>;

/// Binds a list of columns, each an array with one value per event.
macro_rules! bind_columns {
    ($query:expr, $rows:expr, $($value:expr),+ $(,)?) => {{
        let query = $query;
        $(let query = query.bind($rows.iter().map($value).collect::<Vec<_>>());)+
        query
    }};
}

fn bind<'q>(
    query: AppendQuery<'q>,
    source: IngestSource,
    events: &'q [NewEvent],
    deliveries: &'q [DeliveryRecord],
) -> AppendQuery<'q> {
    let query = bind_columns!(
        query,
        events,
        |new| new.org.as_str(),
        |new| new.event.occurrence.uuid,
        |new| new.event.occurrence.event_type.as_str(),
        |new| new.event.occurrence.published.date_time(),
        |new| new.event.occurrence.message.as_deref(),
        |new| new.event.occurrence.version.as_deref(),
        |new| new.event.occurrence.severity.as_deref(),
        |new| new.event.occurrence.outcome_result.as_deref(),
        |new| new.event.occurrence.outcome_reason.as_deref(),
        |new| id(new.event.occurrence.admin.as_ref()),
        |new| alternate_id(new.event.occurrence.admin.as_ref()),
        |new| display_name(new.event.occurrence.admin.as_ref()),
        |new| new.event.occurrence.admin.as_ref().map(|admin| admin.kind.as_str()),
        |new| id(new.event.occurrence.user.as_ref()),
        |new| alternate_id(new.event.occurrence.user.as_ref()),
        |new| display_name(new.event.occurrence.user.as_ref()),
        |new| id(new.event.occurrence.application_user.as_ref()),
        |new| alternate_id(new.event.occurrence.application_user.as_ref()),
        |new| display_name(new.event.occurrence.application_user.as_ref()),
        |new| id(new.event.occurrence.application.as_ref()),
        |new| alternate_id(new.event.occurrence.application.as_ref()),
        |new| display_name(new.event.occurrence.application.as_ref()),
        |new| new.event.occurrence.application_name.as_deref(),
        |new| new.event.occurrence.debug_data.as_deref(),
        |new| new.event.raw.as_str(),
        |new| new.delivery,
    )
    .bind(source.code());
    bind_columns!(
        query,
        deliveries,
        |delivery| delivery.id,
        |delivery| delivery.org.as_str(),
        |delivery| delivery.event_id.as_deref(),
        |delivery| delivery.event_time.map(Timestamp::date_time),
        |delivery| delivery.source.as_deref(),
        |delivery| delivery.headers.as_str(),
    )
}

fn id(entity: Option<&Entity>) -> Option<&str> {
    entity.map(|entity| entity.id.as_str())
}

fn alternate_id(entity: Option<&Entity>) -> Option<&str> {
    entity.and_then(|entity| entity.alternate_id.as_deref())
}

fn display_name(entity: Option<&Entity>) -> Option<&str> {
    entity.and_then(|entity| entity.display_name.as_deref())
}
