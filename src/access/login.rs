//! Sign-ins that are under way.

use time::OffsetDateTime;

use super::AccessRecords;
use crate::event::Timestamp;
use crate::store::StoreError;

/// The largest number of sign-ins that are under way. Those that began first give way to new ones, since anybody can begin one.
const MAX_LOGINS: i64 = 10_000;

/// A sign-in that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The nonce that the ID token must have.
    pub nonce: String,
    /// The code verifier of PKCE.
    pub verifier: String,
    /// The path of the gateway to which the browser returns.
    pub return_to: String,
}

/// The hashes by which a sign-in is found: of the parameter `state`, and of the cookie of the browser that has begun.
#[derive(Clone, Copy, Debug)]
pub struct LoginKey {
    /// The SHA-256 of `state`.
    pub state: [u8; 32],
    /// The SHA-256 of the browser's cookie.
    pub browser: [u8; 32],
}

impl AccessRecords {
    /// Adds a sign-in. Expired ones are removed.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_login(&self, key: &LoginKey, login: &LoginRecord, expires: Timestamp) -> Result<(), StoreError> {
        // The surplus is chosen first and then locked, since `FOR UPDATE` also locks the rows that `OFFSET` skips.
        sqlx::query(
            "WITH expired AS (DELETE FROM login WHERE state_hash IN \
             (SELECT state_hash FROM login WHERE expires_at <= now() FOR UPDATE SKIP LOCKED)), \
             surplus AS (DELETE FROM login WHERE state_hash IN \
             (SELECT state_hash FROM login WHERE state_hash IN \
             (SELECT state_hash FROM login ORDER BY expires_at DESC OFFSET $8) FOR UPDATE SKIP LOCKED)) \
             INSERT INTO login (state_hash, browser_hash, issuer, nonce, verifier, return_to, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key.state[..])
        .bind(&key.browser[..])
        .bind(&login.issuer)
        .bind(&login.nonce)
        .bind(&login.verifier)
        .bind(&login.return_to)
        .bind(expires.date_time())
        .bind(MAX_LOGINS - 1)
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// Returns a sign-in and removes it, so that it is used once. None if it is unknown, has expired, or was begun by another
    /// browser.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_login(&self, key: &LoginKey) -> Result<Option<LoginRecord>, StoreError> {
        let row: Option<(String, String, String, String, OffsetDateTime)> = sqlx::query_as(
            "DELETE FROM login WHERE state_hash = $1 AND browser_hash = $2 \
             RETURNING issuer, nonce, verifier, return_to, expires_at",
        )
        .bind(&key.state[..])
        .bind(&key.browser[..])
        .fetch_optional(&self.writes)
        .await?;
        let login = row.filter(|row| Timestamp::now().date_time() < row.4);
        Ok(login.map(|(issuer, nonce, verifier, return_to, _)| LoginRecord { issuer, nonce, verifier, return_to }))
    }
}
