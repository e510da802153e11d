//! Readers: the clients that are authorised to query and subscribe.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use secrecy::{ExposeSecret as _, SecretString};

use super::is_secret;
use super::viewer::Viewer;
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
}

/// The error for a request without the token of a known reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reader's token is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`")]
pub struct Denied;

/// The configured readers. Without any, everybody may query, which `serve` allows on a loopback address only. Clones
/// share the readers.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<RwLock<Vec<Reader>>>);

impl Readers {
    /// Creates readers without limits from names and tokens.
    pub fn new(readers: Vec<(String, SecretString)>) -> Self {
        let rights = Arc::new(Rights::of_unlimited_reader());
        let unlimited = |(name, token)| Reader { name, token, rights: Arc::clone(&rights) };
        Self::with_rights(readers.into_iter().map(unlimited).collect())
    }

    /// Creates readers with their rights.
    pub fn with_rights(readers: Vec<Reader>) -> Self {
        Self(Arc::new(RwLock::new(readers)))
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<Reader>> {
        self.0.read()
    }

    /// Returns true if no token is required.
    pub fn is_open(&self) -> bool {
        self.known().is_empty()
    }

    /// Returns the number of readers.
    pub fn number(&self) -> usize {
        self.known().len()
    }

    /// Returns the names of the readers that may read everything.
    pub fn unlimited(&self) -> Vec<String> {
        let is_unlimited = |reader: &&Reader| *reader.rights == Rights::of_unlimited_reader();
        self.known().iter().filter(is_unlimited).map(|reader| reader.name.clone()).collect()
    }

    /// Replaces the readers for all clones. Returns descriptions of the changes.
    pub fn replace(&self, fresh: &Self) -> Vec<String> {
        let fresh = fresh.known().clone();
        let mut known = self.0.write();
        let mut changed = Vec::new();
        for Reader { name, token, rights } in &fresh {
            let Some(old) = known.iter().find(|other| other.name == *name) else {
                changed.push(format!("reader {name} was added"));
                continue;
            };
            if old.token.expose_secret() != token.expose_secret() {
                changed.push(format!("reader {name} has another token"));
            }
            if old.rights != *rights {
                changed.push(format!("reader {name} has other rights"));
            }
        }
        let is_gone = |old: &&Reader| !fresh.iter().any(|other| other.name == old.name);
        changed.extend(known.iter().filter(is_gone).map(|old| format!("reader {} was removed", old.name)));
        *known = fresh;
        changed
    }

    /// Returns the reader whose token an `Authorization` header has.
    ///
    /// # Errors
    /// No reader has this token.
    pub fn identify(&self, authorization: Option<&str>) -> Result<Viewer, Denied> {
        let readers = self.known();
        if readers.is_empty() {
            return Ok(Viewer::open());
        }
        let (scheme, token) = authorization.and_then(|value| value.trim().split_once(' ')).ok_or(Denied)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied);
        }
        let token = token.trim().as_bytes();
        // All tokens are compared, so that the time does not reveal which one is similar.
        let known = readers.iter().filter(|reader| is_secret(&reader.token, token)).fold(None, |_, known| Some(known));
        known.map(|Reader { name, rights, .. }| Viewer::of_reader(name, rights)).ok_or(Denied)
    }
}

#[cfg(test)]
mod tests {
    use super::super::viewer::MissingScope;
    use super::*;
    use crate::event::{Rows, Scope, Scopes};

    #[test]
    fn only_a_known_bearer_is_let_in() {
        let readers = Readers::new(vec![("one".into(), "t1".into()), ("two".into(), "t2".into())]);
        assert_eq!(readers.identify(Some("Bearer t2")).map(|viewer| viewer.name), Ok(Some("two".into())));
        assert_eq!(readers.identify(Some("bearer  t1")).map(|viewer| viewer.name), Ok(Some("one".into())));
        for bad in
            [None, Some(""), Some("t1"), Some("Basic t1"), Some("Bearer t3"), Some("Bearer "), Some("Bearer t1t1")]
        {
            assert_eq!(readers.identify(bad), Err(Denied), "{bad:?}");
        }
        assert_eq!(Readers::default().identify(None), Ok(Viewer::open()));
    }

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
            let found = clone.identify(Some(&format!("Bearer {token}"))).ok().and_then(|viewer| viewer.name);
            assert_eq!(found.as_deref(), name, "{token}");
        }
        assert_eq!(readers.replace(&fresh), [""; 0]);
        let rights = Arc::new(Rights::new(Scopes::default(), Rows::All));
        let limited = Readers::with_rights(vec![Reader { name: "one".into(), token: "t1".into(), rights }]);
        let changed = ["reader one has other rights", "reader two was removed", "reader four was removed"];
        assert_eq!(readers.replace(&limited), changed);
        let viewer = clone.identify(Some("Bearer t1")).unwrap();
        assert_eq!(viewer.require(Scope::EventsRead), Err(MissingScope(Scope::EventsRead)));
    }
}
