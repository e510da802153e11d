//! Giving events their words, where they were stored before words were kept.

use sqlx::Connection as _;

use super::eras::ERAS;
use super::row::{self, Layout, StoredEvent};
use super::{SearchVector, Store, StoreError};
use crate::event::{EventColumns, SyncEvent};

/// How many events get their words in one transaction: short enough to hold nobody up.
const CHUNK: i64 = 1000;

impl Store {
    /// Gives a chunk of events their words. Gives how many; 0 when all have theirs.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_words(&self) -> Result<usize, StoreError> {
        self.in_time(self.add_words_to_chunk()).await
    }

    async fn add_words_to_chunk(&self) -> Result<usize, StoreError> {
        let mut connection = self.writes.lend().await?;
        let mut transaction = connection.begin().await?;
        let eras = self.eras.keep(sqlx::query_as(ERAS).fetch_all(&mut *transaction).await?)?;
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let sql = format!(
            "SELECT {} FROM sync_event e WHERE e.words IS NULL ORDER BY e.published, e.position LIMIT {CHUNK} \
             FOR UPDATE SKIP LOCKED",
            layout.all
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *transaction).await?;
        let events: Vec<SyncEvent> = row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect();
        sqlx::query(
            "UPDATE sync_event e SET words = w.words FROM unnest($1, $2, $3) AS w (published, position, words) \
             WHERE e.published = w.published AND e.position = w.position",
        )
        .bind(events.iter().map(|event| event.occurrence.published.date_time()).collect::<Vec<_>>())
        .bind(events.iter().filter_map(|event| eras.number(event.position)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| SearchVector::of(&event.occurrence)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        connection.give_back();
        Ok(events.len())
    }
}
