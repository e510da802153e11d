//! Errors of an attempt to connect: the cause at each server, without anything confidential of the URL.

use std::fmt;
use std::io;
use std::time::Duration;

use sqlx::postgres::PgDatabaseError;

/// An error of connecting to the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No server of the URL accepted a connection. Holds the address of each and the cause there.
    #[error("the database cannot be reached: {}", listed(.0))]
    Unreachable(Vec<(String, ConnectFailure)>),
    /// All connections of a pool are in use, and none became free in time. Holds their number.
    #[error("all {0} connections to the database are busy")]
    Busy(usize),
    /// A credential has no permit for another statement. [`StoreError::Busy`](crate::store::StoreError::Busy) is made of
    /// it.
    #[error("the database is busy: {0}")]
    Refused(Refused),
    /// A pooler in front of the database lacks a feature that sluice needs, so no later attempt succeeds. Holds the address
    /// and the cause.
    #[error("{0}: {1}")]
    Impossible(String, ConnectFailure),
}

/// Reason why a statement was not executed, while other statements used the connections to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No connection became free for this credential within this time.
    #[error(
        "no connection became free for this reader within {} s (limits.query_wait_seconds); try again later, or ask for \
         less at once", .0.as_secs_f32()
    )]
    Waited(Duration),
    /// The queue of the credential is full; its number of statements.
    #[error(
        "{0} statements of this reader wait already (limits.query_waiting); try again later, or ask for less at once"
    )]
    QueueFull(usize),
}

/// Reason why an attempt to connect to one server failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// An error of the network or of the operating system, as a text.
    Network(String),
    /// No answer within this time.
    Silent(Duration),
    /// The server is in recovery: a standby, which accepts no writes.
    Standby,
    /// The server accepts no writes, since `default_transaction_read_only` is on.
    ReadOnly,
    /// The server refuses the login. Holds the SQLSTATE.
    Login(String),
    /// The server has no such database.
    NoDatabase,
    /// The user may not connect to the database, or not use its schema.
    NoPrivilege,
    /// The server has no room for another connection.
    Full,
    /// The server is starting, stopping or recovering.
    Starting,
    /// A pooler refuses a startup parameter. Holds its name.
    StartupParameter(String),
    /// A pooler gives each transaction or each statement another session.
    TransactionPooling,
    /// Any other cause, in the words of the server or of TLS.
    Other(String),
}

/// Largest number of characters that are shown of a server's message.
const LONGEST_MESSAGE: usize = 200;

/// Largest number of servers that a message names.
const MOST_NAMED: usize = 8;

impl ConnectError {
    /// Returns true if a later attempt may succeed, perhaps after an operator has changed the database's settings.
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Impossible(..))
    }

    /// Returns true if a server may just be starting, so that a short wait is worthwhile.
    pub(crate) fn may_be_starting(&self) -> bool {
        let may_be_starting = |cause: &ConnectFailure| {
            matches!(cause, ConnectFailure::Network(_) | ConnectFailure::Starting | ConnectFailure::Full)
        };
        matches!(self, Self::Unreachable(causes) if causes.iter().any(|(_, cause)| may_be_starting(cause)))
    }
}

impl ConnectFailure {
    /// Returns the cause of a failed attempt. `confidential` texts are removed from the server's message.
    pub(super) fn of(error: &sqlx::Error, confidential: &[String]) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::Network(io_text(error)),
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => Self::of_server(error.code(), error.message(), confidential),
                None => Self::Other(shortened(error.message(), confidential)),
            },
            other => Self::Other(shortened(&other.to_string(), confidential)),
        }
    }

    fn of_server(code: &str, message: &str, confidential: &[String]) -> Self {
        if let Some(parameter) = message.strip_prefix("unsupported startup parameter") {
            let parameter = parameter.trim_start_matches(" in options").trim_start_matches(':').trim();
            return Self::StartupParameter(shortened(parameter, confidential));
        }
        match code {
            "28000" | "28P01" => Self::Login(code.to_owned()),
            "3D000" => Self::NoDatabase,
            "42501" => Self::NoPrivilege,
            "53300" => Self::Full,
            "57P01" | "57P02" | "57P03" => Self::Starting,
            // A prepared statement is missing, or exists already: the statement was executed in another session.
            "26000" | "42P05" => Self::TransactionPooling,
            _ if message.contains("not allowed in statement pooling mode") => Self::TransactionPooling,
            _ => Self::Other(format!("{} (SQLSTATE {code})", shortened(message, confidential))),
        }
    }

    /// Returns true for causes that no later attempt can avoid.
    const fn is_final(&self) -> bool {
        matches!(self, Self::StartupParameter(_) | Self::TransactionPooling)
    }
}

impl From<Vec<(String, ConnectFailure)>> for ConnectError {
    fn from(mut causes: Vec<(String, ConnectFailure)>) -> Self {
        match causes.iter().position(|(_, cause)| cause.is_final()) {
            Some(index) => {
                let (host, cause) = causes.swap_remove(index);
                Self::Impossible(host, cause)
            }
            None => Self::Unreachable(causes),
        }
    }
}

/// Wraps the error, so that it passes through sqlx when a statement is executed on a connection pool.
/// [`StoreError`](crate::store::StoreError) unwraps it.
impl From<ConnectError> for sqlx::Error {
    fn from(error: ConnectError) -> Self {
        Self::Configuration(Box::new(error))
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(text) | Self::Other(text) => formatter.write_str(text),
            Self::Silent(time) => write!(formatter, "no answer within {} s", time.as_secs_f32()),
            Self::Standby => formatter.write_str("is a standby (in recovery), which takes no writes"),
            Self::ReadOnly => formatter.write_str("takes no writes: default_transaction_read_only is on there"),
            Self::Login(code) => {
                write!(formatter, "refuses the login (SQLSTATE {code}): mend user and password of the URL, or pg_hba.conf")
            }
            Self::NoDatabase => formatter.write_str("has no such database: create it, or mend its name in the URL"),
            Self::NoPrivilege => {
                formatter.write_str("the user lacks a privilege: GRANT CONNECT on the database, CREATE on its schema")
            }
            Self::Full => formatter.write_str("takes no more connections: raise max_connections, or lower query_connections"),
            Self::Starting => formatter.write_str("is starting or stopping"),
            Self::StartupParameter(name) => write!(
                formatter,
                "a pooler seems to be in front, which refuses the parameter {name}: give the database's own address, or add \
                 the parameter to the pooler's ignore_startup_parameters (see docs/database.md)"
            ),
            Self::TransactionPooling => formatter.write_str(
                "a pooler in transaction mode is in front, where LISTEN, advisory locks and prepared statements do not work: \
                 give the database's own address, or a pool in session mode (see docs/database.md)",
            ),
        }
    }
}

fn listed(causes: &[(String, ConnectFailure)]) -> String {
    let mut listed: Vec<_> = causes.iter().take(MOST_NAMED).map(|(host, cause)| format!("{host}: {cause}")).collect();
    if causes.len() > MOST_NAMED {
        listed.push(format!("and {} more", causes.len() - MOST_NAMED));
    }
    listed.join("; ")
}

fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such socket, or no such file of sslrootcert, sslcert or sslkey".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "the connection was closed".to_owned(),
        _ => shortened(&error.to_string(), &[]),
    }
}

/// Returns a message as one line of at most `LONGEST_MESSAGE` characters, without confidential texts.
fn shortened(message: &str, confidential: &[String]) -> String {
    let mut text: String = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    for hidden in confidential {
        text = text.replace(hidden.as_str(), "…");
    }
    text.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_message_is_short_and_tells_nothing_of_the_url() {
        let confidential = ["sluice".to_owned(), "hunter2".to_owned()];
        let long = format!("role \"sluice\" of hunter2\n{}", "x".repeat(500));
        let ConnectFailure::Other(text) = ConnectFailure::of_server("XX000", &long, &confidential) else {
            panic!("another cause")
        };
        assert!(!text.contains("sluice") && !text.contains("hunter2") && !text.contains('\n'), "{text}");
        assert!(text.chars().count() < 250, "{text}");
        let refused = ConnectFailure::of_server("08P01", "unsupported startup parameter in options: geqo", &[]);
        assert_eq!(refused, ConnectFailure::StartupParameter("geqo".to_owned()));
        let causes =
            vec![("a:1".to_owned(), ConnectFailure::Standby), ("b:2".to_owned(), ConnectFailure::TransactionPooling)];
        assert!(!ConnectError::from(causes).may_pass());
        let many = (1..=20).map(|port| (format!("a:{port}"), ConnectFailure::Standby)).collect::<Vec<_>>();
        assert!(ConnectError::from(many).to_string().ends_with("; and 12 more"));
    }
}
