//! Appending to the log: one call, one transaction.

mod function;

pub(super) use function::install_append_function;

use std::collections::HashSet;

use sqlx::error::DatabaseError;
use sqlx::{Connection as _, PgConnection, Postgres};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::eras::ERAS;
use super::kept::KeptConnection;
use super::new_event::{DeliveryRecord, NewEvent};
use super::poll::{CursorMove, move_cursor};
use super::{Store, StoreError};
use crate::event::{Entity, IngestSource, Position, Timestamp};

/// Where an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the log.
    pub position: Position,
    /// Whether this append put it there; false where it was there already.
    pub is_new: bool,
    /// The application's name that it has in the log: the catalogue's where that knew it. None where it is not new.
    pub application_name: Option<String>,
    /// When it was stored, where it is new.
    pub received_at: Timestamp,
}

/// A connection of its own that appends.
#[derive(Debug)]
pub struct Appender {
    connection: KeptConnection,
    store: Store,
}

impl Appender {
    /// Appends events that came by one way, no two of the same org and uuid, and tells for each where it is. All or
    /// nothing: after an error none of them was stored, or, where the connection broke, perhaps all: ask again.
    ///
    /// # Errors
    /// The database's.
    pub async fn append(
        &mut self,
        source: IngestSource,
        events: &[NewEvent],
        deliveries: &[DeliveryRecord],
    ) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.connection.take().await?;
        let written = loop {
            match append(&mut connection, source, events, deliveries).await {
                Err(error) if was_outrun(&error) => {}
                told => break told?,
            }
        };
        let appended = self.appended(&mut connection, written).await?;
        self.connection.keep(connection);
        Ok(appended)
    }

    /// Appends the events of a page of the System Log and moves its cursor: both, or neither.
    ///
    /// # Errors
    /// The database's, or another gateway has moved the cursor.
    pub async fn append_page(
        &mut self,
        source: IngestSource,
        events: &[NewEvent],
        cursor: &CursorMove,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut connection = self.connection.take().await?;
        let written = loop {
            let mut transaction = connection.begin().await?;
            // First, so that the log's head is held for no longer than the append itself takes.
            move_cursor(&mut transaction, cursor).await?;
            if events.is_empty() {
                transaction.commit().await?;
                self.connection.keep(connection);
                return Ok(Vec::new());
            }
            match append_group(&mut transaction, source, events, &[]).await {
                Err(error) if was_outrun(&error) => transaction.rollback().await?,
                told => {
                    let written = told?;
                    transaction.commit().await?;
                    break written;
                }
            }
        };
        let appended = self.appended(&mut connection, written).await?;
        self.connection.keep(connection);
        Ok(appended)
    }

    /// Begins a new era if positions cannot continue in the current one: see [`Store::check_era`]. Installs the function
    /// that appends if a restored database does not have it.
    ///
    /// # Errors
    /// The database's.
    pub async fn recover(&self) -> Result<(), StoreError> {
        self.store.check_era().await?;
        let mut connection = self.store.writes.acquire().await?;
        self.store.writes.in_time(async { Ok(install_append_function(&mut connection).await?) }).await?;
        connection.release();
        Ok(())
    }

    /// Replaces the numbers of written events by their positions.
    async fn appended(&self, connection: &mut PgConnection, written: AppendReply) -> Result<Vec<Appended>, StoreError> {
        let eras = match self.store.eras.ending_in(written.era) {
            Some(eras) => eras,
            None => self.store.keep_eras(sqlx::query_as(ERAS).fetch_all(connection).await?)?,
        };
        if !eras.contains_tag(written.era) {
            // Another log replaced this one in between: only a new append finds out where the events are.
            return Err(StoreError::Restored);
        }
        // An era that has begun since then does not change the numbers of earlier ones.
        let events = written.events.into_iter().map(|event| {
            let position = eras.position(event.number).ok_or(StoreError::DamagedEras)?;
            Ok(Appended {
                position: self.store.note_read(position),
                is_new: event.is_new,
                application_name: event.application_name,
                received_at: written.moment.into(),
            })
        });
        events.collect()
    }
}

/// Result of an append, with the database's numbers for positions.
struct AppendReply {
    events: Vec<ReplyEvent>,
    /// Time at which the events were stored.
    moment: OffsetDateTime,
    /// The tag of the era in which the log ended at that time.
    era: i64,
}

/// An event as the log has it, new or known before.
struct ReplyEvent {
    number: i64,
    is_new: bool,
    application_name: Option<String>,
}

async fn append(
    connection: &mut PgConnection,
    source: IngestSource,
    events: &[NewEvent],
    deliveries: &[DeliveryRecord],
) -> sqlx::Result<AppendReply> {
    if let [event] = events
        && event.event.occurrence.application.is_some()
    {
        match append_lone(connection, source, event, deliveries).await {
            Ok(None) => {}
            Err(error) if was_outrun(&error) => {}
            Ok(Some(written)) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
    append_group(connection, source, events, deliveries).await
}

/// Appends an event of which nothing else is new; tells nothing, and has done nothing, where that is not so.
async fn append_lone(
    connection: &mut PgConnection,
    source: IngestSource,
    event: &NewEvent,
    deliveries: &[DeliveryRecord],
) -> sqlx::Result<Option<AppendReply>> {
    // Read to the end of the answer: its row comes before the commit, and what is told must be durable.
    let mut rows = lone_query(source, event, deliveries).fetch_all(connection).await?;
    Ok(rows.pop().map(|(number, application_name, moment, era)| {
        let event = ReplyEvent { number, is_new: true, application_name };
        AppendReply { events: vec![event], moment, era }
    }))
}

async fn append_group(
    connection: &mut PgConnection,
    source: IngestSource,
    events: &[NewEvent],
    deliveries: &[DeliveryRecord],
) -> sqlx::Result<AppendReply> {
    // Read to the end of the answer, as for a lone event.
    let mut rows = group_query(source, events, deliveries).fetch_all(connection).await?;
    rows.pop()
        .and_then(|row| row.of_events(events.len()))
        .ok_or_else(|| sqlx::Error::Protocol("log_append does not tell of each event".to_owned()))
}

/// Whether somebody has just appended one of the events, or an earlier part of a lone event's delivery was appended before:
/// whoever tries again finds it, so that this ends.
fn was_outrun(error: &sqlx::Error) -> bool {
    let refused = |error: &dyn DatabaseError| matches!(error.constraint(), Some("arrival_pkey" | "delivery_pkey"));
    let outrun = error.as_database_error().is_some_and(refused);
    if outrun {
        metrics::counter!("sluice_appends_outrun_total").increment(1);
    }
    outrun
}

impl Store {
    /// A connection that appends.
    pub fn appender(&self) -> Appender {
        Appender { connection: KeptConnection::of(self.writes.clone()), store: self.clone() }
    }

    /// Makes the partitions of a month, where they are missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_month(&self, first_day: Date) -> Result<(), StoreError> {
        sqlx::query("SELECT log_add_month($1)").bind(first_day).execute(&self.writes).await?;
        Ok(())
    }
}

const APPEND_LONE: &str = include_str!("append/log_append_lone.sql");

/// The answer for a lone event: its number, its application's name, the time at which it was stored, its era's tag.
type LoneRow = (i64, Option<String>, OffsetDateTime, i64);

/// The answer of `log_append`.
#[derive(sqlx::FromRow)]
struct AppendedRow {
    known: Vec<Option<i64>>,
    turns: Vec<Option<i64>>,
    names: Vec<Option<String>>,
    head: i64,
    moment: OffsetDateTime,
    era: i64,
}

impl AppendedRow {
    /// What it tells of so many events, if it tells of each.
    fn of_events(self, number: usize) -> Option<AppendReply> {
        let events = self.known.into_iter().zip(self.turns).zip(self.names);
        let events = events.map(|((known, turn), name)| {
            Some(ReplyEvent {
                number: known.or_else(|| Some(self.head + turn?))?,
                is_new: known.is_none(),
                application_name: name.filter(|_| known.is_none()),
            })
        });
        let events: Vec<_> = events.collect::<Option<_>>()?;
        (events.len() == number).then_some(AppendReply { events, moment: self.moment, era: self.era })
    }
}

type AppendQuery<'q, Row> = sqlx::query::QueryAs<'q, Postgres, Row, sqlx::postgres::PgArguments>;

/// Gives the values of an event, in the order of the parameters of both statements, to another macro.
macro_rules! with_event_values {
    ($each:ident!($($context:tt)*)) => {
        $each!($($context)*,
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
            |new| &new.words,
            |new| new.delivery,
        )
    };
}

/// Binds columns, each an array with one value per row.
macro_rules! bind_columns {
    ($query:expr, $rows:expr, $(|$row:ident| $value:expr),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+
    };
}

/// Binds the values of one row.
macro_rules! bind_values {
    ($query:expr, $from:expr, $(|$row:ident| $value:expr),+ $(,)?) => {
        $query$(.bind({ let $row = $from; $value }))+
    };
}

fn group_query<'q>(
    source: IngestSource,
    events: &'q [NewEvent],
    deliveries: &'q [DeliveryRecord],
) -> AppendQuery<'q, AppendedRow> {
    let query = with_event_values!(bind_columns!(sqlx::query_as(function::call()), events)).bind(source.code());
    let named: HashSet<Uuid> = events.iter().filter_map(|new| new.delivery).collect();
    let deliveries: Vec<_> = deliveries.iter().filter(|delivery| named.contains(&delivery.id)).collect();
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
    .bind(events.iter().map(NewEvent::comings_in_sql).collect::<Vec<_>>())
}

fn lone_query<'q>(
    source: IngestSource,
    event: &'q NewEvent,
    deliveries: &'q [DeliveryRecord],
) -> AppendQuery<'q, LoneRow> {
    let delivery = deliveries.iter().find(|delivery| event.delivery == Some(delivery.id));
    with_event_values!(bind_values!(sqlx::query_as(APPEND_LONE), event))
        .bind(source.code())
        .bind(delivery.and_then(|delivery| delivery.event_id.as_deref()))
        .bind(delivery.and_then(|delivery| delivery.event_time).map(Timestamp::date_time))
        .bind(delivery.and_then(|delivery| delivery.source.as_deref()))
        .bind(delivery.map(|delivery| delivery.headers.as_str()))
        .bind(event.comings_in_sql())
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
