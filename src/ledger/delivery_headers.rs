//! The stored headers of deliveries, which are reduced when the settings keep fewer headers than before.

use time::{Duration, OffsetDateTime};
use uuid::{NoContext, Timestamp as UuidTime, Uuid};

use super::Ledger;
use crate::postgres::named_row::named_row;
use crate::store::StoreError;

/// Age below which deliveries are checked again at the next start, since a gateway of an earlier version may still be
/// storing some.
const UNSETTLED: Duration = Duration::hours(1);

named_row! {
    /// The stored headers of a delivery.
    #[derive(Clone, Debug)]
    pub struct StoredHeaders {
        /// sluice's own id of the delivery. Ids grow with time.
        pub delivery: Uuid,
        /// The configured name of the Okta org.
        pub org: String,
        /// The headers as JSON.
        pub headers: String,
    }
}

impl Ledger {
    /// Returns the id of the delivery through which headers have been reduced.
    ///
    /// # Errors
    /// The database's.
    pub async fn headers_reduced_through(&self) -> Result<Uuid, StoreError> {
        let query = sqlx::query_scalar("SELECT through FROM headers_reduced");
        Ok(query.fetch_one(&self.writes).await?)
    }

    /// Returns the headers of at most `number` deliveries after one, in the order of their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn stored_headers(&self, after: Uuid, number: i64) -> Result<Vec<StoredHeaders>, StoreError> {
        let query =
            sqlx::query_as("SELECT id AS delivery, org, headers FROM delivery WHERE id > $1 ORDER BY id LIMIT $2");
        Ok(query.bind(after).bind(number).fetch_all(&self.writes).await?)
    }

    /// Replaces the headers of deliveries and records the last delivery that is done, in one statement.
    ///
    /// # Errors
    /// The database's.
    pub async fn reduce_headers(&self, changed: &[(Uuid, String)], through: Uuid) -> Result<(), StoreError> {
        let settled = (OffsetDateTime::now_utc() - UNSETTLED).unix_timestamp();
        let settled = UuidTime::from_unix(NoContext, u64::try_from(settled).unwrap_or_default(), 0);
        sqlx::query(
            "WITH replaced AS (UPDATE delivery d SET headers = r.headers \
             FROM unnest($1::uuid[], $2::text[]) AS r (id, headers) WHERE d.id = r.id) \
             UPDATE headers_reduced SET through = greatest(through, least($3, $4))",
        )
        .bind(changed.iter().map(|(delivery, _)| *delivery).collect::<Vec<_>>())
        .bind(changed.iter().map(|(_, headers)| headers.as_str()).collect::<Vec<_>>())
        .bind(through)
        .bind(Uuid::new_v7(settled))
        .execute(&self.writes)
        .await?;
        Ok(())
    }
}
