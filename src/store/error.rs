//! Errors of the store, divided by what a caller can do about them.

use sqlx::postgres::PgDatabaseError;

use super::row_error::RowError;
use crate::event::Position;
use crate::postgres::connect::{ConnectError, ConnectFailure, Refused};
use crate::postgres::connections::NoAnswer;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach or overloaded, or ended the statement at its time limit. The same call may succeed
    /// later.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// No connection to the database could be made.
    #[error("{0}")]
    Connect(ConnectError),
    /// Other reads of the same credential use its whole share of the connections. The same call may succeed later.
    #[error("the database is busy: {0}")]
    Busy(Refused),
    /// The connection was lost, or leads to a server that is no longer the primary. The caller must connect again.
    #[error("the connection to the database was lost")]
    ConnectionLost,
    /// The database did not answer within the client's time limit.
    #[error("the database does not answer")]
    NoAnswer,
    /// The database refuses the values. The same call fails again.
    #[error("the database refuses the data: {0}")]
    Data(sqlx::Error),
    /// The partition for an event's month does not exist.
    #[error("the partition for an event is missing: {0}")]
    NoPartition(sqlx::Error),
    /// Another gateway has moved the cursor of this System Log. The caller must read the cursor again.
    #[error("another gateway reads this System Log")]
    CursorMoved,
    /// The tables were restored, and no gateway has begun a new era since. [`check_era`](super::Store::check_era) begins
    /// one.
    #[error("the log is being restored, or was and no gateway has begun a new era since")]
    Restored,
    /// The position belongs to an era of another copy of the log, or to one that a restore has lost.
    #[error("the position {0} is of an era that this log does not have")]
    UnknownEra(Position),
    /// The log's eras or partitions changed during each of many attempts to read, as they do in a restore. The same call
    /// may succeed later.
    #[error("the log is being restored; try again")]
    Changing,
    /// The rows of the table `era` are inconsistent.
    #[error("the table era is damaged: its rows do not start at 0, 10^12, 2 * 10^12 and so on")]
    DamagedEras,
    /// The database has no log, and the caller does not want one to be created.
    #[error(
        "the database has no log of sluice: give the gateway's database (--database-url or DATABASE_URL), or --create to \
         create a log there"
    )]
    NoLog,
    /// A row cannot be decoded.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Any other error, which is a fault of sluice or of the database's schema.
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
    TooOld,
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(String),
    /// The database's URL cannot be parsed. The message shows no value of the URL, which may be a password.
    #[error("the database URL cannot be read: {0}")]
    Url(String),
}

impl StoreError {
    /// Returns true if the same call may succeed later.
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_pass(),
            Self::Unavailable(_)
            | Self::Busy(_)
            | Self::ConnectionLost
            | Self::NoAnswer
            | Self::Restored
            | Self::Changing => true,
            _ => false,
        }
    }

    /// Returns true if the connector or the pool has already logged the cause, so that the caller need not log it.
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
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>().map(classify) {
                Some(ErrorClass::Unavailable) => Self::Unavailable(error),
                Some(ErrorClass::Data) => Self::Data(error),
                Some(ErrorClass::NoPartition) => Self::NoPartition(error),
                Some(ErrorClass::Restored) => Self::Restored,
                Some(ErrorClass::OtherSession) => {
                    let cause = ConnectFailure::TransactionPooling;
                    Self::Connect(ConnectError::Impossible("the database".to_owned(), cause))
                }
                Some(ErrorClass::Fault) | None => Self::Fault(error),
            },
            _ => Self::Fault(error),
        }
    }
}

/// A class of PostgreSQL's errors.
enum ErrorClass {
    Unavailable,
    Data,
    NoPartition,
    Restored,
    /// A prepared statement is missing, or another client has prepared it: a pooler shares the session between clients.
    OtherSession,
    Fault,
}

/// Classifies an error by its SQLSTATE, see PostgreSQL's Appendix A.
fn classify(error: &PgDatabaseError) -> ErrorClass {
    let code = error.code();
    if code == "23514" && error.message().contains("no partition") {
        return ErrorClass::NoPartition;
    }
    // During a restore, tables, columns, functions and constraints may be missing.
    if ["SL001", "42P01", "42P10", "42703", "42883"].contains(&code) {
        return ErrorClass::Restored;
    }
    // A disk that is full when a server process starts.
    if code == "XX000" && error.message().contains("could not write init file") {
        return ErrorClass::Unavailable;
    }
    if matches!(code, "26000" | "42P05") {
        return ErrorClass::OtherSession;
    }
    match code.get(..2) {
        // Connections, rollbacks, resources, locks, an operator's intervention, transactions that were idle or read-only.
        Some("08" | "40" | "53" | "55" | "57" | "25") => ErrorClass::Unavailable,
        Some("22" | "23" | "54") => ErrorClass::Data,
        _ => ErrorClass::Fault,
    }
}

impl From<NoAnswer> for StoreError {
    fn from(_: NoAnswer) -> Self {
        Self::NoAnswer
    }
}
