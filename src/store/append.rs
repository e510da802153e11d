//! Appends to the log, each in one transaction.

mod function;
mod statements;
mod template;

pub(super) use function::install_append_function;

use sqlx::error::DatabaseError;
use sqlx::{Connection as _, PgConnection};
use time::Date;

use super::cursor_move::{CursorMove, move_cursor};
use super::eras::ERAS;
use super::new_event::{DeliveryRecord, NewEvent};
use super::{Store, StoreError};
use crate::event::{EventColumn, IngestSource, Position, Timestamp};
use crate::postgres::kept::KeptConnection;
use statements::{AppendReply, ReplyEvent, group_query, lone_query};

/// The result of an append for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The event's position in the log.
    pub position: Position,
    /// True if this append stored the event; false if the log had it before.
    pub is_new: bool,
    /// The name of the event's application in the log, preferably from the catalogue; None unless the event is new.
    pub application_name: Option<String>,
    /// Time at which the event was stored, if it is new.
    pub received_at: Timestamp,
}

/// An appender, which keeps a connection between appends.
#[derive(Debug)]
pub struct Appender {
    connection: KeptConnection,
    store: Store,
}

impl Appender {
    /// Appends events that came by one way, and returns the result for each. No two of them may have the same org and uuid.
    /// The events are stored all together or not at all.
    ///
    /// # Errors
    /// The database's. If the connection broke, the events may have been stored: the caller must append them again, which
    /// finds them.
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
                written => break written?,
            }
        };
        let appended = self.appended(&mut connection, written).await?;
        self.connection.keep(connection);
        Ok(appended)
    }

    /// Appends the events of a page of the System Log and moves the cursor past the page, in one transaction.
    ///
    /// # Errors
    /// The database's; [`StoreError::CursorMoved`] if another gateway has moved the cursor.
    pub async fn append_page(
        &mut self,
        source: IngestSource,
        events: &[NewEvent],
        cursor: &CursorMove,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut connection = self.connection.take().await?;
        let written = loop {
            let mut transaction = connection.begin().await?;
            // The cursor moves first, so that the log's head is locked only during the append itself.
            move_cursor(&mut transaction, cursor).await?;
            if events.is_empty() {
                transaction.commit().await?;
                self.connection.keep(connection);
                return Ok(Vec::new());
            }
            match append_group(&mut transaction, source, events, &[]).await {
                Err(error) if was_outrun(&error) => transaction.rollback().await?,
                written => {
                    let written = written?;
                    transaction.commit().await?;
                    break written;
                }
            }
        };
        let appended = self.appended(&mut connection, written).await?;
        self.connection.keep(connection);
        Ok(appended)
    }

    /// Prepares a restored database for appends: begins a new era if [`Store::check_era`] requires one, and installs the
    /// append function if it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn recover(&self) -> Result<(), StoreError> {
        self.store.check_era().await?;
        let mut connection = self.store.writes.acquire().await?;
        self.store
            .writes
            .with_time_limit(async { install_append_function(&mut connection).await.map_err(StoreError::from) })
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
            // Another log has replaced this one in between. Only a new append finds the events' positions.
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

/// Appends one event by the fast statement. Returns None, without any change, if the statement cannot append this event.
async fn append_lone(
    connection: &mut PgConnection,
    source: IngestSource,
    event: &NewEvent,
    deliveries: &[DeliveryRecord],
) -> sqlx::Result<Option<AppendReply>> {
    // `fetch_all` reads to the end of the answer, since the row comes before the commit.
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
    // `fetch_all` reads to the end of the answer, since the row comes before the commit.
    let mut rows = group_query(source, events, deliveries).fetch_all(connection).await?;
    rows.pop()
        .and_then(|row| row.of_events(events.len()))
        .ok_or_else(|| sqlx::Error::Protocol("log_append returned no result for some events".to_owned()))
}

/// Returns true for the error of an append that lost a race: another append has just stored one of the events, or another
/// event of a lone event's delivery. A second attempt then finds it in the log.
fn was_outrun(error: &sqlx::Error) -> bool {
    let refused = |error: &dyn DatabaseError| matches!(error.constraint(), Some("arrival_pkey" | "delivery_pkey"));
    let outrun = error.as_database_error().is_some_and(refused);
    if outrun {
        metrics::counter!("sluice_appends_outrun_total").increment(1);
    }
    outrun
}

impl Store {
    /// Returns an appender, which takes a connection at its first append.
    pub fn appender(&self) -> Appender {
        Appender { connection: KeptConnection::of(self.writes.clone()), store: self.clone() }
    }

    /// Creates the partition of a month unless it exists.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_month(&self, first_day: Date) -> Result<(), StoreError> {
        sqlx::query("SELECT log_add_month($1)").bind(first_day).execute(&self.writes).await?;
        Ok(())
    }
}
