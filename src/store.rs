//! The only place that knows SQL.

mod about;
mod append;
mod arrival;
mod catalogue;
mod count;
mod coverage;
mod delivery_headers;
mod era_check;
mod eras;
mod error;
mod filter;
mod hook_refusal;
mod identity;
mod lead;
mod ledger;
mod listed;
mod listen;
mod lock_room;
mod migrations;
mod named_row;
mod naming;
mod new_event;
mod page;
mod partitions;
mod pins;
mod poll;
mod probe;
mod raw_json;
mod read;
mod rejected;
mod row;
mod search_vector;
mod statistics;
mod tally;
mod top;
mod walk;
mod windows;
mod words;

pub use about::DatabaseFacts;
pub use append::{Appended, Appender};
pub use arrival::ArrivalRecord;
pub use catalogue::{ApplicationFilter, InstanceFilter};
pub use coverage::{ReadWindow, StretchCount};
pub use delivery_headers::StoredHeaders;
pub use eras::Era;
pub use error::StoreError;
pub use hook_refusal::HookRefusal;
pub use identity::LogIdentity;
pub use lead::Lead;
pub use ledger::{Catalogue, Ledger};
pub use listed::InstanceListing;
pub use listen::{HeadListener, HeadNotifier};
pub use lock_room::LockShortage;
pub use new_event::{DeliveryRecord, NewEvent};
pub use page::EventPage;
pub use poll::{CursorMove, PollCursor};
pub use probe::Probe;
pub use raw_json::{compress as compress_json, decompress as decompress_json};
pub use read::{LogEnds, ReadThrough};
pub use rejected::{RecordPlace, Rejection, RejectionFilter, StoredRejection};
pub use row::{RowError, StoredEvent};
pub use search_vector::SearchVector;
pub use tally::IngestTally;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

pub use crate::postgres::{ConnectError, ConnectFailure, Credential, ReadLimits, Refused};

use crate::postgres::connect::{Connector, DatabaseUrl, Setup};
use crate::postgres::connections::ConnectionPool;

use era_check::{Furthest, LogMemory, checks_era};
use eras::KnownEras;
use partitions::Partitions;

/// How to reach the database, and how long anything there may take.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The database's URL.
    pub url: String,
    /// Identity of the data directory of the gateway's own PostgreSQL, which no copy has; None for any other
    /// PostgreSQL.
    pub directory: Option<String>,
    /// Limits of connections that read.
    pub reads: ReadLimits,
    /// How long an append may take, waiting for the log's head included. Also the longest that a gateway which stops in
    /// the middle of a transaction can hold up the others.
    pub append_timeout: Duration,
    /// How long a query may take.
    pub query_timeout: Duration,
}

impl StoreOptions {
    /// The defaults for a database.
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
    /// Every fault of the URL, without any of its values.
    pub fn check(&self) -> Result<(), Vec<String>> {
        DatabaseUrl::parse(&self.url).map(drop)
    }
}

/// The database: a few connections append and others read, so that readers never delay a writer. All connections lead
/// to the one server that takes writes.
#[derive(Clone, Debug)]
pub struct Store {
    connector: Connector,
    writes: ConnectionPool,
    reads: ConnectionPool,
    /// For what takes its time or a connection of its own.
    direct: Arc<Setup>,
    partitions: Partitions,
    eras: KnownEras,
    memory: LogMemory,
    /// The names of time zones that the database knows, in lower case.
    time_zones: Arc<OnceCell<HashSet<String>>>,
}

/// How many connections append: one whose batch is being committed, one whose batch comes next, one to tell other
/// gateways, all of which are kept; one to make partitions, one to keep what is rejected. Who asks which log it is
/// takes one of them for a moment.
const WRITE_CONNECTIONS: u32 = 5;

impl Store {
    /// Prepares to use a database; connects when there is something to do.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let url = DatabaseUrl::parse(&options.url).map_err(|faults| StoreError::Url(faults.join("; ")))?;
        let connector = Connector::new(url);
        let memory =
            LogMemory { directory: options.directory.as_deref().map(Arc::from), furthest: Furthest::default() };
        Ok(Self {
            writes: ConnectionPool::writing(&connector, WRITE_CONNECTIONS, options.append_timeout, checks_era(&memory)),
            reads: ConnectionPool::reading(&connector, &options.reads, options.query_timeout),
            direct: Arc::new(connector.setup(Duration::ZERO, &[])),
            connector,
            partitions: Partitions::default(),
            eras: KnownEras::default(),
            memory,
            time_zones: Arc::default(),
        })
    }

    /// Returns the same store, which reads on behalf of a credential: in its share of the connections, when its turn comes.
    #[must_use]
    pub fn for_credential(&self, credential: &Credential) -> Self {
        Self { reads: self.reads.for_credential(credential), ..self.clone() }
    }

    /// Returns the same store for one request, a limited number of whose statements are executed at once.
    #[must_use]
    pub fn for_request(&self) -> Self {
        Self { reads: self.reads.for_request(), ..self.clone() }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writes.close().await;
        self.reads.close().await;
    }
}
