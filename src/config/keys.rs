//! The arguments of `sluice keys add`: the rights of a new API key, in the words of `[[readers]]`.

use std::collections::BTreeMap;

use super::arguments::AddKey;
use super::check::Checker;
use super::file::GrantTable;
use super::secret::Secrets;
use super::settings::OrgSettings;
use super::{IntakeSettings, SettingsError};
use crate::event::Rights;

/// The settings of `sluice keys add`.
#[derive(Clone, Debug)]
pub struct NewKeySettings {
    /// The database, and the orgs.
    pub intake: IntakeSettings,
    /// The rights of the key.
    pub rights: Rights,
}

impl NewKeySettings {
    /// Reads and checks these settings. `variable` looks up environment variables.
    ///
    /// # Errors
    /// All faults of the settings and the arguments.
    pub fn read(arguments: &AddKey, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let intake = IntakeSettings::read(&arguments.target, variable)?;
        let rights = rights(arguments, &intake.orgs, variable).map_err(SettingsError)?;
        Ok(Self { intake, rights })
    }
}

fn rights(
    arguments: &AddKey,
    orgs: &BTreeMap<String, OrgSettings>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Rights, Vec<String>> {
    let directory = std::path::PathBuf::new();
    let secrets = Secrets { variable, directory: &directory };
    let mut checker = Checker::new(&secrets);
    if !is_name(&arguments.name) {
        checker.faults.push("--name: expected 1 to 100 letters, digits, `-`, `_` or `.`".to_owned());
    }
    let named = Some(&arguments.scopes[..]).filter(|scopes| !scopes.is_empty());
    let scopes = checker.scopes("--scopes", named);
    let mut see = Vec::with_capacity(arguments.see.len());
    for text in &arguments.see {
        match grant(text) {
            Some(table) => see.push(table),
            None => checker.faults.push(format!(
                "--see: {text:?} is no grant: expected ORG, ORG/applications=KEY,… or ORG/instances=ID,…"
            )),
        }
    }
    let rows = checker.rows("--see", Some(see).filter(|_| !arguments.see.is_empty()), orgs);
    if checker.faults.is_empty() { Ok(Rights::new(scopes, rows)) } else { Err(checker.faults) }
}

/// Returns true for a name that needs no quotes in a shell, a list or a metric.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(plain)
}

/// Returns the grant of a text such as `acme/applications=office365,salesforce`.
fn grant(text: &str) -> Option<GrantTable> {
    let (org, part) = text.split_once('/').map_or((text, None), |(org, part)| (org, Some(part)));
    let (mut applications, mut instances) = (None, None);
    if let Some(part) = part {
        let (kind, values) = part.split_once('=')?;
        let list = match kind {
            "applications" => &mut applications,
            "instances" => &mut instances,
            _ => return None,
        };
        *list = Some(values.split(',').map(str::to_owned).collect());
    }
    Some(GrantTable { org: org.to_owned(), applications, instances })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_an_org_or_a_part_of_one() {
        let read = |text: &str| grant(text).map(|table| (table.org, table.applications, table.instances));
        let list = |values: &[&str]| Some(values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>());
        let acme = "acme".to_owned();
        assert_eq!(read("acme"), Some((acme.clone(), None, None)));
        assert_eq!(read("acme/applications=office365,b"), Some((acme.clone(), list(&["office365", "b"]), None)));
        assert_eq!(read("acme/instances=0oa1"), Some((acme.clone(), None, list(&["0oa1"]))));
        // Checks of the values find these faults.
        assert_eq!(read("acme/instances="), Some((acme, None, list(&[""]))));
        assert_eq!(read(""), Some((String::new(), None, None)));
        for no_grant in ["acme/", "acme/applications", "acme/users=a", "acme/instances/a=b", "acme/Instances=a"] {
            assert_eq!(read(no_grant), None, "{no_grant}");
        }
    }
}
