//! Giving events the application name that was learned after they were stored.

use sqlx::Connection as _;

use super::{Store, StoreError};

/// How many events get their name in one transaction: short enough to hold nobody up.
const CHUNK: i64 = 1000;

impl Store {
    /// Names a chunk of the events whose application has become known since. Gives how many; 0 when all have theirs.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_events(&self) -> Result<u64, StoreError> {
        self.in_time(self.name_chunk()).await
    }

    async fn name_chunk(&self) -> Result<u64, StoreError> {
        let mut connection = self.writes.lend().await?;
        let mut transaction = connection.begin().await?;
        let found: Option<(String, String, String)> = sqlx::query_as(
            "SELECT org, instance_id, application FROM application_instance \
             WHERE unnamed_count > 0 AND application IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED",
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((org, instance, application)) = found else {
            transaction.commit().await?;
            connection.give_back();
            return Ok(0);
        };
        let named = sqlx::query(
            "UPDATE sync_event e SET application_name = $3 FROM (SELECT published, position FROM sync_event \
             WHERE instance_id = $2 AND org = $1 AND application_name IS NULL ORDER BY published, position LIMIT $4) n \
             WHERE e.published = n.published AND e.position = n.position",
        )
        .bind(&org)
        .bind(&instance)
        .bind(&application)
        .bind(CHUNK)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        // Append adds to the count while it holds this row's lock, so none is forgotten: fewer than a chunk is all.
        let done = named < CHUNK.unsigned_abs();
        sqlx::query(
            "UPDATE application_instance SET unnamed_count = CASE WHEN $3 THEN 0 ELSE unnamed_count END \
             WHERE org = $1 AND instance_id = $2",
        )
        .bind(&org)
        .bind(&instance)
        .bind(done)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        connection.give_back();
        Ok(named.max(1))
    }
}
