//! Backfill of application names: events that were stored before the gateway knew the application of their instance.

use sqlx::{Connection as _, QueryBuilder};

use super::windows::MonthWindow;
use super::{Store, StoreError};
use crate::postgres::named_row::named_row;

/// Number of events that one transaction changes, so that it is short and delays no append for long.
const CHUNK: i64 = 1000;

named_row! {
    /// An application instance whose application is known, and some of whose events lack the application's name.
    struct UnnamedInstance {
        org: String,
        instance_id: String,
        application: String,
        unnamed_count: i64,
    }
}

impl Store {
    /// Stores the application's name in events of one instance that lack it: in one chunk of them or, in a log of many
    /// months, in all of them, window by window. Returns the number of changed events, or 1 if the instance turned out to
    /// have none; returns 0 if no instance has such events, or if another gateway is changing them.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_events(&self) -> Result<u64, StoreError> {
        let found: Option<UnnamedInstance> = sqlx::query_as(
            "SELECT org, instance_id, application, unnamed_count FROM application_instance \
             WHERE unnamed_count > 0 AND application IS NOT NULL LIMIT 1",
        )
        .fetch_optional(&self.writes)
        .await?;
        let Some(instance) = found else { return Ok(0) };
        let windows = self.all_windows().await?;
        let (mut total, is_one) = (0, windows.len() == 1);
        for window in &windows {
            loop {
                let Some(named) = self.writes.with_time_limit(self.name_chunk(&instance, window, is_one)).await? else {
                    return Ok(total);
                };
                total += named;
                if is_one || named < CHUNK.unsigned_abs() {
                    break;
                }
            }
        }
        if !is_one {
            // Each append of an event without a name raises the count. So if the count is unchanged, no event lacks its
            // name.
            sqlx::query(
                "UPDATE application_instance SET unnamed_count = 0 \
                 WHERE org = $1 AND instance_id = $2 AND unnamed_count = $3",
            )
            .bind(&instance.org)
            .bind(&instance.instance_id)
            .bind(instance.unnamed_count)
            .execute(&self.writes)
            .await?;
        }
        Ok(total.max(1))
    }

    /// Stores the application's name in a chunk of an instance's events in one window, in one transaction. Returns None
    /// if another gateway is changing the instance's events, or has finished. If the window is `all` of the log, a chunk
    /// that is not full is the last one.
    async fn name_chunk(
        &self,
        instance: &UnnamedInstance,
        window: &MonthWindow,
        all: bool,
    ) -> Result<Option<u64>, StoreError> {
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        let locked = sqlx::query(
            "SELECT FROM application_instance WHERE org = $1 AND instance_id = $2 AND unnamed_count > 0 \
             FOR UPDATE SKIP LOCKED",
        )
        .bind(&instance.org)
        .bind(&instance.instance_id)
        .fetch_optional(&mut *transaction)
        .await?;
        if locked.is_none() {
            transaction.commit().await?;
            connection.release();
            return Ok(None);
        }
        let mut query = QueryBuilder::new("UPDATE sync_event e SET application_name = ");
        query.push_bind(&instance.application);
        query.push(" FROM (SELECT e.published, e.position FROM sync_event e WHERE e.instance_id = ");
        query.push_bind(&instance.instance_id).push(" AND e.org = ").push_bind(&instance.org);
        query.push(" AND e.application_name IS NULL");
        window.push(&mut query, "e");
        query.push(" ORDER BY e.published, e.position LIMIT ").push_bind(CHUNK);
        query.push(") n WHERE e.published = n.published AND e.position = n.position");
        window.push(&mut query, "e");
        let named = query.build().persistent(all).execute(&mut *transaction).await?.rows_affected();
        // An append holds this row's lock while it raises the count, so no event is missed.
        if all && named < CHUNK.unsigned_abs() {
            sqlx::query("UPDATE application_instance SET unnamed_count = 0 WHERE org = $1 AND instance_id = $2")
                .bind(&instance.org)
                .bind(&instance.instance_id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        connection.release();
        Ok(Some(named))
    }
}
