//! Updates of the catalogue from Okta's Apps API. Appends update it from events.

use std::collections::HashSet;

use sqlx::Connection as _;

use super::Catalogue;
use crate::event::Timestamp;
use crate::store::StoreError;

/// An application instance in a list of the Apps API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceListing {
    /// Okta's id.
    pub instance_id: String,
    /// Okta's key of the instance's application.
    pub application: Option<String>,
    /// The label that Okta's admins gave to the instance.
    pub label: Option<String>,
    /// Okta's status of the instance, such as `ACTIVE`.
    pub status: Option<String>,
}

/// Statement that locks the log's head. An append locks the head and then instances, so every other transaction that
/// changes several instances locks the head first, too: otherwise the two could deadlock.
const LOCK_HEAD: &str = "SELECT position FROM log_head FOR UPDATE";

impl Catalogue {
    /// Stores the instances of an org as they were listed at a moment. A label from a later event stays, and so does a
    /// known application.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_listed(&self, org: &str, listed: &[InstanceListing], at: Timestamp) -> Result<(), StoreError> {
        self.writes.with_time_limit(self.write_listed(org, listed, at)).await
    }

    async fn write_listed(&self, org: &str, listed: &[InstanceListing], at: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        sqlx::query(LOCK_HEAD).execute(&mut *transaction).await?;
        let names: Vec<_> = listed.iter().map(|one| one.application.as_deref()).collect();
        sqlx::query(
            "INSERT INTO application (org, name) SELECT DISTINCT $1, l.name FROM unnest($2::text[]) AS l (name) \
             WHERE l.name IS NOT NULL ON CONFLICT DO NOTHING",
        )
        .bind(org)
        .bind(&names)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO application_instance AS i (org, instance_id, application, label, label_at, status) \
             SELECT DISTINCT ON (l.instance_id) $1, l.instance_id, l.application, l.label, \
                 CASE WHEN l.label IS NOT NULL THEN $6::timestamptz END, l.status \
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) \
                 AS l (instance_id, application, label, status) ORDER BY l.instance_id \
             ON CONFLICT (org, instance_id) DO UPDATE SET \
                 application = coalesce(excluded.application, i.application), status = excluded.status, \
                 label = CASE WHEN excluded.label IS NULL OR i.label_at > $6 THEN i.label ELSE excluded.label END, \
                 label_at = greatest(i.label_at, excluded.label_at)",
        )
        .bind(org)
        .bind(listed.iter().map(|one| one.instance_id.as_str()).collect::<Vec<_>>())
        .bind(&names)
        .bind(listed.iter().map(|one| one.label.as_deref()).collect::<Vec<_>>())
        .bind(listed.iter().map(|one| one.status.as_deref()).collect::<Vec<_>>())
        .bind(at.date_time())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        connection.release();
        Ok(())
    }

    /// Returns the ids of an org's instances that were listed and have not been marked as deleted since.
    ///
    /// # Errors
    /// The database's.
    pub async fn listed_before(&self, org: &str) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT instance_id FROM application_instance WHERE org = $1 AND status IS NOT NULL AND status <> 'DELETED'",
        )
        .bind(org)
        .fetch_all(&self.writes)
        .await?;
        Ok(ids.into_iter().collect())
    }

    /// Marks instances that are no longer listed as deleted. The instances and their events stay in the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark_deleted(&self, org: &str, instance_ids: &[String]) -> Result<(), StoreError> {
        self.writes.with_time_limit(self.write_deleted(org, instance_ids)).await
    }

    async fn write_deleted(&self, org: &str, instance_ids: &[String]) -> Result<(), StoreError> {
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        sqlx::query(LOCK_HEAD).execute(&mut *transaction).await?;
        sqlx::query("UPDATE application_instance SET status = 'DELETED' WHERE org = $1 AND instance_id = ANY($2)")
            .bind(org)
            .bind(instance_ids)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        connection.release();
        Ok(())
    }
}
