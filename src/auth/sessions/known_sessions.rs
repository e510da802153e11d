//! The sessions in memory, bounded in bytes.

use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;

use super::session_fault::SessionFault;
use crate::access::SessionRecord;
use crate::auth::issuers::{Issuer, TokenClaims};
use crate::auth::revocation::Revocation;
use crate::auth::viewer::Viewer;
use crate::event::Timestamp;

/// The largest size of all sessions in memory, in bytes. Of more, those that were used least recently leave: their sockets and
/// streams end, and come back by themselves.
const MAX_BYTES: usize = 64 << 20;

/// The bytes of a session in addition to its texts and claims.
const OVERHEAD: usize = 1 << 10;

/// The sessions in memory.
#[derive(Debug, Default)]
pub(super) struct KnownSessions(Mutex<SessionTable>);

#[derive(Debug)]
struct SessionTable {
    // The standard hasher: the hashes are of texts that clients send.
    entries: lru::LruCache<[u8; 32], Arc<KnownSession>, RandomState>,
    bytes: usize,
    /// A number that grows when sessions may have ended: a session that was read from the database before may be one of them.
    generation: u64,
}

impl Default for SessionTable {
    fn default() -> Self {
        Self { entries: lru::LruCache::unbounded_with_hasher(RandomState::new()), bytes: 0, generation: 0 }
    }
}

/// A session in memory.
#[derive(Debug)]
pub(super) struct KnownSession {
    pub(super) record: SessionRecord,
    pub(super) claims: TokenClaims,
    /// The viewer by the present rules of the issuer.
    viewer: Mutex<SessionViewer>,
}

#[derive(Debug)]
enum SessionViewer {
    /// The session was not used yet.
    Unused,
    /// The viewer, and the issuer whose rules give its rights.
    Of(Arc<Issuer>, Viewer),
    /// The session has ended.
    Ended,
}

impl KnownSession {
    fn new(record: SessionRecord) -> Self {
        // Stored claims are an object. Others match no rule.
        let claims = serde_json::from_str(&record.claims).unwrap_or_default();
        Self { record, claims, viewer: Mutex::new(SessionViewer::Unused) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.record.expires_at <= Timestamp::now()
    }

    /// Returns the viewer by the rules of an issuer. A viewer by earlier rules is revoked already, together with the issuer's
    /// tokens.
    pub(super) fn viewer(
        &self,
        issuer: &Arc<Issuer>,
        create: impl FnOnce(Revocation) -> Result<Viewer, SessionFault>,
    ) -> Result<Viewer, SessionFault> {
        let mut known = self.viewer.lock();
        match &*known {
            SessionViewer::Ended => return Err(SessionFault::Ended),
            SessionViewer::Of(of, viewer) if Arc::ptr_eq(of, issuer) => return Ok(viewer.clone()),
            SessionViewer::Of(..) | SessionViewer::Unused => {}
        }
        let viewer = create(issuer.revocation.child())?;
        *known = SessionViewer::Of(Arc::clone(issuer), viewer.clone());
        drop(known);
        Ok(viewer)
    }

    /// Revokes the rights of everything that runs with the session.
    fn end(&self) {
        if let SessionViewer::Of(_, viewer) = std::mem::replace(&mut *self.viewer.lock(), SessionViewer::Ended) {
            viewer.revocation.revoke();
        }
    }

    fn bytes(&self) -> usize {
        // The claims are in memory twice: as a text, and read.
        OVERHEAD + 4 * self.record.claims.len() + self.record.id_token.len()
    }
}

impl KnownSessions {
    /// Returns a session, which becomes the most recently used one.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Arc<KnownSession>> {
        self.0.lock().entries.get(hash).map(Arc::clone)
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.lock().generation
    }

    /// Inserts a session that was read in a generation; None if sessions may have ended since, of which it may be one.
    pub(super) fn insert(&self, hash: [u8; 32], record: SessionRecord, generation: u64) -> Option<Arc<KnownSession>> {
        let mut table = self.0.lock();
        (table.generation == generation).then(|| table.insert(hash, record))
    }

    /// Removes a session that has ended, and revokes its rights.
    pub(super) fn remove(&self, hash: &[u8; 32]) -> Option<Arc<KnownSession>> {
        let mut table = self.0.lock();
        table.generation += 1;
        let session = table.entries.pop(hash)?;
        table.bytes -= session.bytes();
        drop(table);
        session.end();
        Some(session)
    }

    /// Returns the hashes of all sessions, which are about to be looked up again.
    pub(super) fn hashes(&self) -> Vec<[u8; 32]> {
        let mut table = self.0.lock();
        table.generation += 1;
        table.entries.iter().map(|(hash, _)| *hash).collect()
    }
}

impl SessionTable {
    fn insert(&mut self, hash: [u8; 32], record: SessionRecord) -> Arc<KnownSession> {
        if let Some(known) = self.entries.get(&hash) {
            return Arc::clone(known);
        }
        let session = Arc::new(KnownSession::new(record));
        self.bytes += session.bytes();
        self.entries.put(hash, Arc::clone(&session));
        while self.bytes > MAX_BYTES
            && let Some((_, old)) = self.entries.pop_lru()
        {
            self.bytes -= old.bytes();
            old.end();
        }
        session
    }
}
