//! Readers: the clients that are authorised to query and subscribe.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use secrecy::{ExposeSecret as _, SecretString};

use super::is_secret;
use crate::event::Rights;
use crate::store::Credential;

/// The authenticated reader of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The reader's configured name; None if no readers are configured.
    pub name: Option<String>,
    /// The part of the log that the reader may see.
    pub rights: Rights,
}

impl Viewer {
    /// Creates a viewer who may see everything.
    const fn of_everything(name: Option<String>) -> Self {
        Self { name, rights: Rights::everything() }
    }

    /// Returns the credential whose share of database connections the viewer uses.
    pub fn credential(&self) -> Credential {
        self.name.clone().map_or(Credential::Open, Credential::Reader)
    }
}

/// The error for a request without the token of a known reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reader's token is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`")]
pub struct Denied;

/// The configured readers. Without any, everybody may query, which `serve` allows on a loopback address only. Clones
/// share the readers.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<RwLock<Vec<(String, SecretString)>>>);

impl Readers {
    /// Creates readers from names and tokens.
    pub fn new(readers: Vec<(String, SecretString)>) -> Self {
        Self(Arc::new(RwLock::new(readers)))
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<(String, SecretString)>> {
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

    /// Replaces the readers for all clones. Returns descriptions of the changes.
    pub fn replace(&self, fresh: &Self) -> Vec<String> {
        let fresh = fresh.known().clone();
        let mut known = self.0.write();
        let mut changed = Vec::new();
        for (name, token) in &fresh {
            match known.iter().find(|(other, _)| other == name) {
                None => changed.push(format!("reader {name} was added")),
                Some((_, old)) if old.expose_secret() != token.expose_secret() => {
                    changed.push(format!("reader {name} has another token"));
                }
                Some(_) => {}
            }
        }
        let is_gone = |name: &String| !fresh.iter().any(|(other, _)| other == name);
        changed.extend(
            known.iter().filter(|(name, _)| is_gone(name)).map(|(name, _)| format!("reader {name} was removed")),
        );
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
            return Ok(Viewer::of_everything(None));
        }
        let (scheme, token) = authorization.and_then(|value| value.trim().split_once(' ')).ok_or(Denied)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied);
        }
        let token = token.trim().as_bytes();
        // All tokens are compared, so that the time does not reveal which one is similar.
        let known = readers.iter().filter(|(_, secret)| is_secret(secret, token)).fold(None, |_, (name, _)| Some(name));
        known.map(|name| Viewer::of_everything(Some(name.clone()))).ok_or(Denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(Readers::default().identify(None), Ok(Viewer::of_everything(None)));
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
    }
}
