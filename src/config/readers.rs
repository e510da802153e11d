//! The `[[readers]]` tables: the clients that may query and subscribe, and their rights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check::Checker;
use super::file::{DocumentsSetting, GrantTable, ReaderTable};
use super::settings::OrgSettings;
use crate::auth::{AllowedDocuments, Reader, Readers};
use crate::event::{Filter, Grant, GrantedPart, Rights, Rows, Scope, Scopes};

impl Checker<'_> {
    /// Checks the readers, whose names must differ.
    pub(super) fn readers(&mut self, tables: Vec<ReaderTable>, orgs: &BTreeMap<String, OrgSettings>) -> Readers {
        let mut names = BTreeSet::new();
        let mut readers = Vec::with_capacity(tables.len());
        for (index, table) in tables.into_iter().enumerate() {
            let place = format!("readers[{index}] ({})", table.name);
            if table.name.is_empty() {
                self.faults.push(format!("{place}.name: must not be empty"));
            }
            let scopes = self.scopes(&format!("{place}.scopes"), table.scopes.as_deref());
            let rows = self.rows(&format!("{place}.see"), table.see, orgs);
            let documents = self.documents(&place, table.documents);
            if let Some(token) = self.own_secret(&format!("{place}.token"), &table.token) {
                let rights = Arc::new(Rights::new(scopes, rows));
                readers.push(Reader { name: table.name.clone(), token, rights, documents });
            }
            if !names.insert(table.name) {
                self.faults.push(format!("{place}: another reader has this name"));
            }
        }
        Readers::with_rights(readers)
    }

    /// Checks which documents a client may send. Without trusted documents, it could not send any.
    pub(super) fn documents(&mut self, place: &str, setting: DocumentsSetting) -> AllowedDocuments {
        match setting {
            DocumentsSetting::Any => AllowedDocuments::Any,
            DocumentsSetting::Trusted => {
                if !self.has_trusted_documents {
                    self.faults.push(format!(
                        "{place}.documents: there are no trusted documents: set graphql.trusted_documents"
                    ));
                }
                AllowedDocuments::Trusted
            }
        }
    }

    /// Checks the scopes at a place; without any, they are those that read.
    pub(super) fn scopes(&mut self, place: &str, named: Option<&[String]>) -> Scopes {
        let Some(named) = named else { return Scopes::READING };
        if named.is_empty() {
            self.faults.push(format!("{place}: an empty list allows nothing; omit it, or name scopes"));
        }
        let mut scopes = Scopes::default();
        for (index, name) in named.iter().enumerate() {
            if let Some(scope) = Scope::named(name) {
                scopes = scopes.with(scope);
            } else {
                let known = Scope::ALL.map(Scope::name).join(", ");
                self.faults.push(format!("{place}[{index}]: there is no scope {name:?}; there are: {known}"));
            }
        }
        let [details, people] = [Scope::EventsDetails, Scope::PeopleRead];
        if scopes.has(details) && !scopes.has(people) {
            self.faults.push(format!("{place}: {details} needs {people}, since the raw JSON has every name"));
        }
        scopes
    }

    /// Checks the rows that grants at a place show; without any, they are everything.
    pub(super) fn rows(
        &mut self,
        place: &str,
        see: Option<Vec<GrantTable>>,
        orgs: &BTreeMap<String, OrgSettings>,
    ) -> Rows {
        let Some(see) = see else { return Rows::All };
        if see.is_empty() {
            self.faults.push(format!("{place}: an empty list shows nothing; omit it to show everything"));
        }
        let mut grants = Vec::with_capacity(see.len());
        for (index, table) in see.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            self.granted_org(&place, &table.org, orgs);
            let part = match (table.applications, table.instances) {
                (None, None) => GrantedPart::Whole,
                (Some(names), None) => GrantedPart::Applications(self.granted(&format!("{place}.applications"), names)),
                (None, Some(ids)) => GrantedPart::Instances(self.granted(&format!("{place}.instances"), ids)),
                (Some(_), Some(_)) => {
                    self.faults.push(format!("{place}: give applications or instances; write a grant for each"));
                    continue;
                }
            };
            grants.push(Grant { org: table.org, part });
        }
        Rows::granted(grants)
    }

    /// Checks the org of a grant.
    pub(super) fn granted_org(&mut self, place: &str, org: &str, orgs: &BTreeMap<String, OrgSettings>) {
        if !orgs.contains_key(org) {
            let known = orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.faults.push(format!("{place}.org: there is no org {org:?}; there are: {known}"));
        }
    }

    /// Checks the values of a grant.
    pub(super) fn granted(&mut self, place: &str, values: Vec<String>) -> Vec<String> {
        let most = Filter::MAX_VALUES;
        if values.is_empty() {
            self.faults.push(format!("{place}: an empty list grants nothing; omit it to grant the whole org"));
        } else if values.len() > most {
            self.faults.push(format!("{place}: {} values, at most {most} are allowed", values.len()));
        }
        let is_text = |value: &String| !value.is_empty() && !value.contains('\0');
        if let Some(at) = values.iter().position(|value| !is_text(value)) {
            self.faults.push(format!("{place}[{at}]: {:?} is nothing that Okta names", values[at]));
        }
        values
    }
}

/// Returns a note about the readers that may read everything.
pub(super) fn note_of_unlimited(readers: &Readers) -> Option<String> {
    let unlimited = readers.unlimited();
    let subject = if unlimited.len() == 1 { "reader" } else { "readers" };
    let (listed, scopes) = (unlimited.join(", "), Scopes::READING);
    let note =
        format!("{subject} {listed}: no scopes and no see, so they may read everything ({scopes}); see docs/access.md");
    Some(note).filter(|_| !unlimited.is_empty())
}
