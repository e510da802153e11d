//! Backfill of search words: events that were stored before the log had a column for words.

use sqlx::{Connection as _, QueryBuilder};

use super::eras::ERAS;
use super::row::{self, Layout, StoredEvent};
use super::windows::MonthWindow;
use super::{SearchVector, Store, StoreError};
use crate::event::{EventColumns, SyncEvent};

/// Number of events that one transaction changes, so that it is short and delays no append for long.
const CHUNK: i64 = 1000;

impl Store {
    /// Stores the words of a chunk of events that lack them; in a log of many months those of all events, window by
    /// window. Returns the number of changed events: 0 once every event has its words.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_words(&self) -> Result<usize, StoreError> {
        let windows = self.all_windows().await?;
        let mut total = 0;
        for window in &windows {
            loop {
                let changed = self.writes.with_time_limit(self.add_words_within(window)).await?;
                total += changed;
                if changed == 0 || windows.len() == 1 {
                    break;
                }
            }
        }
        Ok(total)
    }

    async fn add_words_within(&self, window: &MonthWindow) -> Result<usize, StoreError> {
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        let eras = self.keep_eras(sqlx::query_as(ERAS).fetch_all(&mut *transaction).await?)?;
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let mut query = QueryBuilder::new("SELECT ");
        query.push(&layout.list).push(" FROM sync_event e WHERE e.words IS NULL");
        window.push(&mut query, "e");
        query.push(format!(" ORDER BY e.published, e.position LIMIT {CHUNK} FOR UPDATE SKIP LOCKED"));
        let rows = query.build().persistent(false).fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            transaction.commit().await?;
            connection.release();
            return Ok(0);
        }
        let events: Vec<SyncEvent> = row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect();
        let mut query = QueryBuilder::new("UPDATE sync_event e SET words = w.words FROM unnest(");
        query.push_bind(events.iter().map(|event| event.occurrence.published.date_time()).collect::<Vec<_>>());
        let numbers: Vec<_> = events.iter().filter_map(|event| eras.number(event.position)).collect();
        query.push("::timestamptz[], ").push_bind(numbers);
        query.push("::bigint[], ");
        query.push_bind(events.iter().map(|event| SearchVector::of(&event.occurrence)).collect::<Vec<_>>());
        query.push(
            "::tsvector[]) AS w (published, position, words) WHERE e.published = w.published AND e.position = w.position",
        );
        window.push(&mut query, "e");
        // The statement must be prepared: sqlx first looks up the type `tsvector[]`, and would lose an unprepared one.
        query.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
        connection.release();
        Ok(events.len())
    }
}
