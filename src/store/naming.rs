//! Giving events the application name that was learned after they were stored.

use sqlx::{Connection as _, QueryBuilder};

use super::windows::Window;
use super::{Store, StoreError};

/// How many events get their name in one transaction: short enough to hold nobody up.
const CHUNK: i64 = 1000;

/// An application instance some of whose events lack the name of their application, which is known by now.
#[derive(sqlx::FromRow)]
struct InstanceToName {
    org: String,
    instance_id: String,
    application: String,
    unnamed_count: i64,
}

impl Store {
    /// Names a chunk of the events whose application has become known since; in a log of many months, a window after the
    /// other, all that one instance has. Gives how many, at least 1; 0 when all have theirs.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_events(&self) -> Result<u64, StoreError> {
        let found: Option<InstanceToName> = sqlx::query_as(
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
                let Some(named) = self.in_time(self.name_chunk(&instance, window, is_one)).await? else {
                    return Ok(total);
                };
                total += named;
                if is_one || named < CHUNK.unsigned_abs() {
                    break;
                }
            }
        }
        if !is_one {
            // What was appended without a name meanwhile was counted: all had theirs where the count has not changed.
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

    /// Names a chunk of an instance's events in a window, in a transaction; None where another gateway is at it. Where
    /// the window is `all` there is, fewer than a chunk are the last ones.
    async fn name_chunk(
        &self,
        instance: &InstanceToName,
        window: &Window,
        all: bool,
    ) -> Result<Option<u64>, StoreError> {
        let mut connection = self.writes.lend().await?;
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
            connection.give_back();
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
        // Append adds to the count while it holds this row's lock, so none is forgotten.
        if all && named < CHUNK.unsigned_abs() {
            sqlx::query("UPDATE application_instance SET unnamed_count = 0 WHERE org = $1 AND instance_id = $2")
                .bind(&instance.org)
                .bind(&instance.instance_id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        connection.give_back();
        Ok(Some(named))
    }
}
