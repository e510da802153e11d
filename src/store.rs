//! The only place that knows SQL.

mod append;
mod arrival;
mod catalogue;
mod coverage;
mod era_check;
mod eras;
mod error;
mod filter;
mod identity;
mod kept;
mod lead;
mod listed;
mod listen;
mod naming;
mod page;
mod partitions;
mod pins;
mod poll;
pub mod private;
mod probe;
mod read;
mod reads;
mod rejected;
mod row;
mod search_vector;
mod statistics;
mod tally;
mod words;

pub use append::{Appended, Appender, DeliveryRecord, NewEvent};
pub use arrival::ArrivalRecord;
pub use catalogue::{ApplicationFilter, InstanceFilter};
pub use coverage::{ReadWindow, StretchCount};
pub use eras::Era;
pub use error::StoreError;
pub use identity::LogIdentity;
pub use lead::Lead;
pub use listed::InstanceListing;
pub use listen::{HeadListener, HeadTeller};
pub use page::EventPage;
pub use poll::{CursorMove, PollCursor};
pub use probe::Probe;
pub use read::{LogEnds, ReadThrough};
pub use rejected::{Rejection, RejectionFilter, StoredRejection};
pub use row::{RowError, StoredEvent};
pub use search_vector::SearchVector;
pub use tally::IngestTally;

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::OnceCell;

use era_check::{Furthest, Memory, check_era};
use eras::KnownEras;
use partitions::Partitions;
use reads::Reads;

/// How to reach the database, and how long anything there may take.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The database's URL.
    pub url: String,
    /// What tells the data directory of a gateway's own PostgreSQL from its copies; None where the gateway has none.
    pub directory: Option<String>,
    /// At most how many connections queries use.
    pub read_connections: u32,
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
            read_connections: 16,
            append_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(30),
        }
    }

    /// Whether the URL can be read.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self) -> Result<(), StoreError> {
        connect_options(&self.url, self.query_timeout).map(drop)
    }
}

/// The database: a few connections that append, and others that read, so that no reader keeps a writer waiting.
#[derive(Clone, Debug)]
pub struct Store {
    writes: PgPool,
    reads: Reads,
    /// For what takes its time or a connection of its own.
    direct: Arc<PgConnectOptions>,
    partitions: Partitions,
    eras: KnownEras,
    memory: Memory,
    /// The names of time zones that the database knows, in lower case.
    time_zones: Arc<OnceCell<HashSet<String>>>,
}

/// How many connections append: one whose batch is being committed, one whose batch comes next, one to tell other
/// gateways, all of which are kept; one to make partitions, one to keep what is rejected. Who asks which log it is
/// takes one of them for a moment.
const WRITE_CONNECTIONS: u32 = 5;

/// How long a connection may have been idle to be used without asking whether it still lives: after the database was
/// away for longer, nobody gets a dead one.
const TRUSTED: Duration = Duration::from_millis(500);

/// Plans for appends are made while the tables are still empty, and kept: they must suit tables that are not.
const LOOKUPS_BY_INDEX: [(&str, &str); 3] =
    [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Prepares to use a database; connects when there is something to do.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let pool = |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .max_lifetime(None)
                .test_before_acquire(false)
                .before_acquire(|connection, about| {
                    Box::pin(async move {
                        if about.idle_for > TRUSTED {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
        };
        let memory = Memory { directory: options.directory.as_deref().map(Arc::from), furthest: Furthest::default() };
        let remembered = memory.clone();
        Ok(Self {
            writes: pool(WRITE_CONNECTIONS)
                .after_connect(move |connection, _| {
                    let memory = remembered.clone();
                    Box::pin(async move { check_era(connection, &memory).await })
                })
                .connect_lazy_with(connect_options(&options.url, options.append_timeout)?.options(LOOKUPS_BY_INDEX)),
            reads: Reads::new(
                connect_options(&options.url, options.query_timeout)?,
                options.read_connections,
                pool(1).connect_lazy_with(connect_options(&options.url, ACQUIRE_TIMEOUT)?),
            ),
            direct: Arc::new(connect_options(&options.url, Duration::ZERO)?),
            partitions: Partitions::default(),
            eras: KnownEras::default(),
            memory,
            time_zones: Arc::default(),
        })
    }

    /// Brings the database's schema up to date. Safe to run from many gateways at once.
    ///
    /// # Errors
    /// The database cannot be reached, or its schema is newer than this program's.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let pool = self.direct_pool();
        MIGRATIONS.run(&pool).await.map_err(|error| match error {
            MigrateError::Execute(error) => error.into(),
            other => StoreError::Migration(other.to_string()),
        })?;
        pool.close().await;
        Ok(())
    }

    /// A connection of its own, without a limit on what it does.
    fn direct_pool(&self) -> PgPool {
        let connection = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        connection.acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(PgConnectOptions::clone(&self.direct))
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writes.close().await;
        self.reads.close().await;
    }
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

fn connect_options(url: &str, timeout: Duration) -> Result<PgConnectOptions, StoreError> {
    let millis = timeout.as_millis().to_string();
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Url)?;
    Ok(options.application_name("sluice").statement_cache_capacity(256).options([
        ("statement_timeout", millis.as_str()),
        ("lock_timeout", &millis),
        ("idle_in_transaction_session_timeout", &millis),
        ("default_transaction_isolation", "read committed"),
        ("synchronous_commit", "on"),
        // Notices are about its own tables, as that they are there already.
        ("client_min_messages", "warning"),
        ("timezone", "UTC"),
        ("work_mem", "16MB"),
        ("jit", "off"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("client_connection_check_interval", "1000"),
    ]))
}
