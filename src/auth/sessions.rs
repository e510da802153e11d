//! Sessions: people who have signed in, by the ids in the cookies of their browsers.
//!
//! The database has all sessions, of whose ids it knows only the SHA-256. A gateway keeps those that it has seen lately in memory,
//! so that they go on while the database is away.

mod known_sessions;
mod session_fault;
mod session_id;

pub use session_fault::SessionFault;
pub(super) use session_id::{RandomText, digest};

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use time::Duration as SignedDuration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::issuers::{Issuers, TokenClaims, share};
use super::viewer::{Viewer, ViewerKind};
use crate::access::{AccessRecords, SessionRecord, StoredSession};
use crate::event::Timestamp;
use crate::store::{Credential, StoreError};
use known_sessions::{KnownSession, KnownSessions};

/// The number of sessions that are looked up in the database at once. Anybody can send invented ids, which must not keep others
/// from the database.
const LOOKUPS: usize = 2;

/// The longest wait for a session to be looked up.
const PATIENCE: Duration = Duration::from_secs(3);

/// The sessions that a gateway knows. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<SessionsState>);

#[derive(Debug)]
struct SessionsState {
    /// The stored sessions, once the database can be used.
    access: OnceLock<AccessRecords>,
    known: KnownSessions,
    lookups: Semaphore,
}

/// A session as its person is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The person's name.
    pub name: String,
    /// The time at which the session ends.
    pub expires_at: Timestamp,
}

impl Default for Sessions {
    fn default() -> Self {
        let (known, lookups) = (KnownSessions::default(), Semaphore::new(LOOKUPS));
        Self(Arc::new(SessionsState { access: OnceLock::new(), known, lookups }))
    }
}

impl Sessions {
    /// Uses the stored sessions from now on.
    pub(super) fn open(&self, access: &AccessRecords) {
        // A second call changes nothing.
        _ = self.0.access.set(access.clone());
    }

    /// Returns the stored records; None until the database can be used.
    pub(super) fn access(&self) -> Option<&AccessRecords> {
        self.0.access.get()
    }

    /// Returns the viewer of a session.
    ///
    /// # Errors
    /// The session has ended, gives no rights, or could not be looked up.
    pub(super) async fn identify(&self, id: &str, issuers: &Issuers) -> Result<Viewer, SessionFault> {
        let session = self.find(id).await?;
        let no_sign_in = || SessionFault::NoSignIn(session.record.issuer.clone());
        let issuer = issuers.configured(&session.record.issuer).ok_or_else(no_sign_in)?;
        // An issuer of the same name at another URL may call other people by the same names.
        let is_of = session.claims.get("iss").and_then(Value::as_str) == Some(&issuer.settings.conditions.issuer);
        let settings = issuer.settings.sign_in.as_ref().filter(|_| is_of).ok_or_else(no_sign_in)?;
        let viewer = session.viewer(&issuer, |revocation| {
            let SessionRecord { issuer: name, subject, created_at, expires_at, .. } = &session.record;
            let no_rights = || SessionFault::NoRights {
                issuer: name.clone(),
                subject: subject.clone(),
                mismatches: issuer.mismatches(&session.claims),
            };
            let rights = issuer.rights(&session.claims).ok_or_else(no_rights)?;
            Ok(Viewer {
                credential: Credential::Session { issuer: name.clone(), share: share(subject) },
                name: Some(subject.clone()),
                kind: ViewerKind::Session,
                // Sessions may have become shorter in the settings.
                expires: Some(after(*created_at, settings.session).min(*expires_at)),
                rights: Arc::new(rights),
                documents: issuer.documents(&session.claims),
                revocation,
            })
        })?;
        match viewer.expires {
            Some(at) if at <= Timestamp::now() => Err(SessionFault::Expired(at)),
            _ => Ok(viewer),
        }
    }

    /// Describes a session to its person.
    ///
    /// # Errors
    /// The session has ended, or could not be looked up.
    pub(super) async fn summary(&self, id: &str) -> Result<SessionSummary, SessionFault> {
        let session = self.find(id).await?;
        let SessionRecord { issuer, subject, expires_at, .. } = &session.record;
        let name = person_name(&session.claims).unwrap_or_else(|| subject.clone());
        Ok(SessionSummary { issuer: issuer.clone(), name, expires_at: *expires_at })
    }

    /// Adds a session to the database, and returns its id, which only the cookie has.
    pub(super) async fn begin(&self, record: SessionRecord) -> Result<RandomText, StoreError> {
        let access = self.access().ok_or(StoreError::NoAnswer)?;
        let (id, generation) = (RandomText::new(), self.0.known.generation());
        access.add_session(&id.digest(), &record).await?;
        // If it is not inserted, its first request looks it up.
        _ = self.0.known.insert(id.digest(), record, generation);
        Ok(id)
    }

    /// Ends a session for all gateways, and returns its record; None if it has ended already.
    pub(super) async fn end(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        let Some(hash) = session_id::hash(id) else { return Ok(None) };
        let access = self.access().ok_or(StoreError::NoAnswer)?;
        let known = match self.find(id).await {
            Ok(known) => known,
            Err(SessionFault::Unavailable) => return Err(StoreError::NoAnswer),
            Err(_) => return Ok(None),
        };
        access.end_session(&hash).await?;
        self.0.known.remove(&hash);
        Ok(Some(known.record.clone()))
    }

    /// Reads the sessions again that are in memory, and revokes those that have ended.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        let Some(access) = self.access() else { return Ok(()) };
        let hashes = self.0.known.hashes();
        for hashes in hashes.chunks(1_000) {
            let live = access.live_sessions(hashes).await?;
            for ended in hashes.iter().filter(|hash| !live.iter().any(|live| live == *hash)) {
                self.0.known.remove(ended);
            }
        }
        Ok(())
    }

    async fn find(&self, id: &str) -> Result<Arc<KnownSession>, SessionFault> {
        let hash = session_id::hash(id).ok_or(SessionFault::Ended)?;
        if let Some(known) = self.0.known.get(&hash) {
            return if known.is_over() { Err(SessionFault::Expired(known.record.expires_at)) } else { Ok(known) };
        }
        let access = self.access().ok_or(SessionFault::Unavailable)?;
        let look_up = async {
            let _permit = self.0.lookups.acquire().await.map_err(|_| SessionFault::Unavailable)?;
            loop {
                // Another request may have looked it up meanwhile.
                if let Some(known) = self.0.known.get(&hash) {
                    return Ok(known);
                }
                let generation = self.0.known.generation();
                let stored = access.session(&hash).await.map_err(|error| {
                    tracing::debug!(%error, "could not look up a session");
                    SessionFault::Unavailable
                })?;
                let record = match stored.ok_or(SessionFault::Ended)? {
                    StoredSession::Live(record) => record,
                    StoredSession::Expired(at) => return Err(SessionFault::Expired(at)),
                    StoredSession::Revoked(at) => return Err(SessionFault::Revoked(at)),
                };
                // A session that may have ended since it was read is read again.
                if let Some(known) = self.0.known.insert(hash, record, generation) {
                    return Ok(known);
                }
            }
        };
        timeout(PATIENCE, look_up).await.unwrap_or(Err(SessionFault::Unavailable))
    }
}

/// Returns the moment that is a time later.
pub(super) fn after(moment: Timestamp, time: Duration) -> Timestamp {
    moment.plus(SignedDuration::try_from(time).unwrap_or(SignedDuration::ZERO))
}

/// Returns the name that the claims give a person.
fn person_name(claims: &TokenClaims) -> Option<String> {
    let texts = ["name", "preferred_username", "email"].into_iter().filter_map(|claim| claims.get(claim)?.as_str());
    let name = texts.map(str::trim).find(|text| !text.is_empty())?;
    Some(name.chars().take(200).collect())
}
