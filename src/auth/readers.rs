//! Readers: who may ask and subscribe.

use secrecy::SecretString;

use super::is_secret;
use crate::store::Credential;

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The reader's configured name; None where asking is open to anybody.
    pub name: Option<String>,
}

impl Viewer {
    /// Returns the credential for which the database is read.
    pub fn credential(&self) -> Credential {
        self.name.clone().map_or(Credential::Open, Credential::Reader)
    }
}

/// The request bears no token, or none that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reader's token is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`")]
pub struct Denied;

/// The configured readers. Without any, asking is open: `serve` allows that on a loopback address only.
#[derive(Clone, Debug, Default)]
pub struct Readers(Vec<(String, SecretString)>);

impl Readers {
    /// These readers, each a name and a token.
    pub const fn new(readers: Vec<(String, SecretString)>) -> Self {
        Self(readers)
    }

    /// Whether anybody may ask.
    pub const fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds out who bears the value of an `Authorization` header.
    ///
    /// # Errors
    /// Nobody that is known.
    pub fn identify(&self, authorization: Option<&str>) -> Result<Viewer, Denied> {
        if self.is_open() {
            return Ok(Viewer { name: None });
        }
        let (scheme, token) = authorization.and_then(|value| value.trim().split_once(' ')).ok_or(Denied)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied);
        }
        let token = token.trim().as_bytes();
        // Every token is compared, so that time does not tell which one is near.
        let known = self.0.iter().filter(|(_, secret)| is_secret(secret, token)).fold(None, |_, (name, _)| Some(name));
        known.map(|name| Viewer { name: Some(name.clone()) }).ok_or(Denied)
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
        assert_eq!(Readers::default().identify(None), Ok(Viewer { name: None }));
    }
}
