//! What can go wrong in the database, as far as a caller acts on it.

use sqlx::postgres::PgDatabaseError;

use super::row::RowError;
use crate::event::Position;
use crate::postgres::connect::{ConnectError, ConnectFailure, Refused};
use crate::postgres::connections::NoAnswer;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is overloaded or gave up in time: the same thing may work later.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// No connection to the database is available.
    #[error("{0}")]
    Connect(ConnectError),
    /// Others of the same credential use its share of the connections: the same thing may work later.
    #[error("the database is busy: {0}")]
    Busy(Refused),
    /// A connection was lost, or is no longer used since the database is at another server: connect again.
    #[error("the connection to the database was lost")]
    Moved,
    /// It has not said anything for so long that nobody waits any more.
    #[error("the database does not answer")]
    NoAnswer,
    /// It refuses the values themselves: trying again does not help.
    #[error("the database refuses the data: {0}")]
    Data(sqlx::Error),
    /// There is no partition for the event's month.
    #[error("the partition for an event is missing: {0}")]
    NoPartition(sqlx::Error),
    /// Another gateway has moved the cursor of this System Log meanwhile: read it anew.
    #[error("another gateway reads this System Log")]
    CursorMoved,
    /// The tables were restored, and no gateway has begun a new era since, as
    /// [`Store::check_era`](super::Store::check_era) does.
    #[error("the log is being restored, or was and no gateway has begun a new era since")]
    Restored,
    /// The position belongs to an era of another copy of the log, or to one that was lost by a restore.
    #[error("the position {0} is of an era that this log does not have")]
    UnknownEra(Position),
    /// The log's eras or partitions changed during each of many attempts to read, as in a restore: try again.
    #[error("the log is being restored; try again")]
    Changing,
    /// The rows of the table `era` are inconsistent.
    #[error("the table era is damaged: its rows do not start at 0, 10^12, 2 * 10^12 and so on")]
    DamagedEras,
    /// The database has no tables of a log, and none may be created.
    #[error(
        "the database has no log of sluice: give the gateway's database (--database-url or DATABASE_URL), or --create to \
         create a log there"
    )]
    NoLog,
    /// A row cannot be decoded.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Anything else: a fault of sluice or of the database's schema.
    #[error("the database failed: {0}")]
    Fault(sqlx::Error),
    /// The user may not create tables or functions.
    #[error(
        "the database's user may not create sluice's tables and functions: {grant}; or use the role that owns the database ({cause})"
    )]
    NoPrivilege {
        /// The statement that grants the privilege.
        grant: String,
        /// The database's error.
        cause: sqlx::Error,
    },
    /// The log was created before 0.1.0, by other migrations.
    #[error(
        "this log was made before 0.1.0 and cannot be used: take a new data directory (--data-dir) or a new database, or \
         export its events with `psql -At -c 'SELECT raw FROM sync_event_raw ORDER BY position'` and import them with \
         `sluice import` (docs/operations.md, A log made before 0.1.0)"
    )]
    MadeBefore,
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(String),
    /// The database's URL cannot be parsed. The message shows no value of the URL, which may be a password.
    #[error("the database URL cannot be read: {0}")]
    Url(String),
}

impl StoreError {
    /// Whether the same thing may work later.
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_pass(),
            Self::Unavailable(_) | Self::Busy(_) | Self::Moved | Self::NoAnswer | Self::Restored | Self::Changing => {
                true
            }
            _ => false,
        }
    }

    /// True for errors of which the connector or the pool has already logged the cause, so that the caller need not log
    /// them.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_pass(),
            Self::Busy(_) => true,
            _ => false,
        }
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused(refused) => Self::Busy(refused),
            error => Self::Connect(error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = match error {
            sqlx::Error::Configuration(error) => match error.downcast::<ConnectError>() {
                Ok(error) => return (*error).into(),
                Err(error) => sqlx::Error::Configuration(error),
            },
            other => other,
        };
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>().map(sort) {
                Some(Sort::Unavailable) => Self::Unavailable(error),
                Some(Sort::Data) => Self::Data(error),
                Some(Sort::NoPartition) => Self::NoPartition(error),
                Some(Sort::Restored) => Self::Restored,
                Some(Sort::OtherSession) => {
                    let cause = ConnectFailure::TransactionPooling;
                    Self::Connect(ConnectError::Impossible("the database".to_owned(), cause))
                }
                Some(Sort::Fault) | None => Self::Fault(error),
            },
            _ => Self::Fault(error),
        }
    }
}

enum Sort {
    Unavailable,
    Data,
    NoPartition,
    Restored,
    /// A prepared statement is missing, or another client has prepared it: the session is not the connection's own.
    OtherSession,
    Fault,
}

/// Sorts by SQLSTATE, see PostgreSQL's Appendix A.
fn sort(error: &PgDatabaseError) -> Sort {
    let code = error.code();
    if code == "23514" && error.message().contains("no partition") {
        return Sort::NoPartition;
    }
    // During a restore, tables, columns, functions and constraints may be missing.
    if ["SL001", "42P01", "42P10", "42703", "42883"].contains(&code) {
        return Sort::Restored;
    }
    // A full disk, met while a server process starts.
    if code == "XX000" && error.message().contains("could not write init file") {
        return Sort::Unavailable;
    }
    if matches!(code, "26000" | "42P05") {
        return Sort::OtherSession;
    }
    match code.get(..2) {
        // Connections, transactions rolled back, resources, locks, an operator's doing, idle in transaction.
        Some("08" | "40" | "53" | "55" | "57" | "25") => Sort::Unavailable,
        Some("22" | "23" | "54") => Sort::Data,
        _ => Sort::Fault,
    }
}

impl From<NoAnswer> for StoreError {
    fn from(_: NoAnswer) -> Self {
        Self::NoAnswer
    }
}
