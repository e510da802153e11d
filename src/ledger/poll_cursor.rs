//! The cursors with which gateways read each org's System Log.

use time::OffsetDateTime;

use super::Ledger;
use crate::event::Timestamp;
use crate::postgres::named_row::named_row;
use crate::store::{CursorMove, StoreError, move_cursor};

/// A cursor in the System Log of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollCursor {
    /// The configured name of the Okta org.
    pub org: String,
    /// Number of the cursor's state, which each move increments.
    pub revision: i64,
    /// Digest of the System Log filter.
    pub filter: String,
    /// Time from which the System Log is read with this filter.
    pub backfill_from: Timestamp,
    /// Start of reading while there is no link, as a time at which Okta persisted events.
    pub start_at: Timestamp,
    /// Okta's link to the next page.
    pub next_link: Option<String>,
    /// Time before which all persisted events have been read.
    pub read_through: Timestamp,
    /// Time at which the end of the System Log was last reached; None if it never was.
    pub caught_up_at: Option<Timestamp>,
    /// Time of Okta's last answer.
    pub polled_at: Option<Timestamp>,
    /// Number of failed event hook deliveries that the System Log has reported.
    pub failed_deliveries: i64,
    /// Time of the newest of these failures.
    pub failed_delivery_at: Option<Timestamp>,
    /// Error of the last request; None if it succeeded.
    pub last_error: Option<PollError>,
}

/// The error of a request for a page of a System Log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollError {
    /// Error, in words.
    pub message: String,
    /// Time at which it was stored.
    pub at: Timestamp,
}

named_row! {
    struct Row {
        org: String,
        revision: i64,
        filter: String,
        backfill_from: OffsetDateTime,
        start_at: OffsetDateTime,
        next_link: Option<String>,
        read_through: OffsetDateTime,
        caught_up_at: Option<OffsetDateTime>,
        polled_at: Option<OffsetDateTime>,
        failed_deliveries: i64,
        failed_delivery_at: Option<OffsetDateTime>,
        last_error: Option<String>,
        last_error_at: Option<OffsetDateTime>,
    }
}

impl Ledger {
    /// Returns the cursor of an org, for the gateway that moves it.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_cursor(&self, org: &str) -> Result<Option<PollCursor>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM poll_cursor WHERE org = $1").bind(org);
        let row: Option<Row> = query.fetch_optional(&self.writes).await?;
        Ok(row.map(PollCursor::from))
    }

    /// Returns the cursors of all orgs.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_cursors(&self) -> Result<Vec<PollCursor>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM poll_cursor ORDER BY org").fetch_all(&self.reads).await?;
        Ok(rows.into_iter().map(PollCursor::from).collect())
    }

    /// Sets the cursor of an org to a time, for reading with a filter from there, and returns it.
    ///
    /// # Errors
    /// The database's.
    pub async fn start_poll(&self, org: &str, filter: &str, from: Timestamp) -> Result<PollCursor, StoreError> {
        let row: Row = sqlx::query_as(
            "INSERT INTO poll_cursor AS p (org, filter, backfill_from, start_at, read_through) \
             VALUES ($1, $2, $3, $3, $3) ON CONFLICT (org) DO UPDATE SET revision = p.revision + 1, \
             filter = excluded.filter, backfill_from = excluded.backfill_from, start_at = excluded.start_at, \
             next_link = NULL, read_through = excluded.read_through, caught_up_at = NULL RETURNING *",
        )
        .bind(org)
        .bind(filter)
        .bind(from.date_time())
        .fetch_one(&self.writes)
        .await?;
        Ok(row.into())
    }

    /// Moves a cursor past a page without events to append.
    ///
    /// # Errors
    /// The database's; [`StoreError::CursorMoved`] if another gateway has moved the cursor.
    pub async fn move_cursor(&self, to: &CursorMove) -> Result<(), StoreError> {
        let mut connection = self.writes.acquire().await?;
        let moved = self.writes.with_time_limit(move_cursor(&mut connection, to)).await;
        if matches!(moved, Ok(()) | Err(StoreError::CursorMoved)) {
            connection.release();
        }
        moved
    }

    /// Stores the error of a failed request.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_failed(&self, org: &str, error: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE poll_cursor SET last_error = $2, last_error_at = now() WHERE org = $1")
            .bind(org)
            .bind(error.replace('\0', "\u{fffd}"))
            .execute(&self.writes)
            .await?;
        Ok(())
    }
}

impl From<Row> for PollCursor {
    fn from(row: Row) -> Self {
        Self {
            org: row.org,
            revision: row.revision,
            filter: row.filter,
            backfill_from: row.backfill_from.into(),
            start_at: row.start_at.into(),
            next_link: row.next_link,
            read_through: row.read_through.into(),
            caught_up_at: row.caught_up_at.map(Timestamp::from),
            polled_at: row.polled_at.map(Timestamp::from),
            failed_deliveries: row.failed_deliveries,
            failed_delivery_at: row.failed_delivery_at.map(Timestamp::from),
            last_error: row.last_error.map(|message| PollError {
                message,
                at: row.last_error_at.map_or_else(Timestamp::now, Timestamp::from),
            }),
        }
    }
}
