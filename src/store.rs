//! The log in PostgreSQL: its tables, and the SQL that appends to them and reads them.

mod access_path;
mod append;
mod arrival;
mod backfill_names;
mod backfill_words;
mod count;
mod cursor_move;
mod database_facts;
mod dimension;
mod era_check;
mod eras;
mod error;
mod filter;
mod histogram;
mod identity;
mod known_eras;
mod lead;
mod listen;
mod lock_shortage;
mod log_memory;
mod migrations;
mod moment;
mod months;
mod new_event;
mod page;
mod partitions;
mod pins;
mod probe;
mod raw_json;
mod read;
mod row;
mod row_error;
mod search_vector;
mod stretch_counts;
mod top;
mod visible;
mod walk;
mod windows;

pub use append::{Appended, Appender};
pub use arrival::ArrivalRecord;
pub use cursor_move::CursorMove;
pub(crate) use cursor_move::move_cursor;
pub use database_facts::DatabaseFacts;
pub use eras::Era;
pub use error::StoreError;
#[cfg(any(test, fuzzing))]
pub(crate) use filter::conditions_of;
pub use identity::LogIdentity;
pub use lead::Lead;
pub use listen::{HeadListener, HeadNotifier};
pub use lock_shortage::LockShortage;
pub use new_event::{DeliveryRecord, NewEvent};
pub use page::EventPage;
pub use probe::Probe;
pub use raw_json::{DamagedJson, compress as compress_json, decompress as decompress_json};
pub use read::{LogEnds, ReadThrough};
pub use row::StoredEvent;
pub use row_error::RowError;
pub use search_vector::SearchVector;
pub use stretch_counts::StretchCount;
pub(crate) use visible::{push_is_granted, push_visible_applications, push_visible_instances};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

pub use crate::postgres::{ConnectError, ConnectFailure, Credential, ReadLimits, Refused};

use crate::event::StatementUsage;
use crate::postgres::connect::{Connector, DatabaseUrl, Setup};
use crate::postgres::connections::ConnectionPool;

use eras::KnownEras;
use log_memory::{Furthest, LogMemory};
use months::KnownMonths;

/// Address of the database, and the limits of its use.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The database's URL.
    pub url: String,
    /// Identity of the private PostgreSQL's data directory, which no copy of it has; None for any other PostgreSQL.
    pub directory: Option<String>,
    /// Limits of connections that read.
    pub reads: ReadLimits,
    /// Time limit of an append, including the wait for the log's head. Also the longest time for which a gateway that
    /// stops within a transaction delays the others.
    pub append_timeout: Duration,
    /// Time limit of a query.
    pub query_timeout: Duration,
}

impl StoreOptions {
    /// Returns the default limits for the database with this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            directory: None,
            reads: ReadLimits::default(),
            append_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(30),
        }
    }

    /// Checks the URL.
    ///
    /// # Errors
    /// All faults of the URL; none shows a value of it.
    pub fn check(&self) -> Result<(), Vec<String>> {
        DatabaseUrl::parse(&self.url).map(drop)
    }
}

/// The log's database. Separate connections append and read, so that readers never delay a writer. All of them lead to
/// the one server that accepts writes. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    connector: Connector,
    pub(crate) writes: ConnectionPool,
    pub(crate) reads: ConnectionPool,
    /// Setup of connections outside of the pools: for migrations, notifications, leases and health checks.
    direct: Arc<Setup>,
    months: KnownMonths,
    eras: KnownEras,
    memory: LogMemory,
    /// Notified when a gateway or a command has announced a change of the records about who may come in.
    access_hints: Arc<Notify>,
    /// Names of the time zones that the database knows, in lower case; empty until they are first needed.
    time_zones: Arc<OnceCell<HashSet<String>>>,
}

/// Number of connections that write. Three are kept by their owners: two writers, of which one prepares its batch while
/// the other commits, and the notifier of other gateways. Two remain for partitions, rejections and other short writes.
const WRITE_CONNECTIONS: u32 = 5;

impl Store {
    /// Creates a store without connecting: each connection is opened when it is first needed.
    ///
    /// # Errors
    /// The URL has faults.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let url = DatabaseUrl::parse(&options.url).map_err(|faults| StoreError::Url(faults.join("; ")))?;
        let connector = Connector::new(url);
        let memory =
            LogMemory { directory: options.directory.as_deref().map(Arc::from), furthest: Furthest::default() };
        Ok(Self {
            writes: ConnectionPool::writing(&connector, WRITE_CONNECTIONS, options.append_timeout, memory.first_use()),
            reads: ConnectionPool::reading(&connector, &options.reads, options.query_timeout),
            direct: Arc::new(connector.setup(Duration::ZERO, &[])),
            connector,
            months: KnownMonths::default(),
            eras: KnownEras::default(),
            memory,
            access_hints: Arc::default(),
            time_zones: Arc::default(),
        })
    }

    /// Returns the same store for reads on behalf of a credential, which are limited to its share of the connections.
    #[must_use]
    pub fn for_credential(&self, credential: &Credential) -> Self {
        Self { reads: self.reads.for_credential(credential), ..self.clone() }
    }

    /// Returns the same store for one request, which executes a limited number of statements at once.
    #[must_use]
    pub fn for_request(&self) -> Self {
        Self { reads: self.reads.for_request(), ..self.clone() }
    }

    /// Returns the same store, whose reads are counted.
    #[must_use]
    pub fn counted(&self, usage: Arc<StatementUsage>) -> Self {
        Self { reads: self.reads.counted(usage), ..self.clone() }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writes.close().await;
        self.reads.close().await;
    }
}
