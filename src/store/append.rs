//! Appending to the log: one call, one transaction.

mod function;
mod statements;
mod template;

pub(super) use function::install_append_function;

use sqlx::error::DatabaseError;
use sqlx::{Connection as _, PgConnection};
use time::Date;

use super::eras::ERAS;
use super::new_event::{DeliveryRecord, NewEvent};
use super::poll::{CursorMove, move_cursor};
use super::{Store, StoreError};
use crate::event::{EventColumn, IngestSource, Position, Timestamp};
use crate::postgres::kept::KeptConnection;
use statements::{AppendReply, ReplyEvent, group_query, lone_query};

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
        self.store
            .writes
            .in_time(async { install_append_function(&mut connection).await.map_err(StoreError::from) })
            .await?;
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

async fn append(
    connection: &mut PgConnection,
    source: IngestSource,
    events: &[NewEvent],
    deliveries: &[DeliveryRecord],
) -> sqlx::Result<AppendReply> {
    if let [event] = events
        && event.event.occurrence.text(EventColumn::InstanceId).is_some()
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
