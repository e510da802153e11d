//! A PostgreSQL for all tests of the run, and a database of its own for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sluice::event::{Filter, Narrowed, Rights};
use sluice::postgres::private::{DataDirLock, PrivatePostgres};
use sluice::store::{Store, StoreOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

/// The server, in which there is a migrated database to copy. It ends with the process.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // A thread of its own, as tests already run in a runtime.
    std::thread::spawn(Server::start).join().expect("the tests' PostgreSQL starts")
});

const TEMPLATE: &str = "sluice_template";

struct Server {
    postgres: PrivatePostgres,
    /// One at a time: a database cannot be copied twice at once.
    copying: Mutex<()>,
}

impl Server {
    fn start() -> Self {
        let directory = make_directory();
        let lock = DataDirLock::take(&directory).unwrap();
        let postgres = PrivatePostgres::start(lock, false).unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            execute(postgres.url(), &format!("CREATE DATABASE {TEMPLATE}")).await;
            let store = Store::new(&StoreOptions::new(url_of(&postgres, TEMPLATE))).unwrap();
            store.migrate().await.unwrap();
            store.close().await;
        });
        Self { postgres, copying: Mutex::new(()) }
    }
}

/// A directory for this process; those of processes that are gone are removed.
fn make_directory() -> PathBuf {
    const PREFIX: &str = "sluice-tests-";
    let temporary = std::env::temp_dir();
    for entry in fs::read_dir(&temporary).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix(PREFIX)
            && !Path::new("/proc").join(process).exists()
        {
            // Another user's, or just being removed by another run: not worth a failure.
            _ = fs::remove_dir_all(entry.path());
        }
    }
    let directory = temporary.join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn url_of(postgres: &PrivatePostgres, database: &str) -> String {
    let (server, _) = postgres.url().rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What could not be read.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) reason: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) times: i64,
}

/// A database with sluice's schema and nothing in it.
#[derive(Clone, Debug)]
pub(crate) struct TestDatabase {
    /// Its URL.
    pub(crate) url: String,
    /// For looking into it and meddling with it.
    pub(crate) pool: PgPool,
}

impl TestDatabase {
    /// Makes one.
    pub(crate) async fn new() -> Self {
        let server = tokio::task::spawn_blocking(|| &*SERVER).await.unwrap();
        let name = format!("test_{}", Uuid::new_v4().simple());
        {
            let _turn = server.copying.lock().await;
            let sql = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy");
            execute(server.postgres.url(), &sql).await;
        }
        let url = url_of(&server.postgres, &name);
        // The copied row names the template's database: a gateway would take the log for a restored one, and begin a
        // new era.
        let own = "(SELECT oid FROM pg_database WHERE datname = current_database())";
        execute(&url, &format!("UPDATE log_head SET database = {own}")).await;
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
        Self { url, pool }
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// What was rejected last.
    pub(crate) async fn newest_rejected(&self) -> Rejected {
        let newest = "SELECT reason, raw, times FROM rejected ORDER BY id DESC LIMIT 1";
        let (reason, raw, times) = sqlx::query_as(newest).fetch_one(&self.pool).await.unwrap();
        Rejected { reason, raw, times }
    }

    /// Ends every connection to it and lets nobody in, as while the server is away.
    pub(crate) async fn close(&self) {
        let (_, name) = self.url.rsplit_once('/').unwrap();
        let url = SERVER.postgres.url();
        execute(url, &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")).await;
        let others = format!("FROM pg_stat_activity WHERE datname = '{name}'");
        execute(url, &format!("SELECT pg_terminate_backend(pid, 10000) {others}")).await;
    }

    /// Lets everybody in again.
    pub(crate) async fn open(&self) {
        let (_, name) = self.url.rsplit_once('/').unwrap();
        execute(SERVER.postgres.url(), &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")).await;
    }

    /// A store over it, with the usual limits.
    pub(crate) fn store(&self) -> Store {
        Store::new(&StoreOptions::new(self.url.clone())).unwrap()
    }
}

/// The filter that lets every event through, for reads by a store.
pub(crate) fn everything() -> Narrowed {
    Rights::everything().narrow(Filter::default())
}
