//! Moves of the cursors of System Logs, each in the transaction of the append that stores the cursor's page.

use sqlx::postgres::PgConnection;

use super::StoreError;
use crate::event::Timestamp;

/// A move of a cursor past a page of the System Log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// The configured name of the Okta org.
    pub org: String,
    /// Revision of the cursor before the move. A cursor with another revision does not move.
    pub revision: i64,
    /// Start of reading while there is no link.
    pub start_at: Timestamp,
    /// Okta's link to the next page.
    pub next_link: Option<String>,
    /// Time before which all persisted events have been read. An earlier time than the cursor's has no effect.
    pub read_through: Timestamp,
    /// Time at which the page was read, if it is the last one; None for other pages.
    pub caught_up_at: Option<Timestamp>,
    /// Number of failed event hook deliveries that the page reports.
    pub failed_deliveries: i64,
    /// Time of the newest of these failures.
    pub failed_delivery_at: Option<Timestamp>,
}

/// Moves a cursor, within the transaction that the connection may have open.
///
/// # Errors
/// The database's; [`StoreError::CursorMoved`] if the cursor has another revision.
pub(crate) async fn move_cursor(connection: &mut PgConnection, to: &CursorMove) -> Result<(), StoreError> {
    let moved = sqlx::query(
        "UPDATE poll_cursor SET revision = revision + 1, start_at = $3, next_link = $4, \
         read_through = greatest(read_through, $5), caught_up_at = coalesce($6, caught_up_at), polled_at = now(), \
         failed_deliveries = failed_deliveries + $7, failed_delivery_at = greatest(failed_delivery_at, $8), \
         last_error = NULL WHERE org = $1 AND revision = $2",
    )
    .bind(&to.org)
    .bind(to.revision)
    .bind(to.start_at.date_time())
    .bind(&to.next_link)
    .bind(to.read_through.date_time())
    .bind(to.caught_up_at.map(Timestamp::date_time))
    .bind(to.failed_deliveries)
    .bind(to.failed_delivery_at.map(Timestamp::date_time))
    .execute(connection)
    .await?;
    if moved.rows_affected() == 0 { Err(StoreError::CursorMoved) } else { Ok(()) }
}
