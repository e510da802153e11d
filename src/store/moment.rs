//! The place in the log where the events begin that were stored at or after a moment.

use super::eras::MAX_ATTEMPTS;
use super::{Store, StoreError};
use crate::event::{Position, Timestamp};

/// Finds the number before the first event whose first arrival is at or after a moment; the log's end if there is none.
/// Arrivals grow with positions, unless the database's clock was set back. So a binary search finds where events came
/// ten seconds before the moment, and a scan goes on from there: it finds the first event though the clock was set
/// back by as much. No index on times is needed, which each append would have to keep up.
const NUMBER_BEFORE: &str = "\
    WITH RECURSIVE head AS (SELECT h.position, h.era FROM log_head h WHERE h.tableoid = h.home), \
    bisection (low, high) AS ( \
        SELECT 0::bigint, h.position FROM head h \
        UNION ALL \
        SELECT CASE WHEN f.is_before THEN f.position ELSE b.low END, \
            CASE WHEN f.is_before THEN b.high ELSE b.low + (b.high - b.low) / 2 END \
        FROM bisection b LEFT JOIN LATERAL ( \
            SELECT a.position, LEAST(a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at, a.log_stream_at) \
                < $1 - interval '10 s' AS is_before \
            FROM arrival a WHERE a.position > b.low + (b.high - b.low) / 2 AND a.position <= b.high \
            ORDER BY a.position LIMIT 1 \
        ) f ON true \
        WHERE b.low < b.high \
    ) \
    SELECT coalesce(( \
        SELECT a.position - 1 FROM arrival a \
        WHERE a.position > (SELECT b.low FROM bisection b WHERE b.low = b.high) AND a.position <= h.position \
            AND LEAST(a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at, a.log_stream_at) >= $1 \
        ORDER BY a.position LIMIT 1 \
    ), h.position), h.era FROM head h";

impl Store {
    /// Returns the position right before the first event that was stored at or after a moment, by the database's clock;
    /// the log's end if there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn position_before(&self, moment: Timestamp) -> Result<Position, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let row: Option<(i64, i64)> =
                sqlx::query_as(NUMBER_BEFORE).bind(moment.date_time()).fetch_optional(&self.reads).await?;
            let (number, tag) = row.ok_or(StoreError::Restored)?;
            if let Some(eras) = self.eras_ending_in(tag).await? {
                return eras.position(number).ok_or(StoreError::DamagedEras);
            }
        }
        Err(StoreError::Changing)
    }
}
