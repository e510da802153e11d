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
mod settings;

pub use arguments::{
    Arguments, Command, Common, Import, Log, LogCommand, LogFormat, Rejected, RejectedCommand, Selection, Serve, Target,
};
pub use limits::Limits;
pub use log_targets::LogTargets;
pub use reload::Reloaded;
pub use settings::{Database, GraphqlSettings, Org, OrgApiSettings, Settings, SettingsError};

use std::collections::BTreeMap;
use std::path::PathBuf;

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
