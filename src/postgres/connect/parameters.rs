//! Parameters of the database's URL, as in libpq: the supported, the unsupported and the unknown ones.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Supported parameters.
const SUPPORTED: [&str; 21] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "target_session_attrs",
    "user",
];

/// Other spellings of supported parameters.
const ALIASES: [(&str, &str); 6] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("statement_cache_capacity", "statement-cache-capacity"),
];

/// Parameters of libpq that sluice does not support. To ignore one silently could weaken the security that the operator
/// asked for.
const UNSUPPORTED: [&str; 26] = [
    "gssdelegation",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslnegotiation",
    "sslpassword",
    "tcp_user_timeout",
];

/// Longest name of a parameter that is shown, in bytes. A longer one is probably a part of a password.
const LONGEST_NAME: usize = 40;

/// Number of prepared statements that a connection caches, unless the URL sets it.
const PREPARED_STATEMENTS: usize = 256;

/// Value of `sslrootcert` for the publicly trusted certificate authorities.
const SYSTEM_ROOTS: &str = "system";

/// The parameters of a URL by their names, with percent-encoding undone.
pub(super) struct Parameters {
    values: BTreeMap<&'static str, String>,
    /// Settings that were given as `options[name]`.
    settings: Vec<(String, String)>,
}

/// Options and settings from the parameters, which all hosts share.
pub(super) struct SharedOptions {
    pub(super) options: PgConnectOptions,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) settings: Vec<(String, String)>,
}

impl Parameters {
    /// Parses the part of a URL after its `?`.
    pub(super) fn parse(query: &str, faults: &mut Vec<String>) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), settings: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let decode = |text| percent_decode_str(text).decode_utf8().ok().filter(|text| !text.contains('\0'));
            let Some((key, value)) = pair.split_once('=') else {
                faults.push("a parameter has no value: write name=value, and %26 for `&` in a value".to_owned());
                continue;
            };
            let Some(key) = decode(key).filter(|key| is_name(key)) else {
                faults.push("a parameter's name is none: write %26 for `&` in a value".to_owned());
                continue;
            };
            let Some(value) = decode(value) else {
                faults.push(format!("{key}: is not UTF-8 after its percent-encoding is undone"));
                continue;
            };
            parameters.add(&key, value.into_owned(), faults);
        }
        parameters
    }

    fn add(&mut self, key: &str, value: String, faults: &mut Vec<String>) {
        if let Some(name) = key.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
            self.settings.push((name.to_owned(), value));
            return;
        }
        let named = ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| name);
        if let Some(name) = SUPPORTED.iter().find(|name| **name == named) {
            if self.values.insert(name, value).is_some() {
                faults.push(format!("{name}: is given twice"));
            }
        } else if key == "ssl" {
            // JDBC's parameter, which libpq accepts, too.
            let mode = if value == "true" { "require" } else { "prefer" };
            self.values.entry("sslmode").or_insert_with(|| mode.to_owned());
        } else if UNSUPPORTED.contains(&key) {
            faults.push(format!("{key}: sluice cannot do what this parameter asks for; leave it out"));
        } else {
            let near =
                SUPPORTED.iter().map(|name| (distance(key, name), name)).min().filter(|(distance, _)| *distance <= 2);
            let hint = near.map_or_else(String::new, |(_, name)| format!("; is {name} meant?"));
            faults.push(format!("{key}: PostgreSQL's URLs have no such parameter{hint}"));
        }
    }

    /// Removes a parameter and returns its value; an empty value counts as none.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).filter(|value| !value.is_empty())
    }

    /// Returns true if the server's certificate must have the host's name.
    pub(super) fn verifies_names(&self) -> bool {
        let is = |name, value| self.values.get(name).is_some_and(|given| given == value);
        is("sslmode", "verify-full") || is("sslrootcert", SYSTEM_ROOTS)
    }

    /// Builds connection options from the parameters that are left after those of the hosts and the login were taken.
    pub(super) fn options(mut self, faults: &mut Vec<String>) -> SharedOptions {
        let name = self.take("application_name").or_else(|| self.take("fallback_application_name"));
        let mut options = PgConnectOptions::new_without_pgpass()
            .application_name(name.as_deref().unwrap_or("sluice"))
            // Poolers refuse this startup parameter, and PostgreSQL's default is as exact.
            .extra_float_digits(None);
        self.check_fixed_values(faults);
        let capacity = self.take("statement-cache-capacity").map(|text| text.parse());
        options = match capacity.unwrap_or(Ok(PREPARED_STATEMENTS)) {
            Ok(capacity) if (1..=10_000).contains(&capacity) => options.statement_cache_capacity(capacity),
            _ => {
                faults.push("statement-cache-capacity: expected a number from 1 to 10000".to_owned());
                options
            }
        };
        options = self.tls(options, faults);
        let connect_timeout = self.take("connect_timeout").map(|text| text.parse());
        if connect_timeout.as_ref().is_some_and(|seconds| !matches!(seconds, Ok(1..=60))) {
            faults.push("connect_timeout: expected a number of seconds from 1 to 60".to_owned());
        }
        let connect_timeout = connect_timeout.and_then(Result::ok).map(Duration::from_secs);
        let mut settings = self.take("options").map_or(Some(Vec::new()), |text| settings(&text)).unwrap_or_else(|| {
            faults.push("options: expected settings as -c name=value or --name=value".to_owned());
            Vec::new()
        });
        settings.append(&mut self.settings);
        if settings.iter().any(|(name, _)| !is_setting(name)) {
            faults.push("options: expected names of settings of letters, digits, `_` and `.`".to_owned());
        }
        SharedOptions { options, connect_timeout, settings }
    }

    /// Checks parameters of which sluice supports only those values that ask for what it does anyway.
    fn check_fixed_values(&mut self, faults: &mut Vec<String>) {
        let needs_writes = "sluice reads and writes at one server and needs one that takes writes: expected read-write, \
                            primary or any";
        for (name, possible, otherwise) in [
            ("target_session_attrs", &["any", "read-write", "primary"][..], needs_writes),
            ("channel_binding", &["disable", "prefer"][..], "channel binding is not supported; leave it out"),
            ("gssencmode", &["disable", "prefer"][..], "GSSAPI is not supported; leave it out"),
            ("load_balance_hosts", &["disable"][..], "hosts are tried in their order; leave it out"),
            ("client_encoding", &["utf8", "utf-8", "auto", "unicode"][..], "sluice speaks UTF8; leave it out"),
        ] {
            if self.take(name).is_some_and(|value| !possible.contains(&value.to_lowercase().as_str())) {
                faults.push(format!("{name}: {otherwise}"));
            }
        }
    }

    fn tls(&mut self, mut options: PgConnectOptions, faults: &mut Vec<String>) -> PgConnectOptions {
        if let Some(mode) = self.take("sslmode") {
            let mode = match mode.as_str() {
                "disable" => Some(PgSslMode::Disable),
                "prefer" => Some(PgSslMode::Prefer),
                "require" => Some(PgSslMode::Require),
                "verify-ca" => Some(PgSslMode::VerifyCa),
                "verify-full" => Some(PgSslMode::VerifyFull),
                _ => None,
            };
            match mode {
                Some(mode) => options = options.ssl_mode(mode),
                None => faults.push("sslmode: expected disable, prefer, require, verify-ca or verify-full".to_owned()),
            }
        }
        if self.values.get("sslrootcert").is_some_and(|root| root == SYSTEM_ROOTS) {
            self.values.remove("sslrootcert");
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        let files = ["sslrootcert", "sslcert", "sslkey"].map(|name| (name, self.take(name)));
        for (name, path) in &files {
            if let Some(Err(error)) = path.as_ref().map(File::open) {
                faults.push(format!("{name}: the file cannot be read: {error}"));
            }
        }
        let [(_, root), (_, certificate), (_, key)] = files;
        if certificate.is_some() != key.is_some() {
            faults.push("sslcert and sslkey: expected both, or neither".to_owned());
        }
        if let Some(root) = root {
            options = options.ssl_root_cert(root);
        }
        if let Some((certificate, key)) = certificate.zip(key) {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        options
    }
}

/// Returns true for a text that can be shown as the name of a parameter.
fn is_name(key: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    (1..=LONGEST_NAME).contains(&key.len()) && key.bytes().all(fits)
}

fn is_setting(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

/// Parses settings such as `-c geqo=off --search_path=a,b`, in which a backslash escapes a space; None for any other
/// text.
fn settings(text: &str) -> Option<Vec<(String, String)>> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, words.last_mut()) {
            ('\\', Some(word)) => word.push(letters.next()?),
            (space, _) if space.is_whitespace() => words.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c"))? {
            "" => words.next()?,
            setting => setting.to_owned(),
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(settings)
}

/// Returns the Levenshtein distance of two texts: the number of bytes to add, remove or change.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().enumerate() {
        let mut diagonal = above;
        let mut last = above + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(other.bytes()) {
            let cost = (*cell + 1).min(last + 1).min(diagonal + usize::from(left != right));
            diagonal = std::mem::replace(cell, cost);
            last = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
