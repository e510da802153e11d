//! The identity of the log, by which messages between gateways show that they concern the same log.

use secrecy::SecretSlice;

use super::{Store, StoreError};
use crate::event::Position;

/// The identity of a log, as the connected server reports it.
#[derive(Clone, Debug)]
pub struct LogIdentity {
    /// The cluster's system identifier, its timeline, and the database's OID. A failover changes the timeline.
    pub database: String,
    /// The start of the era in which the log ends.
    pub era: Position,
    /// The key with which the gateways of this log sign messages to each other. Only the database stores it.
    pub key: SecretSlice<u8>,
}

impl LogIdentity {
    /// Returns true if both identities are of the same log in the same era.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.database, self.era) == (&other.database, other.era)
    }
}

impl Store {
    /// Returns the identity of the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn identity(&self) -> Result<LogIdentity, StoreError> {
        let (database, era, key): (String, i64, Vec<u8>) = sqlx::query_as(
            "SELECT concat_ws('-', c.system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), d.oid), \
             (SELECT era FROM log_head), k.key \
             FROM pg_control_system() c, tail_key k, pg_database d WHERE d.datname = current_database()",
        )
        .fetch_one(&self.writes)
        .await?;
        Ok(LogIdentity { database, era: Position::in_era(era, 0), key: key.into() })
    }
}
