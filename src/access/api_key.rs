//! API keys as they are stored: with the hash of their secrets.

use time::OffsetDateTime;

use super::{AccessRecords, stored_rights};
use crate::event::{Rights, Rows, Scopes, Timestamp};
use crate::postgres::named_row::named_row;
use crate::store::StoreError;

/// The largest number of keys that are neither revoked nor expired. Gateways hold all of them in memory.
pub const MAX_API_KEYS: usize = 10_000;

/// A stored API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The public part of the key.
    pub id: String,
    /// The name.
    pub name: String,
    /// The SHA-256 of the secret part.
    pub hash: Vec<u8>,
    /// The rights. None if a newer version of sluice has stored them, and this one does not understand them.
    pub rights: Option<Rights>,
    /// Time at which the key was added.
    pub created_at: Timestamp,
    /// Time from which on the key is refused.
    pub expires_at: Timestamp,
    /// Time at which the key was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Time of a recent use; None without any.
    pub last_used_at: Option<Timestamp>,
}

/// An API key that is to be added.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The public part of the key.
    pub id: String,
    /// The name.
    pub name: String,
    /// The SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// The rights.
    pub rights: Rights,
    /// The number of days after which the key expires.
    pub days: u16,
}

/// The error for a key that could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddKeyError {
    /// A key that is not revoked has the same name.
    #[error(
        "there is an API key {0:?} already, added at {1}: revoke it first (sluice keys revoke {0}), or choose another name"
    )]
    NameTaken(String, Timestamp),
    /// Gateways hold no more keys.
    #[error("there are {MAX_API_KEYS} API keys already, which is the most that gateways hold: revoke some first")]
    TooMany,
    /// The database's error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

named_row! {
    struct ApiKeyRow {
        id: String,
        name: String,
        hash: Vec<u8>,
        rights: String,
        created_at: OffsetDateTime,
        expires_at: OffsetDateTime,
        revoked_at: Option<OffsetDateTime>,
        last_used_at: Option<OffsetDateTime>,
    }
}

impl ApiKeyRecord {
    /// The name of the table.
    pub const TABLE: &str = "api_key";

    /// Returns true if the key opens nothing at a time.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.revoked_at.is_some() || self.expires_at <= now
    }

    /// Returns the rights to use: none at all if they are not understood.
    pub fn rights(&self) -> Rights {
        self.rights.clone().unwrap_or_else(|| Rights::new(Scopes::default(), Rows::nothing().clone()))
    }
}

impl AccessRecords {
    /// Returns keys: those that are neither revoked nor expired before others, and newer ones before older ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn api_keys(&self, most: usize) -> Result<Vec<ApiKeyRecord>, StoreError> {
        // Somebody may have written a time by hand that is infinite, which no `OffsetDateTime` can be: one such row must not make
        // the others unreadable. A null stays null.
        let rows: Vec<ApiKeyRow> = sqlx::query_as(
            "SELECT id, name, hash, rights::text AS rights, \
             least(greatest(created_at, to_timestamp(0)), to_timestamp(2e11)) AS created_at, \
             least(greatest(expires_at, to_timestamp(0)), to_timestamp(2e11)) AS expires_at, \
             CASE WHEN revoked_at IS NOT NULL \
                 THEN least(greatest(revoked_at, to_timestamp(0)), to_timestamp(2e11)) END AS revoked_at, \
             CASE WHEN last_used_at IS NOT NULL \
                 THEN least(greatest(last_used_at, to_timestamp(0)), to_timestamp(2e11)) END AS last_used_at \
             FROM api_key ORDER BY (revoked_at IS NULL AND expires_at > now()) DESC, created_at DESC, id LIMIT $1",
        )
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&self.reads)
        .await?;
        Ok(rows.into_iter().map(ApiKeyRecord::from).collect())
    }

    /// Adds a key, and returns the time at which it expires.
    ///
    /// # Errors
    /// Another key has the same name, there are too many keys, or the database's error.
    pub async fn add_api_key(&self, key: &NewApiKey) -> Result<Timestamp, AddKeyError> {
        let added: Option<OffsetDateTime> = sqlx::query_scalar(
            "INSERT INTO api_key (id, name, hash, rights, expires_at) \
             SELECT $1, $2, $3, $4::text::jsonb, now() + make_interval(days => $5) \
             WHERE (SELECT count(*) FROM api_key WHERE revoked_at IS NULL AND expires_at > now()) < $6 \
             ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING expires_at",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.hash[..])
        .bind(stored_rights::write(&key.rights))
        .bind(i32::from(key.days))
        .bind(i64::try_from(MAX_API_KEYS).unwrap_or(i64::MAX))
        .fetch_optional(&self.writes)
        .await
        .map_err(StoreError::from)?;
        if let Some(expires_at) = added {
            return Ok(expires_at.into());
        }
        let same = sqlx::query_scalar("SELECT created_at FROM api_key WHERE name = $1 AND revoked_at IS NULL");
        let same: Option<OffsetDateTime> =
            same.bind(&key.name).fetch_optional(&self.writes).await.map_err(StoreError::from)?;
        Err(same.map_or(AddKeyError::TooMany, |at| AddKeyError::NameTaken(key.name.clone(), at.into())))
    }

    /// Revokes the key with a name, and returns its id; None if no key that is not revoked has this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_api_key(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar(
            "UPDATE api_key SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING id",
        );
        Ok(query.bind(name).fetch_optional(&self.writes).await?)
    }

    /// Stores the times at which keys were used, by their ids. Keys that another gateway updates at the same moment are left
    /// out.
    ///
    /// # Errors
    /// The database's.
    pub async fn api_keys_used(&self, ids: &[&str], times: &[Timestamp]) -> Result<(), StoreError> {
        let times: Vec<_> = times.iter().map(|time| time.date_time()).collect();
        sqlx::query(
            "WITH used AS (SELECT k.id, u.at FROM unnest($1::text[], $2::timestamptz[]) u (id, at) \
             JOIN api_key k ON k.id = u.id AND k.last_used_at IS DISTINCT FROM greatest(k.last_used_at, u.at) \
             FOR UPDATE OF k SKIP LOCKED) \
             UPDATE api_key k SET last_used_at = used.at FROM used WHERE k.id = used.id",
        )
        .bind(ids)
        .bind(times)
        .execute(&self.writes)
        .await?;
        Ok(())
    }
}

impl From<ApiKeyRow> for ApiKeyRecord {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            rights: stored_rights::read(&row.rights),
            id: row.id,
            name: row.name,
            hash: row.hash,
            created_at: row.created_at.into(),
            expires_at: row.expires_at.into(),
            revoked_at: row.revoked_at.map(Timestamp::from),
            last_used_at: row.last_used_at.map(Timestamp::from),
        }
    }
}
