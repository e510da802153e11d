//! The settings of a gateway, read and checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::limits::Limits;
use crate::auth::{HookSecrets, Readers, TrustedProxies};
use crate::event::EventTypePattern;
use crate::ingest::ApiOptions;
use crate::live::NatsServers;
use crate::okta::CurrentCredentials;

/// Everything a gateway must know to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the log is.
    pub database: Database,
    /// Where NATS is, by which gateways tell each other of the log's tail.
    pub nats: Option<NatsServers>,
    /// The Okta orgs, by name.
    pub orgs: BTreeMap<String, Org>,
    /// Who may ask.
    pub readers: Readers,
    /// Proxies that may say for whom they ask.
    pub trusted_proxies: TrustedProxies,
    /// What the graph answers.
    pub graphql: GraphqlSettings,
    /// What everything that grows is held to.
    pub limits: Limits,
    /// What is not wrong but worth a word at start.
    pub warnings: Vec<String>,
}

/// What the graph answers.
#[derive(Clone, Debug)]
pub struct GraphqlSettings {
    /// Whether clients may ask for the schema.
    pub introspection: bool,
    /// Documents that the operator trusts, by their ids.
    pub trusted_documents: BTreeMap<String, String>,
    /// Whether every other document is refused.
    pub trusted_only: bool,
}

impl Default for GraphqlSettings {
    fn default() -> Self {
        Self { introspection: true, trusted_documents: BTreeMap::new(), trusted_only: false }
    }
}

/// Where the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// In a database of the operator's.
    Url(String),
    /// In a private Postgres in this directory.
    Private(PathBuf),
}

/// An Okta org.
#[derive(Clone, Debug)]
pub struct Org {
    /// Its address, for links into its admin console.
    pub url: Option<String>,
    /// How its event hooks prove themselves.
    pub hook: HookSecrets,
    /// Headers of its deliveries that are kept beside the usual ones.
    pub keep_headers: Vec<String>,
    /// The event types that are kept.
    pub event_types: Vec<EventTypePattern>,
    /// How its APIs are read; None where they are not. Where there are some, there is an address.
    pub api: Option<OrgApiSettings>,
}

/// How an org's APIs are read.
#[derive(Clone, Debug)]
pub struct OrgApiSettings {
    /// How sluice proves itself.
    pub credentials: CurrentCredentials,
    /// How often, and how much.
    pub options: ApiOptions,
}

/// What is wrong with the settings: every fault, each with its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings are wrong:\n{}", .0.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<String>);
