//! The last request of each org that was refused because it lacked a valid secret.

use time::OffsetDateTime;

use super::Ledger;
use crate::event::Timestamp;
use crate::store::StoreError;

/// A request that was refused because it lacked a valid secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRefusal {
    /// The configured name of the Okta org.
    pub org: String,
    /// Time of the request.
    pub at: Timestamp,
    /// Reason for the refusal.
    pub reason: String,
}

impl Ledger {
    /// Stores the last refused request of an org, unless a later one is stored.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_hook_refusal(&self, refusal: &HookRefusal) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO hook_refusal AS r (org, refused_at, reason) VALUES ($1, $2, $3) ON CONFLICT (org) DO UPDATE \
             SET refused_at = excluded.refused_at, reason = excluded.reason WHERE r.refused_at < excluded.refused_at",
        )
        .bind(&refusal.org)
        .bind(refusal.at.date_time())
        .bind(&refusal.reason)
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// Returns the last refused request of each org that has one.
    ///
    /// # Errors
    /// The database's.
    pub async fn hook_refusals(&self) -> Result<Vec<HookRefusal>, StoreError> {
        let rows: Vec<(String, OffsetDateTime, String)> =
            sqlx::query_as("SELECT org, refused_at, reason FROM hook_refusal").fetch_all(&self.reads).await?;
        Ok(rows.into_iter().map(|(org, at, reason)| HookRefusal { org, at: at.into(), reason }).collect())
    }
}
