//! Settings: from the command line, the environment and `sluice.toml`, checked as a whole before anything starts.

mod access;
mod api;
mod arguments;
mod check;
mod documents;
mod event_types;
mod file;
mod limits;
mod log_targets;
mod reload;
mod secret;

pub use arguments::{
    Arguments, Command, Common, Import, Log, LogCommand, LogFormat, Rejected, RejectedCommand, Selection, Serve, Target,
};
pub use limits::Limits;
pub use log_targets::LogTargets;
pub use reload::Reloaded;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

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

impl Settings {
    /// Reads and checks the settings of a gateway. Environment variables are looked up with `variable`.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn read(arguments: &Serve, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let (file, directory) =
            file::read(arguments.common.config.as_deref()).map_err(|fault| SettingsError(vec![fault]))?;
        check::check(arguments, file, &secret::Secrets { variable, directory: &directory })
    }

    /// Returns what is right and worth knowing: for each org, what only its System Log brings.
    pub fn notes(&self) -> Vec<String> {
        self.orgs.iter().filter_map(|(name, org)| event_types::note_of_system_log(name, org)).collect()
    }
}

/// Where the log is, for commands that need nothing else.
///
/// # Errors
/// No place for data is given, or the database's URL has faults.
pub fn database(common: &Common, variable: &dyn Fn(&str) -> Option<String>) -> Result<Database, SettingsError> {
    check::database(common, variable).map_err(SettingsError)
}

/// Returns the levels and targets of log lines, which the environment variable `RUST_LOG` chooses.
///
/// # Errors
/// An unknown level or target.
pub fn log_targets(variable: &dyn Fn(&str) -> Option<String>) -> Result<LogTargets, SettingsError> {
    LogTargets::parse(&variable("RUST_LOG").unwrap_or_default()).map_err(SettingsError)
}

/// Returns the path of the settings file that commands with these arguments read; None where there is none.
pub fn settings_file(common: &Common) -> Option<PathBuf> {
    file::path(common.config.as_deref())
}

/// What commands need that take in what is here already: no secrets, no address.
#[derive(Clone, Debug)]
pub struct WaysIn {
    /// Where the log is.
    pub database: Database,
    /// True if a log may be created there.
    pub create: bool,
    /// The Okta orgs, by name. Their secrets are not looked up.
    pub orgs: BTreeMap<String, Org>,
    /// What everything that grows is held to.
    pub limits: Limits,
}

/// The org of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenOrg {
    /// Its name.
    pub name: String,
    /// True if the command line names it; false if it is the only one of the settings.
    pub is_named: bool,
}

impl WaysIn {
    /// Reads and checks these settings. Environment variables are looked up with `variable`.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn read(target: &Target, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let Target { common, create } = target;
        let (file, directory) = file::read(common.config.as_deref()).map_err(|fault| SettingsError(vec![fault]))?;
        let limits = file.limits.clone();
        let secrets = secret::Secrets { variable, directory: &directory };
        let (database, orgs) = (database(common, variable)?, check::orgs_without_secrets(file, &secrets)?);
        Ok(Self { database, create: *create, orgs, limits })
    }

    /// The org that is named, or the only one there is.
    ///
    /// # Errors
    /// There is none of this name, or no name and several orgs.
    pub fn org(&self, name: Option<&str>) -> Result<ChosenOrg, SettingsError> {
        let known = || self.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (name, self.orgs.keys().next()) {
            (Some(name), _) if self.orgs.contains_key(name) => Ok(ChosenOrg { name: name.to_owned(), is_named: true }),
            (Some(name), _) => {
                Err(SettingsError(vec![format!("--org: there is no org {name:?}; there are: {}", known())]))
            }
            (None, Some(only)) if self.orgs.len() == 1 => Ok(ChosenOrg { name: only.clone(), is_named: false }),
            (None, _) => Err(SettingsError(vec![format!("there are several orgs, say which with --org: {}", known())])),
        }
    }
}
