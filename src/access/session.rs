//! Sessions of people who have signed in, as they are stored: with the hashes of their ids.

use time::OffsetDateTime;

use super::AccessRecords;
use crate::event::Timestamp;
use crate::postgres::named_row::named_row;
use crate::store::StoreError;

/// The largest number of sessions of one person. Earlier ones end when more are begun.
const MAX_SESSIONS: i64 = 50;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The person, as the issuer names it.
    pub subject: String,
    /// The issuer's own session.
    pub sid: Option<String>,
    /// The claims of the ID token, in JSON.
    pub claims: String,
    /// The ID token.
    pub id_token: String,
    /// Time at which the person has signed in.
    pub created_at: Timestamp,
    /// Time from which on the person must sign in again.
    pub expires_at: Timestamp,
}

/// A session in the database, or how it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSession {
    /// The session goes on.
    Live(SessionRecord),
    /// The session has expired at this time.
    Expired(Timestamp),
    /// The session was ended at this time, by its person, its issuer or an operator.
    Revoked(Timestamp),
}

/// The logout of an issuer: the sessions to end, and the token that says so.
#[derive(Clone, Debug)]
pub struct IssuerLogout {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The person whose sessions end.
    pub subject: Option<String>,
    /// The issuer's session, of which the sessions end.
    pub sid: Option<String>,
    /// Time at which the issuer has ended its session. Later sessions go on.
    pub at: Timestamp,
    /// The SHA-256 that no other logout token has.
    pub token: [u8; 32],
    /// Time from which on the token is too old to be used again.
    pub forget_at: Timestamp,
}

named_row! {
    struct SessionRow {
        issuer: String,
        subject: String,
        sid: Option<String>,
        claims: String,
        id_token: String,
        created_at: OffsetDateTime,
        expires_at: OffsetDateTime,
        is_expired: bool,
        revoked_at: Option<OffsetDateTime>,
    }
}

impl SessionRecord {
    /// The name of the table.
    pub const TABLE: &str = "session";
}

impl AccessRecords {
    /// Adds a session. Expired ones are removed, and so are the earliest ones of a person who has too many.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_session(&self, hash: &[u8; 32], session: &SessionRecord) -> Result<(), StoreError> {
        // Sessions that have ended already go first. The surplus is chosen before it is locked, since `FOR UPDATE` also locks the
        // rows that `OFFSET` skips.
        sqlx::query(
            "WITH expired AS (DELETE FROM session WHERE hash IN \
             (SELECT hash FROM session WHERE expires_at <= now() FOR UPDATE SKIP LOCKED)), \
             surplus AS (DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE hash IN \
             (SELECT hash FROM session WHERE issuer = $2 AND subject = $3 \
             ORDER BY (revoked_at IS NULL AND expires_at > now()) DESC, created_at DESC OFFSET $9) \
             FOR UPDATE SKIP LOCKED)) \
             INSERT INTO session (hash, issuer, subject, sid, claims, id_token, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5::text::json, $6, $7, $8)",
        )
        .bind(&hash[..])
        .bind(&session.issuer)
        .bind(&session.subject)
        .bind(&session.sid)
        .bind(&session.claims)
        .bind(&session.id_token)
        .bind(session.created_at.date_time())
        .bind(session.expires_at.date_time())
        .bind(MAX_SESSIONS - 1)
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// Returns the session with a hash; None if there is none, or none any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, hash: &[u8; 32]) -> Result<Option<StoredSession>, StoreError> {
        // An operator may have written the time of revocation by hand, also an infinite one, which no `OffsetDateTime` can be.
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT issuer, subject, sid, claims::text AS claims, id_token, created_at, expires_at, \
             expires_at <= now() AS is_expired, CASE WHEN revoked_at IS NOT NULL \
                 THEN least(greatest(revoked_at, to_timestamp(0)), to_timestamp(2e11)) END AS revoked_at \
             FROM session WHERE hash = $1",
        )
        .bind(&hash[..])
        .fetch_optional(&self.reads)
        .await?;
        Ok(row.map(StoredSession::from))
    }

    /// Returns the hashes of those sessions that have not ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn live_sessions(&self, hashes: &[[u8; 32]]) -> Result<Vec<Vec<u8>>, StoreError> {
        let hashes: Vec<_> = hashes.iter().map(|hash| &hash[..]).collect();
        let live = sqlx::query_scalar("SELECT hash FROM session WHERE hash = ANY ($1) AND revoked_at IS NULL");
        Ok(live.bind(hashes).fetch_all(&self.reads).await?)
    }

    /// Ends a session, if it has not ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        let end = sqlx::query("UPDATE session SET revoked_at = now() WHERE hash = $1 AND revoked_at IS NULL");
        end.bind(&hash[..]).execute(&self.writes).await?;
        Ok(())
    }

    /// Ends the sessions that an issuer's logout names, and returns their number; None if its token was used before.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_sessions(&self, logout: &IssuerLogout) -> Result<Option<u64>, StoreError> {
        let ended: (i64, i64) = sqlx::query_as(
            "WITH expired AS (DELETE FROM used_logout_token WHERE expires_at <= now()), \
             used AS (INSERT INTO used_logout_token (hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING hash), \
             ended AS (UPDATE session SET revoked_at = now() WHERE issuer = $3 AND revoked_at IS NULL \
             AND created_at <= $4 AND ($5::text IS NULL OR subject = $5) AND ($6::text IS NULL OR sid = $6) \
             AND ($5::text IS NOT NULL OR $6::text IS NOT NULL) AND EXISTS (SELECT FROM used) RETURNING hash) \
             SELECT (SELECT count(*) FROM used), (SELECT count(*) FROM ended)",
        )
        .bind(&logout.token[..])
        .bind(logout.forget_at.date_time())
        .bind(&logout.issuer)
        .bind(logout.at.date_time())
        .bind(&logout.subject)
        .bind(&logout.sid)
        .fetch_one(&self.writes)
        .await?;
        let (used, ended) = ended;
        Ok((used > 0).then(|| u64::try_from(ended).unwrap_or_default()))
    }
}

impl From<SessionRow> for StoredSession {
    fn from(row: SessionRow) -> Self {
        if let Some(at) = row.revoked_at {
            return Self::Revoked(at.into());
        }
        if row.is_expired {
            return Self::Expired(row.expires_at.into());
        }
        Self::Live(SessionRecord {
            issuer: row.issuer,
            subject: row.subject,
            sid: row.sid,
            claims: row.claims,
            id_token: row.id_token,
            created_at: row.created_at.into(),
            expires_at: row.expires_at.into(),
        })
    }
}
