//! Readers: the clients that are authorised to query and subscribe.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use secrecy::{ExposeSecret as _, SecretString};

use super::is_secret;
use super::revocation::Revocation;
use super::viewer::{AllowedDocuments, Viewer};
use crate::event::Rights;

/// A configured reader.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The name, in metrics and log lines.
    pub name: String,
    /// The token that the client sends.
    pub token: SecretString,
    /// The rights of the client.
    pub rights: Arc<Rights>,
    /// The documents that the client may send.
    pub documents: AllowedDocuments,
}

/// The configured readers. Without any, everybody may query, which `serve` allows on a loopback address only. Clones
/// share the readers.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<ReadersState>);

#[derive(Debug, Default)]
struct ReadersState {
    known: RwLock<Vec<KnownReader>>,
    /// The revocation of the rights of everybody on the machine, who may query without readers and issuers.
    open: Revocation,
}

/// A reader, and the revocation of the rights of its viewers.
#[derive(Clone, Debug)]
struct KnownReader {
    reader: Reader,
    revocation: Revocation,
}

impl Readers {
    /// Creates readers without limits from names and tokens.
    pub fn new(readers: Vec<(String, SecretString)>) -> Self {
        let rights = Arc::new(Rights::of_unlimited_reader());
        let documents = AllowedDocuments::Any;
        let unlimited = |(name, token)| Reader { name, token, rights: Arc::clone(&rights), documents };
        Self::with_rights(readers.into_iter().map(unlimited).collect())
    }

    /// Creates readers with their rights.
    pub fn with_rights(readers: Vec<Reader>) -> Self {
        let known = |reader| KnownReader { reader, revocation: Revocation::default() };
        let known = RwLock::new(readers.into_iter().map(known).collect());
        Self(Arc::new(ReadersState { known, open: Revocation::default() }))
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<KnownReader>> {
        self.0.known.read()
    }

    /// Returns true if there are no readers, and there were none before.
    pub fn is_open(&self) -> bool {
        self.known().is_empty() && !self.0.open.is_revoked()
    }

    /// Closes the gateway to everybody who has no token, until a restart. Whoever was let in without one is cut off.
    pub fn close(&self) {
        self.0.open.revoke();
    }

    /// Returns the viewer of a request without a token, while none is required.
    pub(super) fn open_viewer(&self) -> Viewer {
        Viewer::open(&self.0.open)
    }

    /// Returns the number of readers.
    pub fn number(&self) -> usize {
        self.known().len()
    }

    /// Returns the names of the readers that may read everything.
    pub fn unlimited(&self) -> Vec<String> {
        let known = self.known();
        let unlimited = known.iter().filter(|known| *known.reader.rights == Rights::of_unlimited_reader());
        unlimited.map(|known| known.reader.name.clone()).collect()
    }

    /// Replaces the readers for all clones. A reader that is removed, or has another token or other rights, is cut off. Returns
    /// descriptions of the changes.
    pub fn replace(&self, fresh: &Self) -> Vec<String> {
        let mut fresh = fresh.known().clone();
        let mut known = self.0.known.write();
        let mut changed = Vec::new();
        for KnownReader { reader: Reader { name, token, rights, documents }, revocation } in &mut fresh {
            let Some(old) = known.iter().find(|other| other.reader.name == *name) else {
                changed.push(format!("reader {name} was added"));
                continue;
            };
            let before = changed.len();
            if old.reader.token.expose_secret() != token.expose_secret() {
                changed.push(format!("reader {name} has another token"));
            }
            if old.reader.rights != *rights {
                changed.push(format!("reader {name} has other rights"));
            }
            if old.reader.documents != *documents {
                changed.push(format!("reader {name} may send other documents"));
            }
            if changed.len() == before {
                *revocation = old.revocation.clone();
            } else {
                old.revocation.revoke();
            }
        }
        for old in known.iter().filter(|old| !fresh.iter().any(|other| other.reader.name == old.reader.name)) {
            changed.push(format!("reader {} was removed", old.reader.name));
            old.revocation.revoke();
        }
        *known = fresh;
        changed
    }

    /// Returns the viewer of a token; None if no reader has it.
    pub fn identify(&self, token: &str) -> Option<Viewer> {
        let readers = self.known();
        let token = token.as_bytes();
        // All tokens are compared, so that the time does not reveal which one is similar.
        let has_token = |known: &&KnownReader| is_secret(&known.reader.token, token);
        let known = readers.iter().filter(has_token).fold(None, |_, known| Some(known));
        known.map(|KnownReader { reader, revocation }| {
            Viewer::of_reader(&reader.name, &reader.rights, reader.documents, revocation)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::viewer::MissingScope;
    use super::*;
    use crate::event::{Rows, Scope, Scopes};

    #[test]
    fn clones_follow_when_readers_are_replaced() {
        let readers =
            Readers::new(vec![("one".into(), "t1".into()), ("two".into(), "t2".into()), ("three".into(), "t3".into())]);
        let clone = readers.clone();
        let fresh =
            Readers::new(vec![("one".into(), "t1".into()), ("two".into(), "t4".into()), ("four".into(), "t5".into())]);
        let changed = ["reader two has another token", "reader four was added", "reader three was removed"];
        assert_eq!(readers.replace(&fresh), changed);
        for (token, name) in
            [("t1", Some("one")), ("t2", None), ("t3", None), ("t4", Some("two")), ("t5", Some("four"))]
        {
            let found = clone.identify(token).and_then(|viewer| viewer.name);
            assert_eq!(found.as_deref(), name, "{token}");
        }
        assert_eq!(readers.replace(&fresh), [""; 0]);
        let rights = Arc::new(Rights::new(Scopes::default(), Rows::All));
        let documents = AllowedDocuments::Trusted;
        let limited = Readers::with_rights(vec![Reader { name: "one".into(), token: "t1".into(), rights, documents }]);
        let changed = [
            "reader one has other rights",
            "reader one may send other documents",
            "reader two was removed",
            "reader four was removed",
        ];
        assert_eq!(readers.replace(&limited), changed);
        let viewer = clone.identify("t1").unwrap();
        assert_eq!(viewer.require(Scope::EventsRead), Err(MissingScope(Scope::EventsRead)));
    }
}
