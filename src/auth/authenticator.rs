//! The authenticator: who sends a request, by the token that it has.

use super::api_keys::ApiKeys;
use super::denied::{AcceptedCredentials, Denied};
use super::issuers::{Issuers, TokenFault};
use super::public_url::PublicUrl;
use super::readers::Readers;
use super::sessions::{SessionFault, SessionSummary, Sessions};
use super::sign_in::SignIn;
use super::viewer::Viewer;
use crate::access::AccessRecords;
use crate::store::StoreError;

/// The authenticator of viewers. Clones share the readers, issuers and API keys.
#[derive(Clone, Debug, Default)]
pub struct Authenticator {
    readers: Readers,
    issuers: Issuers,
    keys: ApiKeys,
    sessions: Sessions,
    public_url: Option<PublicUrl>,
}

impl Authenticator {
    /// Creates an authenticator. It accepts API keys and sessions once an [`AccessWatch`](super::AccessWatch) has read them.
    pub fn new(readers: Readers, issuers: Issuers, keys: ApiKeys) -> Self {
        Self { readers, issuers, keys, sessions: Sessions::default(), public_url: None }
    }

    /// Sets the sessions of people, and the URL at which their browsers reach the gateway.
    #[must_use]
    pub fn with_sessions(self, sessions: Sessions, public_url: Option<PublicUrl>) -> Self {
        Self { sessions, public_url, ..self }
    }

    /// Returns the sign-in of people; None without a public URL, to which they could be sent back.
    pub fn sign_in(&self) -> Option<SignIn> {
        Some(SignIn::new(self.issuers.clone(), self.sessions.clone(), self.public_url.clone()?))
    }

    /// Returns the viewer of the session whose id a cookie has. The caller has checked that a page of the gateway has sent it.
    ///
    /// # Errors
    /// The session has ended or gives no rights.
    pub async fn identify_session(&self, id: &str) -> Result<Viewer, Denied> {
        Ok(self.sessions.identify(id, &self.issuers).await?)
    }

    /// Accepts the sessions in the database from now on.
    pub(super) fn open_sessions(&self, access: &AccessRecords) {
        self.sessions.open(access);
    }

    /// Reads the sessions again that are in memory, and revokes those that have ended.
    ///
    /// # Errors
    /// The database's; then the sessions stay as they were.
    pub(super) async fn refresh_sessions(&self) -> Result<(), StoreError> {
        self.sessions.refresh().await
    }

    /// Describes a session to its person.
    ///
    /// # Errors
    /// The session has ended or gives no rights.
    pub async fn session(&self, id: &str) -> Result<SessionSummary, SessionFault> {
        self.sessions.identify(id, &self.issuers).await?;
        self.sessions.summary(id).await
    }

    /// Returns the URL at which browsers reach the gateway; None if it is not configured.
    pub const fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// Returns true if no token is required.
    pub fn is_open(&self) -> bool {
        self.readers.is_open() && self.issuers.is_empty()
    }

    /// Returns the viewer whose token an `Authorization` header has. It waits only for the keys of an issuer, if the token is
    /// signed with a key that is not known yet, or for a look at the database, if an API key is unknown.
    ///
    /// # Errors
    /// Nobody known has this token.
    pub async fn identify(&self, authorization: Option<&str>) -> Result<Viewer, Denied> {
        if self.is_open() {
            return if self.keys.are_read() { Ok(self.readers.open_viewer()) } else { Err(Denied::KeysUnread) };
        }
        let no_token = || Denied::NoToken(self.accepted());
        let (scheme, token) = authorization.and_then(|value| value.trim().split_once(' ')).ok_or_else(no_token)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(no_token());
        }
        if let Some(viewer) = self.readers.identify(token) {
            return Ok(viewer);
        }
        if ApiKeys::is_key(token) {
            return Ok(self.keys.identify(token).await?);
        }
        self.issuers.identify(token).await.map_err(|fault| match fault {
            TokenFault::NoToken if !self.issuers.accept_tokens() => Denied::UnknownToken(self.accepted()),
            TokenFault::NoToken if self.readers.number() > 0 => Denied::OfNoReader(fault),
            fault => Denied::Token(fault),
        })
    }

    /// Returns the kinds of credentials that the gateway accepts.
    fn accepted(&self) -> AcceptedCredentials {
        AcceptedCredentials {
            readers: self.readers.number() > 0,
            keys: self.keys.exist(),
            tokens: self.issuers.accept_tokens(),
            sign_in: self.public_url.is_some() && !self.issuers.with_sign_in().is_empty(),
        }
    }

    /// Returns the API keys.
    pub(super) const fn keys(&self) -> &ApiKeys {
        &self.keys
    }

    /// Reads the API keys again. As soon as there is one, a token or a key is required until a restart.
    ///
    /// # Errors
    /// The database's; then the keys stay as they were.
    pub(super) async fn refresh_keys(&self, access: &AccessRecords) -> Result<(), StoreError> {
        self.keys.refresh(access).await?;
        if self.keys.exist() && self.is_open() {
            tracing::info!("there are API keys: from now on, everybody needs a token or a key");
            self.readers.close();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rights_end::RightsEnd;
    use super::super::viewer::ViewerKind;
    use super::*;
    use crate::event::Rights;

    #[tokio::test]
    async fn only_a_known_bearer_is_let_in() {
        let readers = Readers::new(vec![("one".into(), "t1".into()), ("two".into(), "t2".into())]);
        let authenticator = Authenticator::new(readers, Issuers::default(), ApiKeys::default());
        let name = async |value| authenticator.identify(value).await.map(|viewer| viewer.name);
        assert_eq!(name(Some("Bearer t2")).await, Ok(Some("two".into())));
        assert_eq!(name(Some("bearer  t1")).await, Ok(Some("one".into())));
        let accepted = AcceptedCredentials { readers: true, ..AcceptedCredentials::default() };
        for none in [None, Some(""), Some("t1"), Some("Basic t1"), Some("Bearer ")] {
            assert_eq!(name(none).await, Err(Denied::NoToken(accepted)), "{none:?}");
        }
        for unknown in ["Bearer t3", "Bearer t1t1"] {
            assert_eq!(name(Some(unknown)).await, Err(Denied::UnknownToken(accepted)), "{unknown:?}");
        }
        let open = Authenticator::default();
        assert_eq!(open.identify(None).await, Err(Denied::KeysUnread));
        open.keys.replace(Vec::new());
        let viewer = open.identify(None).await.unwrap();
        assert_eq!((viewer.kind, viewer.name.as_ref()), (ViewerKind::Open, None));
        assert_eq!(*viewer.rights, Rights::of_unlimited_reader());
        open.readers.close();
        assert_eq!(viewer.rights_end().await, RightsEnd::Revoked);
        assert_eq!(open.identify(None).await, Err(Denied::NoToken(AcceptedCredentials::default())));
    }
}
