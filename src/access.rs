//! Records about who may come in, beside the log: API keys, sign-ins and sessions. Gateways hold them in memory, and look for
//! changes of their versions.

mod api_key;
mod login;
mod session;
mod stored_rights;

pub use api_key::{AddKeyError, ApiKeyRecord, MAX_API_KEYS, NewApiKey};
pub use login::{LoginKey, LoginRecord};
pub use session::{IssuerLogout, SessionRecord, StoredSession};

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::postgres::connections::ConnectionPool;
use crate::store::{Store, StoreError};

/// The records about who may come in. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct AccessRecords {
    writes: ConnectionPool,
    reads: ConnectionPool,
    hints: Arc<Notify>,
}

impl Store {
    /// Returns the records about who may come in, in the same database.
    pub fn access_records(&self) -> AccessRecords {
        AccessRecords { writes: self.writes.clone(), reads: self.reads.clone(), hints: self.access_hints() }
    }
}

impl AccessRecords {
    /// Returns the versions of the records, by the names of their tables. A version differs from the one before if any record of
    /// the table has changed since; who reads records after their version has at least that version.
    ///
    /// # Errors
    /// The database's.
    pub async fn versions(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let query = sqlx::query_as("SELECT kind, version FROM access_change");
        let rows: Vec<(String, i64)> = query.fetch_all(&self.reads).await?;
        Ok(rows.into_iter().collect())
    }

    /// Waits for a notification that records may have changed. Notifications can be lost, so they are only hints. One task may
    /// wait.
    pub async fn hinted(&self) {
        self.hints.notified().await;
    }
}
