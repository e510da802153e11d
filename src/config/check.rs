//! The check of all settings, before anything starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::arguments::{Common, Serve};
use super::documents;
use super::event_types;
use super::file::{ApiTable, File, GraphqlTable, OrgTable};
use super::secret::Secrets;
use super::settings::{DatabaseLocation, GraphqlSettings, OrgSettings, Settings, SettingsError};
use crate::auth::{ApiKeys, HookSecrets, Sessions};
use crate::event::EventTypePattern;
use crate::ingest::CREDENTIAL_HEADERS;
use crate::live::NatsServers;
use crate::store::StoreOptions;

/// The name of the org if none is configured.
const DEFAULT_ORG: &str = "default";

const NO_PLACE: &str = "no data directory is known: set --data-dir, DATABASE_URL or HOME";

/// The faults and warnings that are collected while settings are checked.
pub(super) struct Checker<'a> {
    pub(super) secrets: &'a Secrets<'a>,
    pub(super) faults: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// True if the settings name a file of trusted documents.
    pub(super) has_trusted_documents: bool,
    /// All secrets that were found, with their places.
    found: Vec<(String, SecretString)>,
}

/// Checks the settings file and the arguments. The error lists all faults.
pub(super) fn check(arguments: &Serve, file: File, secrets: &Secrets<'_>) -> Result<Settings, SettingsError> {
    let mut checker = Checker::new(secrets);
    checker.has_trusted_documents = file.graphql.trusted_documents.is_some();
    let orgs = checker.orgs(file.orgs);
    let readers = checker.readers(file.readers, &orgs);
    let public_url = checker.public_url(&file.access);
    let issuers = checker.issuers(file.issuers, &orgs, file.access.public_url.is_some());
    if file.access.open == Some(false) {
        readers.close();
    }
    let is_open = readers.is_open() && issuers.is_empty();
    checker.check_open_access(arguments, &orgs, is_open);
    checker.warnings.extend(orgs.iter().filter_map(|(name, org)| event_types::warning_of_hooks(name, org)));
    checker.faults.extend(super::log_targets(secrets.variable).err().into_iter().flat_map(|error| error.0));
    checker.faults.extend(file.limits.faults());
    let trusted_proxies = checker.trusted_proxies(&file.access);
    let allowed_origins = checker.allowed_origins(&file.access, is_open);
    let graphql = checker.graphql(&file.graphql);
    let database = checker.database(&arguments.common);
    let nats = checker.nats(arguments.nats_url.as_deref());
    match database {
        Some(database) if checker.faults.is_empty() => Ok(Settings {
            listen: arguments.listen,
            database,
            nats,
            orgs,
            readers,
            issuers,
            keys: ApiKeys::default(),
            sessions: Sessions::default(),
            public_url,
            trusted_proxies,
            allowed_origins,
            graphql,
            limits: file.limits,
            warnings: checker.warnings,
        }),
        _ => Err(SettingsError(checker.faults)),
    }
}

fn default_org(secrets: &Secrets<'_>) -> OrgTable {
    let variable = |name: &str| (secrets.variable)(name).filter(|value| !value.is_empty());
    let hook_secrets = variable("SLUICE_HOOK_SECRET").map(|_| "env:SLUICE_HOOK_SECRET".to_owned());
    OrgTable {
        name: DEFAULT_ORG.to_owned(),
        url: variable("SLUICE_OKTA_URL"),
        hook_secrets: hook_secrets.into_iter().collect(),
        hook_header: None,
        keep_headers: Vec::new(),
        event_types: None,
        privacy: None,
        api: variable("SLUICE_OKTA_TOKEN")
            .map(|_| ApiTable { token: Some("env:SLUICE_OKTA_TOKEN".to_owned()), ..ApiTable::default() }),
    }
}

impl<'a> Checker<'a> {
    pub(super) fn new(secrets: &'a Secrets<'a>) -> Self {
        Self { secrets, faults: Vec::new(), warnings: Vec::new(), has_trusted_documents: false, found: Vec::new() }
    }

    /// Checks the orgs, whose names must differ.
    fn orgs(&mut self, tables: Vec<OrgTable>) -> BTreeMap<String, OrgSettings> {
        let tables = if tables.is_empty() { vec![default_org(self.secrets)] } else { tables };
        let mut orgs = BTreeMap::new();
        for (index, table) in tables.into_iter().enumerate() {
            let place = format!("orgs[{index}] ({})", table.name);
            let name = table.name.clone();
            let org = self.org(&place, table);
            if orgs.insert(name, org).is_some() {
                self.faults.push(format!("{place}: another org has this name"));
            }
        }
        orgs
    }

    fn org(&mut self, place: &str, table: OrgTable) -> OrgSettings {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if table.name.is_empty() || table.name.len() > 100 || !table.name.bytes().all(plain) {
            self.faults.push(format!(
                "{place}.name: expected 1 to 100 letters, digits, `-`, `_` or `.`, since it is part of URLs"
            ));
        }
        if let Some(url) = &table.url
            && !is_org_url(url)
        {
            self.faults.push(format!("{place}.url: {url:?} is not the URL of an org; expected https://acme.okta.com"));
        }
        let header = table.hook_header.as_deref().unwrap_or("authorization");
        if !is_header_name(header) {
            self.faults.push(format!("{place}.hook_header: {header:?} is not a header's name"));
        }
        self.keep_headers(place, &table.keep_headers, header);
        let hook_secrets = table.hook_secrets.iter().enumerate();
        let secrets =
            hook_secrets.filter_map(|(index, named)| self.own_secret(&format!("{place}.hook_secrets[{index}]"), named));
        let hook = HookSecrets::new(header, secrets.collect());
        let api = table.api.and_then(|api| self.api(place, table.url.as_deref(), api));
        let event_types = table.event_types.unwrap_or_else(|| event_types::SYNC_FAMILY.map(str::to_owned).to_vec());
        if event_types.is_empty() {
            self.faults.push(format!("{place}.event_types: an empty list keeps no events; omit it, or write [\"*\"]"));
        }
        let event_types = self.event_types(place, &event_types);
        let privacy = table.privacy.and_then(|privacy| self.privacy(&format!("{place}.privacy"), &privacy));
        OrgSettings { url: table.url, hook, keep_headers: table.keep_headers, event_types, privacy, api }
    }

    /// Checks the names of the headers that are stored in addition to the default ones.
    fn keep_headers(&mut self, place: &str, names: &[String], secret: &str) {
        for (index, name) in names.iter().enumerate() {
            let place = format!("{place}.keep_headers[{index}]");
            if !is_header_name(name) {
                self.faults.push(format!("{place}: {name:?} is not a header's name"));
            } else if name.eq_ignore_ascii_case(secret) || CREDENTIAL_HEADERS.contains(&&*name.to_ascii_lowercase()) {
                self.faults.push(format!("{place}: {name:?} contains a secret and is never stored: remove it"));
            }
        }
    }

    fn event_types(&mut self, place: &str, written: &[String]) -> Vec<EventTypePattern> {
        let mut patterns = Vec::with_capacity(written.len());
        for (index, text) in written.iter().enumerate() {
            match EventTypePattern::parse(text) {
                Some(pattern) => {
                    let warning = event_types::warning_of_prefix(&pattern);
                    self.warnings.extend(warning.map(|text| format!("{place}.event_types[{index}]: {text}")));
                    patterns.push(pattern);
                }
                None => self.faults.push(format!(
                    "{place}.event_types[{index}]: {text:?} is neither an event type nor a family: `*` may only be the last character"
                )),
            }
        }
        patterns
    }

    fn graphql(&mut self, table: &GraphqlTable) -> GraphqlSettings {
        let mut settings = GraphqlSettings {
            introspection: table.introspection.unwrap_or(true),
            trusted_only: table.trusted_only,
            ..GraphqlSettings::default()
        };
        match &table.trusted_documents {
            Some(path) => match documents::read(&self.secrets.directory.join(path)) {
                Ok(documents) => settings.trusted_documents = documents,
                Err(faults) => {
                    self.faults.extend(faults.iter().map(|fault| format!("graphql.trusted_documents: {fault}")));
                }
            },
            None if table.trusted_only => {
                self.faults.push("graphql.trusted_only: there are no trusted documents: set trusted_documents".into());
            }
            None => {}
        }
        settings
    }

    fn nats(&mut self, url: Option<&str>) -> Option<NatsServers> {
        let servers = NatsServers::parse(url.filter(|url| !url.is_empty())?);
        servers.map_err(|error| self.faults.push(format!("--nats-url (SLUICE_NATS_URL): {error}"))).ok()
    }

    /// Returns a secret with which sluice authenticates to others.
    pub(super) fn secret(&mut self, place: &str, named: &str) -> Option<SecretString> {
        let found = self.secrets.find(named);
        self.keep_secret(place, found)
    }

    /// Returns a secret with which others authenticate to sluice.
    pub(super) fn own_secret(&mut self, place: &str, named: &str) -> Option<SecretString> {
        let found = self.secrets.find_strong(named);
        self.keep_secret(place, found)
    }

    /// Records a secret. Two equal secrets are a fault, since each of them would give the rights of both.
    fn keep_secret(&mut self, place: &str, found: Result<SecretString, String>) -> Option<SecretString> {
        match found {
            Ok(secret) => {
                let same = |known: &SecretString| known.expose_secret() == secret.expose_secret();
                if let Some((other, _)) = self.found.iter().find(|(_, known)| same(known)) {
                    self.faults.push(format!("{place}: {other} has the same secret: create one for each"));
                }
                self.found.push((place.to_owned(), secret.clone()));
                Some(secret)
            }
            Err(fault) => {
                self.faults.push(format!("{place}: {fault}"));
                None
            }
        }
    }

    /// Reports missing secrets: a fault unless sluice listens on a loopback address, otherwise a warning.
    fn check_open_access(&mut self, arguments: &Serve, orgs: &BTreeMap<String, OrgSettings>, is_open: bool) {
        let listen = arguments.listen;
        let open_hooks: Vec<_> = orgs.iter().filter(|(_, org)| org.hook.is_open()).map(|(name, _)| name).collect();
        if !listen.ip().is_loopback() {
            if is_open {
                self.faults.push(format!(
                    "{listen} is not a loopback address, and there are no readers: add [[readers]] with a name and a token, or [[issuers]], or set access.open = false if all clients have API keys"
                ));
            }
            self.faults.extend(open_hooks.iter().map(|name| {
                format!("{listen} is not a loopback address, and org {name} has no hook secret: add hook_secrets")
            }));
            return;
        }
        if is_open {
            self.warnings.push(
                "no [[readers]]: everybody on this machine may query and subscribe, unless there are API keys"
                    .to_owned(),
            );
        }
        let open = open_hooks
            .iter()
            .map(|name| format!("org {name} has no hook secret: everybody on this machine may deliver"));
        self.warnings.extend(open);
    }

    fn database(&mut self, common: &Common) -> Option<DatabaseLocation> {
        database(common, self.secrets.variable).map_err(|faults| self.faults.extend(faults)).ok()
    }
}

/// Checks the orgs without their secrets, for commands that import or retry on their behalf.
pub(super) fn orgs_without_secrets(
    file: File,
    secrets: &Secrets<'_>,
) -> Result<BTreeMap<String, OrgSettings>, SettingsError> {
    let mut checker = Checker::new(secrets);
    let mut tables = file.orgs;
    for table in &mut tables {
        table.hook_secrets.clear();
        table.api = None;
    }
    let mut orgs = checker.orgs(tables);
    for org in orgs.values_mut() {
        org.api = None;
    }
    checker.faults.extend(file.limits.faults());
    if checker.faults.is_empty() { Ok(orgs) } else { Err(SettingsError(checker.faults)) }
}

/// Returns the location of the log according to the command line and the environment, or all faults.
pub(super) fn database(
    common: &Common,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<DatabaseLocation, Vec<String>> {
    if let Some(url) = common.database_url.as_ref().filter(|url| !url.is_empty()) {
        let place = |fault| format!("--database-url (DATABASE_URL): {fault}");
        let checked = StoreOptions::new(url).check();
        checked.map_err(|faults| faults.into_iter().map(place).collect::<Vec<_>>())?;
        return Ok(DatabaseLocation::Url(url.clone()));
    }
    let directory = common.data_dir.clone().or_else(|| default_data_directory(variable));
    directory.map(DatabaseLocation::Private).ok_or_else(|| vec![NO_PLACE.to_owned()])
}

/// Returns the platform's data directory. As root it is not in root's home, which the user of the private PostgreSQL
/// cannot read.
fn default_data_directory(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/sluice"));
    }
    let given = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return given("HOME").map(|home| home.join("Library/Application Support/sluice"));
    }
    given("XDG_DATA_HOME")
        .or_else(|| given("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("sluice"))
}

fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// Returns true for `https://` (or `http://`, for a simulator) and a host without a path.
fn is_org_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    !host.is_empty() && host.bytes().all(plain)
}
