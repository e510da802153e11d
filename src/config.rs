//! Settings from the command line, the environment and `sluice.toml`, checked as a whole before anything starts.

mod access;
mod api;
mod arguments;
mod check;
mod documents;
mod event_types;
mod file;
mod issuers;
mod keys;
mod limits;
mod log_targets;
mod privacy;
mod readers;
mod reload;
mod secret;
mod settings;
mod sign_in;

pub use arguments::{
    AccessArguments, AccessCommand, AddKey, Arguments, Command, Common, Import, KeysArguments, KeysCommand,
    LogArguments, LogCommand, LogFormat, Rejected, RejectedCommand, Selection, Serve, TargetLog,
};
pub use keys::NewKeySettings;
pub use limits::Limits;
pub use log_targets::LogTargets;
pub use reload::Reloaded;
pub use settings::{DatabaseLocation, GraphqlSettings, OrgApiSettings, OrgSettings, Settings, SettingsError};

use std::collections::BTreeMap;
use std::path::PathBuf;

impl Settings {
    /// Reads and checks the settings of a gateway. `variable` looks up environment variables.
    ///
    /// # Errors
    /// All faults of the settings.
    pub fn read(arguments: &Serve, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let (file, directory) =
            file::read(arguments.common.config.as_deref()).map_err(|fault| SettingsError(vec![fault]))?;
        check::check(arguments, file, &secret::Secrets { variable, directory: &directory })
    }

    /// Returns notes about correct settings: the readers without limits, and for each org the event types that only its
    /// System Log provides.
    pub fn notes(&self) -> Vec<String> {
        let of_orgs = self.orgs.iter().filter_map(|(name, org)| event_types::note_of_system_log(name, org));
        self.note_of_readers().into_iter().chain(of_orgs).collect()
    }

    /// Returns a note about the readers that may read everything; None if there are none.
    pub fn note_of_readers(&self) -> Option<String> {
        readers::note_of_unlimited(&self.readers)
    }
}

/// Returns the location of the log, for commands that need no other settings.
///
/// # Errors
/// No data directory is known, or the database's URL has faults.
pub fn database(common: &Common, variable: &dyn Fn(&str) -> Option<String>) -> Result<DatabaseLocation, SettingsError> {
    check::database(common, variable).map_err(SettingsError)
}

/// Returns the levels and targets of log lines that the environment variable `RUST_LOG` selects.
///
/// # Errors
/// An unknown level or target.
pub fn log_targets(variable: &dyn Fn(&str) -> Option<String>) -> Result<LogTargets, SettingsError> {
    LogTargets::parse(&variable("RUST_LOG").unwrap_or_default()).map_err(SettingsError)
}

/// Returns the path of the settings file that commands with these arguments read; None without such a file.
pub fn settings_file(common: &Common) -> Option<PathBuf> {
    file::path(common.config.as_deref())
}

/// The settings of commands that append stored or local data, without secrets and without an address to listen on.
#[derive(Clone, Debug)]
pub struct IntakeSettings {
    /// The location of the log.
    pub database: DatabaseLocation,
    /// True if the command may create a log there.
    pub create: bool,
    /// The Okta orgs by name, without their secrets.
    pub orgs: BTreeMap<String, OrgSettings>,
    /// The limits.
    pub limits: Limits,
}

/// The org that a command uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenOrg {
    /// The name of the org.
    pub name: String,
    /// True if the command line names the org, false if it is the only org of the settings.
    pub is_named: bool,
}

impl IntakeSettings {
    /// Reads and checks these settings. `variable` looks up environment variables.
    ///
    /// # Errors
    /// All faults of the settings.
    pub fn read(target: &TargetLog, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let TargetLog { common, create } = target;
        let (file, directory) = file::read(common.config.as_deref()).map_err(|fault| SettingsError(vec![fault]))?;
        let limits = file.limits.clone();
        let secrets = secret::Secrets { variable, directory: &directory };
        let (database, orgs) = (database(common, variable)?, check::orgs_without_secrets(file, &secrets)?);
        Ok(Self { database, create: *create, orgs, limits })
    }

    /// Returns the named org, or the only one without a name.
    ///
    /// # Errors
    /// No org has this name, or no name is given and there are several orgs.
    pub fn org(&self, name: Option<&str>) -> Result<ChosenOrg, SettingsError> {
        let known = || self.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (name, self.orgs.keys().next()) {
            (Some(name), _) if self.orgs.contains_key(name) => Ok(ChosenOrg { name: name.to_owned(), is_named: true }),
            (Some(name), _) => {
                Err(SettingsError(vec![format!("--org: there is no org {name:?}; there are: {}", known())]))
            }
            (None, Some(only)) if self.orgs.len() == 1 => Ok(ChosenOrg { name: only.clone(), is_named: false }),
            (None, _) => {
                Err(SettingsError(vec![format!("there are several orgs; choose one with --org: {}", known())]))
            }
        }
    }
}
