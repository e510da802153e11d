//! The database's URL, parsed into connection options for each host.
//!
//! sluice parses the URL itself: sqlx would accept any scheme, knows one host only, and logs each parameter that it
//! does not know together with its value. No fault here shows a value of the URL, which may be a password.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::parameters::Parameters;
use super::password_file;

/// A parsed URL of the database.
#[derive(Clone)]
pub(crate) struct DatabaseUrl {
    /// The servers that may be the primary, at least one, in the order of the URL.
    pub(super) hosts: Vec<Host>,
    /// The parameter `connect_timeout`.
    pub(super) connect_timeout: Option<Duration>,
    /// The settings in the parameter `options`, in their order.
    pub(super) settings: Vec<(String, String)>,
    /// The user, the password and the database, which must not appear in messages.
    pub(super) confidential: Vec<String>,
}

/// One server of the URL.
#[derive(Clone)]
pub(super) struct Host {
    /// Name in messages: `host:port`, or the path of a socket.
    pub(super) name: String,
    pub(super) options: PgConnectOptions,
}

/// A host and its port, as written in the URL; None where it leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address {
    host: Option<String>,
    port: Option<u16>,
}

/// Port of a server for which the URL gives none.
const DEFAULT_PORT: u16 = 5432;

/// Largest number of servers in a URL.
const MAX_HOSTS: usize = 16;

const EXPECTED: &str = "expected postgres://user@host:5432/database";

/// Schemes that are often given by mistake. Messages may show them, as none of them is a secret.
const OTHER_SCHEMES: [&str; 20] = [
    "amqp",
    "cockroachdb",
    "file",
    "http",
    "https",
    "jdbc:mysql",
    "jdbc:postgresql",
    "mariadb",
    "mongodb",
    "mssql",
    "mysql",
    "nats",
    "odbc",
    "pgsql",
    "postgis",
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "postgresql+psycopg2",
    "redis",
    "sqlite",
];

impl DatabaseUrl {
    /// Parses a URL. Parts that it leaves out come from the environment, as in libpq (`PGHOST`, `PGPORT`, `PGUSER`,
    /// `PGPASSWORD` and others), and from the password file.
    ///
    /// # Errors
    /// All faults of the URL; none shows a value of it.
    pub(crate) fn parse(url: &str) -> Result<Self, Vec<String>> {
        let rest = without_scheme(url).map_err(|fault| vec![fault])?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let mut faults = Vec::new();
        let mut parameters = Parameters::parse(query, &mut faults);
        let (user, password) = login.map_or((None, None), |login| match login.split_once(':') {
            Some((user, password)) => (decoded("user", user, &mut faults), decoded("password", password, &mut faults)),
            None => (decoded("user", login, &mut faults), None),
        });
        if path.contains(['/', '@']) {
            faults.push(
                "the database's name has a `/` or `@` in it, or the password has: write %2F for `/`, %40 for `@`"
                    .to_owned(),
            );
        }
        let database = decoded("database", path, &mut faults);
        let addresses = addresses(hosts, &mut parameters, &mut faults);
        let base = LoginDefaults {
            user: parameters.take("user").or(user),
            password: parameters.take("password").or(password),
            database: parameters.take("dbname").or(database),
            passfile: parameters.take("passfile"),
        };
        let sharing = parameters.options(&mut faults);
        let confidential = [&base.user, &base.password, &base.database].into_iter().flatten();
        let confidential = confidential.filter(|text| !text.is_empty()).cloned().collect();
        let hosts = addresses.into_iter().map(|address| base.host(address, &sharing.options)).collect();
        if faults.is_empty() {
            let connect_timeout = sharing.connect_timeout;
            Ok(Self { hosts, connect_timeout, settings: sharing.settings, confidential })
        } else {
            Err(faults)
        }
    }

    /// Returns the names of the servers.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }
}

/// Login, database and password file, which all hosts share.
struct LoginDefaults {
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    passfile: Option<String>,
}

impl LoginDefaults {
    fn host(&self, address: Address, shared: &PgConnectOptions) -> Host {
        let port = address.port.unwrap_or_else(|| shared.get_port());
        let mut options = shared.clone().port(port);
        let host = address.host.unwrap_or_else(|| shared.get_host().to_owned());
        let name = if host.starts_with('/') {
            // Connections over a Unix socket are not encrypted, as in libpq.
            options = options.socket(&host).ssl_mode(PgSslMode::Disable);
            format!("{}/.s.PGSQL.{port}", host.trim_end_matches('/'))
        } else {
            options = options.host(&host);
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if let Some(password) = &self.password {
            options = options.password(password);
        } else if std::env::var_os("PGPASSWORD").is_none() {
            let database = options.get_database().unwrap_or_else(|| options.get_username());
            let found = password_file::find(self.passfile.as_deref(), &host, port, database, options.get_username());
            if let Some(password) = found {
                options = options.password(&password);
            }
        }
        Host { name, options }
    }
}

/// Returns the part of the URL after `postgres://`, or a fault that says what the text is instead.
fn without_scheme(url: &str) -> Result<&str, String> {
    let url = url.trim();
    for scheme in ["postgres://", "postgresql://"] {
        if url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            return Ok(url.get(scheme.len()..).unwrap_or_default());
        }
    }
    let known = |scheme: &&&str| {
        let start = url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        start && url.get(scheme.len()..).is_some_and(|rest| rest.starts_with(':'))
    };
    // The longest match, as one scheme may begin like another.
    Err(match OTHER_SCHEMES.iter().filter(known).max_by_key(|scheme| scheme.len()) {
        Some(scheme) => format!("this is a {scheme}: URL; {EXPECTED}"),
        None if url.contains('=') && !url.contains("://") => {
            format!("this is not a URL but a list of keywords and values; {EXPECTED}")
        }
        None => format!("this is not a PostgreSQL URL; {EXPECTED}"),
    })
}

fn decoded(part: &str, text: &str, faults: &mut Vec<String>) -> Option<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if text.contains('\0') => faults.push(format!("the {part} holds a zero byte")),
        Ok(text) => return Some(text.into_owned()).filter(|text| !text.is_empty()),
        Err(_) => faults.push(format!("the {part} is not UTF-8 after its percent-encoding is undone")),
    }
    None
}

/// Returns the servers of a URL: those before its path, unless the parameters `host`, `hostaddr` and `port` replace
/// them.
fn addresses(written: &str, parameters: &mut Parameters, faults: &mut Vec<String>) -> Vec<Address> {
    let mut addresses: Vec<_> = written.split(',').map(|written| address(written, faults)).collect();
    let names = parameters.take("host");
    let numbers = parameters.take("hostaddr");
    if numbers.is_some() && parameters.verifies_names() {
        faults.push("hostaddr: cannot be used with sslmode=verify-full, which compares the host's name".to_owned());
    }
    if let Some(numbers) = &numbers {
        for number in numbers.split(',').filter(|number| number.parse::<std::net::IpAddr>().is_err()) {
            let empty = if number.is_empty() { " (one is empty)" } else { "" };
            faults.push(format!("hostaddr: expected IP addresses, separated by commas{empty}"));
        }
    }
    if let Some(hosts) = numbers.as_ref().or(names.as_ref()) {
        if numbers.is_some() && names.as_ref().is_some_and(|names| names.split(',').count() != hosts.split(',').count())
        {
            faults.push("host and hostaddr: expected as many of one as of the other".to_owned());
        }
        let ports: Vec<_> = addresses.iter().map(|address| address.port).collect();
        let hosts = hosts.split(',').map(|host| checked_host(host, faults));
        addresses = hosts.map(|host| Address { host, port: None }).collect();
        if ports.len() == addresses.len() {
            addresses.iter_mut().zip(ports).for_each(|(address, port)| address.port = port);
        }
    }
    if let Some(ports) = parameters.take("port") {
        let ports: Vec<_> = ports.split(',').map(|text| port(text, faults)).collect();
        match &ports[..] {
            [port] => addresses.iter_mut().for_each(|address| address.port = *port),
            ports if ports.len() == addresses.len() => {
                addresses.iter_mut().zip(ports).for_each(|(address, port)| address.port = *port);
            }
            _ => faults.push("port: expected one for all hosts, or one for each".to_owned()),
        }
    }
    if addresses.len() > MAX_HOSTS {
        faults.push(format!("{} hosts: expected at most {MAX_HOSTS}", addresses.len()));
    }
    // The environment's port counts only where the URL names no host.
    if addresses.iter().any(|address| address.host.is_some()) {
        for address in &mut addresses {
            address.port = address.port.or(Some(DEFAULT_PORT));
        }
    }
    addresses
}

fn address(written: &str, faults: &mut Vec<String>) -> Address {
    let (host, number) = if let Some(rest) = written.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            faults.push("a host begins with `[` and has no `]`".to_owned());
            return Address::default();
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() || !(rest.is_empty() || rest.starts_with(':')) {
            faults.push("a host in brackets: expected an IPv6 address, as in [::1]:5432".to_owned());
        }
        (Some(host.to_owned()), rest.strip_prefix(':'))
    } else {
        let (host, number) = written.split_once(':').map_or((written, None), |(host, port)| (host, Some(port)));
        if number.is_some_and(|number| number.contains(':')) {
            faults.push("a host has more than one `:`; IPv6 addresses stand in brackets, as in [::1]:5432".to_owned());
            return Address::default();
        }
        (decoded("host", host, faults).and_then(|host| checked_host(&host, faults)), number)
    };
    Address { host, port: number.filter(|number| !number.is_empty()).and_then(|number| port(number, faults)) }
}

fn checked_host(host: &str, faults: &mut Vec<String>) -> Option<String> {
    let fits = |letter: char| if host.starts_with('/') { !letter.is_control() } else { is_of_host(letter) };
    if !host.chars().all(fits) {
        let hint = "expected a name, an IP address or the directory of a socket";
        faults.push(format!("a host has a character that no host has; {hint}"));
        return None;
    }
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

fn is_of_host(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '.' | '_' | ':' | '%')
}

fn port(text: &str, faults: &mut Vec<String>) -> Option<u16> {
    let port = text.parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        let hint = "where it is part of a password, write %2F for `/`, %3A for `:`, %40 for `@` there";
        faults.push(format!("a port is not a number from 1 to 65535; {hint}"));
    }
    port
}

#[cfg(test)]
mod tests;
