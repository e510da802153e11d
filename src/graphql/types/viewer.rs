//! The viewer: who asks, and what they may see.

use async_graphql::{Enum, SimpleObject};

use super::scalars::DateTime;
use crate::auth::{Viewer, ViewerKind};
use crate::event::{Grant, GrantedPart, Rows, Scope};

/// The kind of what identifies a viewer.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "ViewerKind", remote = "ViewerKind")]
pub(super) enum ViewerKindNode {
    /// Nothing: the gateway has no readers, and answers everybody on its own machine.
    Open,
    /// The token of a reader in the settings.
    Reader,
    /// An API key.
    ApiKey,
    /// A token of an issuer.
    Token,
    /// The session of a person who has signed in.
    Session,
}

/// A kind of things that a viewer may do.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "Scope", remote = "Scope")]
pub(super) enum ScopeNode {
    /// The scope events:read: events and the catalogue, without what other scopes are for.
    EventsRead,
    /// The scope events:details: events as Okta sent them, and all that only these have.
    EventsDetails,
    /// The scope people:read: names and logins of people.
    PeopleRead,
    /// The scope ingestion:read: the state of ingestion, and rejected records.
    IngestionRead,
    /// The scope metrics: the metrics of the gateway.
    Metrics,
    /// The scope ingest: imports over HTTP.
    Ingest,
    /// The scope admin: the administration of the gateway.
    Admin,
}

/// The viewer: who asks, and what they may see.
#[derive(SimpleObject)]
#[graphql(name = "Viewer")]
pub(super) struct ViewerNode {
    /// The name of the reader or the API key, or the subject of the token or session; null if the gateway requires no token, or the
    /// token has no subject.
    name: Option<String>,
    /// The kind of what identifies the viewer.
    kind: ViewerKindNode,
    /// The kinds of things that the viewer may do.
    scopes: Vec<ScopeNode>,
    /// The events that the viewer may see: those of any of these grants. Null is everything.
    sees: Option<Vec<GrantNode>>,
    /// When the rights end; null if they do not end by themselves.
    expires_at: Option<DateTime>,
}

/// The events of one org that a viewer may see: all of them, or those of applications or of application instances.
#[derive(SimpleObject)]
#[graphql(name = "Grant")]
pub(super) struct GrantNode {
    /// The configured name of the Okta org.
    org: String,
    /// Okta's keys of applications, such as office365; null if the grant is not for applications.
    applications: Option<Vec<String>>,
    /// Okta's ids of application instances; null if the grant is not for application instances.
    application_instances: Option<Vec<String>>,
}

impl From<&Viewer> for ViewerNode {
    fn from(viewer: &Viewer) -> Self {
        let Viewer { name, kind, expires, rights, .. } = viewer;
        let sees = match rights.rows() {
            Rows::All => None,
            Rows::Granted(grants) => Some(grants.iter().map(GrantNode::from).collect()),
        };
        Self {
            name: name.clone(),
            kind: (*kind).into(),
            scopes: rights.scopes().iter().map(ScopeNode::from).collect(),
            sees,
            expires_at: expires.map(DateTime),
        }
    }
}

impl From<&Grant> for GrantNode {
    fn from(grant: &Grant) -> Self {
        let (applications, application_instances) = match &grant.part {
            GrantedPart::Whole => (None, None),
            GrantedPart::Applications(names) => (Some(names.clone()), None),
            GrantedPart::Instances(ids) => (None, Some(ids.clone())),
        };
        Self { org: grant.org.clone(), applications, application_instances }
    }
}
