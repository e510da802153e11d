//! Viewers: who sends a request, and what they may see.

use std::sync::{Arc, LazyLock};

use super::revocation::Revocation;
use crate::event::{Rights, Scope, Timestamp};
use crate::store::Credential;

/// The party that sends a request. Behind this module all viewers are alike: their kind is told to them, and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The name of the reader or key, or the subject of the token or session; None if the gateway is open, or the token names nobody.
    pub name: Option<String>,
    /// The kind of what identified the viewer.
    pub kind: ViewerKind,
    /// The credential whose share of database connections the viewer uses.
    pub credential: Credential,
    /// The time at which the rights end; None if they do not end by themselves.
    pub expires: Option<Timestamp>,
    /// The rights with which the viewer's operations read the log.
    pub rights: Arc<Rights>,
    /// The documents that the viewer may send.
    pub documents: AllowedDocuments,
    /// The revocation of the rights.
    pub(super) revocation: Revocation,
}

/// The documents that a viewer may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowedDocuments {
    /// Every document, unless the gateway executes trusted ones only.
    #[default]
    Any,
    /// Documents that the operator trusts, and no others.
    Trusted,
}

/// The kind of what identifies a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerKind {
    /// Nothing: no readers are configured, and the gateway answers everybody on its machine.
    Open,
    /// The token of a configured reader.
    Reader,
    /// An API key.
    ApiKey,
    /// A token of an issuer.
    Token,
    /// The session of a person who has signed in.
    Session,
}

/// The error for a viewer whose rights lack a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this needs the scope {0}, which this reader, token or key lacks (scopes of [[readers]] or [[issuers.rules]], or of sluice keys add)"
)]
pub struct MissingScope(pub Scope);

static UNLIMITED: LazyLock<Arc<Rights>> = LazyLock::new(|| Arc::new(Rights::of_unlimited_reader()));

impl Viewer {
    /// Creates the viewer of a gateway without readers.
    pub(super) fn open(revocation: &Revocation) -> Self {
        Self {
            name: None,
            kind: ViewerKind::Open,
            credential: Credential::Open,
            expires: None,
            rights: Arc::clone(&UNLIMITED),
            documents: AllowedDocuments::Any,
            revocation: revocation.clone(),
        }
    }

    /// Creates the viewer of a configured reader.
    pub(super) fn of_reader(
        name: &str,
        rights: &Arc<Rights>,
        documents: AllowedDocuments,
        revocation: &Revocation,
    ) -> Self {
        Self {
            name: Some(name.to_owned()),
            kind: ViewerKind::Reader,
            credential: Credential::Reader(name.to_owned()),
            expires: None,
            rights: Arc::clone(rights),
            documents,
            revocation: revocation.clone(),
        }
    }

    /// Checks that the viewer has a scope.
    ///
    /// # Errors
    /// The viewer lacks the scope.
    pub fn require(&self, scope: Scope) -> Result<(), MissingScope> {
        if self.rights.has(scope) { Ok(()) } else { Err(MissingScope(scope)) }
    }
}
