//! The settings of a gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::limits::Limits;
use crate::auth::{
    AllowedOrigins, ApiKeys, Authenticator, HookSecrets, Issuers, PublicUrl, Readers, Sessions, TrustedProxies,
};
use crate::event::EventTypePattern;
use crate::ingest::ApiOptions;
use crate::live::NatsServers;
use crate::okta::{CurrentCredentials, Privacy};

/// The settings of a gateway.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The location of the log.
    pub database: DatabaseLocation,
    /// The NATS servers through which gateways share the log's newest events.
    pub nats: Option<NatsServers>,
    /// The Okta orgs, by name.
    pub orgs: BTreeMap<String, OrgSettings>,
    /// The clients that may query and subscribe.
    pub readers: Readers,
    /// The issuers whose tokens give rights.
    pub issuers: Issuers,
    /// The API keys, which are in the database rather than in the settings.
    pub keys: ApiKeys,
    /// The sessions of people, which are in the database rather than in the settings.
    pub sessions: Sessions,
    /// The URL at which browsers reach the gateway.
    pub public_url: Option<PublicUrl>,
    /// The proxies whose headers name the client.
    pub trusted_proxies: TrustedProxies,
    /// The origins of other sites whose pages may query and subscribe.
    pub allowed_origins: AllowedOrigins,
    /// The settings of GraphQL.
    pub graphql: GraphqlSettings,
    /// The limits.
    pub limits: Limits,
    /// Warnings about settings that are not wrong.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Returns the authenticator of viewers.
    pub fn authenticator(&self) -> Authenticator {
        Authenticator::new(self.readers.clone(), self.issuers.clone(), self.keys.clone())
            .with_sessions(self.sessions.clone(), self.public_url.clone())
    }
}

/// The settings of GraphQL.
#[derive(Clone, Debug)]
pub struct GraphqlSettings {
    /// True if clients may request the schema.
    pub introspection: bool,
    /// The documents that the operator trusts, by id.
    pub trusted_documents: BTreeMap<String, String>,
    /// True if all other documents are refused.
    pub trusted_only: bool,
}

impl Default for GraphqlSettings {
    fn default() -> Self {
        Self { introspection: true, trusted_documents: BTreeMap::new(), trusted_only: false }
    }
}

/// The location of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// The URL of the operator's database.
    Url(String),
    /// The directory of a private PostgreSQL.
    Private(PathBuf),
}

/// The settings of an Okta org.
#[derive(Clone, Debug)]
pub struct OrgSettings {
    /// The org's URL, for its APIs and for links into its admin console.
    pub url: Option<String>,
    /// The secrets of its event hooks.
    pub hook: HookSecrets,
    /// Headers of deliveries that are stored in addition to the default ones.
    pub keep_headers: Vec<String>,
    /// The event types that are kept.
    pub event_types: Vec<EventTypePattern>,
    /// The members of its events that are removed or hashed.
    pub privacy: Option<Privacy>,
    /// The settings for reading its APIs, which require a URL; None if they are not read.
    pub api: Option<OrgApiSettings>,
}

/// The settings for reading an org's APIs.
#[derive(Clone, Debug)]
pub struct OrgApiSettings {
    /// The credentials.
    pub credentials: CurrentCredentials,
    /// The intervals and limits of reading.
    pub options: ApiOptions,
}

/// The faults of the settings, each with its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings are wrong:\n{}", .0.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<String>);
