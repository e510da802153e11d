//! The gateway's private Postgres from the side: its log, and a database for references in the same cluster.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result};
use sluice::postgres::private::PrivatePostgres;
use sluice::store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use time::Date;
use tokio::time::sleep;

const EMPTY: &str = "TRUNCATE sync_event, arrival, delivery";

/// How many events both tables hold.
const STORED: &str = "SELECT count(*) FROM arrival JOIN sync_event USING (published, position)";

/// The cluster that a gateway keeps running in its data directory.
#[derive(Debug)]
pub(crate) struct Cluster {
    url: String,
    connection: PgConnection,
}

impl Cluster {
    /// Connects to it.
    pub(crate) async fn of(data_dir: &Path) -> Result<Self> {
        Self::at(PrivatePostgres::url_of_running(data_dir)).await
    }

    /// Connects to the database with this URL.
    pub(crate) async fn at(url: String) -> Result<Self> {
        let connection = PgConnection::connect(&url).await.context("could not reach the gateway's Postgres")?;
        Ok(Self { url, connection })
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The connection to it.
    pub(crate) const fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The process id of PostgreSQL's main process, of which every other of its is a child.
    pub(crate) async fn postmaster(&mut self) -> Result<u32> {
        let file: String =
            sqlx::query_scalar("SELECT pg_read_file('postmaster.pid')").fetch_one(&mut self.connection).await?;
        file.lines().next().and_then(|line| line.trim().parse().ok()).context("postmaster.pid names no process")
    }

    /// The application instances in which most has happened, and how much.
    pub(crate) async fn popular_instances(&mut self, count: usize) -> Result<Vec<(String, i64)>> {
        let statement = "SELECT instance_id, event_count FROM application_instance \
                         ORDER BY event_count DESC, instance_id LIMIT $1";
        let query = sqlx::query_as(statement).bind(i64::try_from(count)?);
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    /// Has PostgreSQL keep when each transaction was committed, and how long it waits for the disk, from its next start on.
    pub(crate) async fn track_commits(&mut self) -> Result<()> {
        for statement in ["ALTER SYSTEM SET track_commit_timestamp = on", "ALTER SYSTEM SET track_wal_io_timing = on"] {
            sqlx::query(statement).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// How long a commit waits for the disk: watches for a while, and gives the least that it was in a second on average, as
    /// a few flushes that take long tell nothing of the others. Zero, where PostgreSQL tells it elsewhere (from 18 on).
    pub(crate) async fn watch_flushes(&mut self, duration: Duration) -> Result<Duration> {
        const INTERVAL: Duration = Duration::from_secs(1);

        let deadline = Instant::now() + duration;
        let mut before = self.flushes().await?;
        let mut least = None;
        while Instant::now() + INTERVAL <= deadline {
            sleep(INTERVAL).await;
            let now = self.flushes().await?;
            if let Some(mean) = now.mean_since(before) {
                least = Some(least.map_or(mean, |least: Duration| least.min(mean)));
            }
            before = now;
        }
        Ok(least.unwrap_or_default())
    }

    /// How often the write-ahead log was flushed, and how long that took together.
    async fn flushes(&mut self) -> Result<Flushes> {
        let statement = "SELECT coalesce((told ->> 'wal_sync')::bigint, 0),
                coalesce((told ->> 'wal_write_time')::float8 + (told ->> 'wal_sync_time')::float8, 0)
             FROM (SELECT to_jsonb(w) AS told FROM pg_stat_wal w) wal";
        let (number, millis): (i64, f64) = sqlx::query_as(statement).fetch_one(&mut self.connection).await?;
        Ok(Flushes { number: u32::try_from(number)?, time: Duration::from_secs_f64(millis / 1e3) })
    }

    /// When the events of a stretch of the log were committed, since 1970: the moment at which PostgreSQL wrote that down,
    /// before it waited for the disk.
    pub(crate) async fn commits(&mut self, first: i64, last: i64) -> Result<HashMap<i64, Duration>> {
        let statement = "SELECT position, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint \
                         FROM arrival WHERE position BETWEEN $1 AND $2";
        let told: Vec<(i64, i64)> =
            sqlx::query_as(statement).bind(first).bind(last).fetch_all(&mut self.connection).await?;
        let commit = |(position, micros): (i64, i64)| Ok((position, Duration::from_micros(micros.try_into()?)));
        told.into_iter().map(commit).collect()
    }

    /// The newest position of the log.
    pub(crate) async fn head(&mut self) -> Result<u64> {
        let head: i64 = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&mut self.connection).await?;
        Ok(u64::try_from(head)?)
    }

    /// How many events the gateway has stored.
    pub(crate) async fn stored(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(STORED).fetch_one(&mut self.connection).await?)
    }

    /// Empties the gateway's log behind its back, as [`Reference::empty`] does with the reference's: an index that has
    /// grown costs more than an empty one, so what is compared has to start alike. Positions go on.
    pub(crate) async fn empty_log(&mut self) -> Result<()> {
        const ATTEMPTS: usize = 10;
        const DEADLOCK: &str = "40P01";

        let mut attempt = 1;
        loop {
            match sqlx::query(EMPTY).execute(&mut self.connection).await {
                // A gateway that has just started creates partitions, for which it locks the tables in another order.
                Err(sqlx::Error::Database(error))
                    if error.code().as_deref() == Some(DEADLOCK) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    sleep(Duration::from_millis(100)).await;
                }
                emptied => return Ok(emptied.map(drop)?),
            }
        }
    }

    /// Writes out what is dirty, so that no measurement pays for the one before.
    pub(crate) async fn checkpoint(&mut self) -> Result<()> {
        sqlx::query("CHECKPOINT").execute(&mut self.connection).await?;
        Ok(())
    }

    /// The URL of another database in it.
    pub(crate) fn url_of(&self, database: &str) -> Result<String> {
        let (server, _) = self.url.rsplit_once('/').context("the database's URL names no database")?;
        Ok(format!("{server}/{database}"))
    }

    /// Makes an empty database.
    pub(crate) async fn create_database(&mut self, name: &str) -> Result<()> {
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Removes a database, whoever uses it.
    pub(crate) async fn drop_database(&mut self, name: &str) -> Result<()> {
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Makes a database with the gateway's schema and partitions for some months.
    pub(crate) async fn create_reference(&mut self, months: &[Date]) -> Result<Reference> {
        self.create_database("reference").await?;
        let url = self.url_of("reference")?;
        let store = Store::new(&StoreOptions::new(&url))?;
        store.migrate().await?;
        for month in months {
            store.add_month(*month).await?;
        }
        store.close().await;
        let connection = PgConnection::connect(&url).await?;
        Ok(Reference { url, connection })
    }
}

/// Flushes of the write-ahead log.
#[derive(Clone, Copy, Debug)]
struct Flushes {
    number: u32,
    time: Duration,
}

impl Flushes {
    /// How long one took, of those since others, if there were any.
    fn mean_since(self, before: Self) -> Option<Duration> {
        self.time.saturating_sub(before.time).checked_div(self.number.saturating_sub(before.number))
    }
}

/// A database in which references store.
#[derive(Debug)]
pub(crate) struct Reference {
    url: String,
    connection: PgConnection,
}

impl Reference {
    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The connection to it.
    pub(crate) const fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Empties its tables: every reference starts from nothing.
    pub(crate) async fn empty(&mut self) -> Result<()> {
        sqlx::query(EMPTY).execute(&mut self.connection).await?;
        Ok(())
    }

    /// How many events both tables hold.
    pub(crate) async fn stored(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(STORED).fetch_one(&mut self.connection).await?)
    }

    /// The indexes of the log's tables but for those of primary keys.
    pub(crate) async fn indexes(&mut self) -> Result<Vec<Index>> {
        let statement = "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index \
                         WHERE NOT indisprimary AND indrelid IN ('sync_event'::regclass, 'arrival'::regclass) \
                         ORDER BY indrelid, indexrelid";
        let found: Vec<(String, String)> = sqlx::query_as(statement).fetch_all(&mut self.connection).await?;
        // `ON ONLY` would leave out the partitions.
        let index =
            |(name, definition): (String, String)| Index { name, definition: definition.replace(" ON ONLY ", " ON ") };
        Ok(found.into_iter().map(index).collect())
    }

    /// How many bytes an index takes in all partitions.
    pub(crate) async fn size_of(&mut self, index: &Index) -> Result<usize> {
        let statement = "SELECT sum(pg_relation_size(part))::bigint FROM (
             SELECT $1::regclass AS part UNION SELECT relid FROM pg_partition_tree($1::regclass)) parts";
        let bytes: i64 = sqlx::query_scalar(statement).bind(&index.name).fetch_one(&mut self.connection).await?;
        Ok(usize::try_from(bytes)?)
    }

    /// Runs a statement that has no answer.
    pub(crate) async fn execute(&mut self, statement: String) -> Result<()> {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut self.connection).await?;
        Ok(())
    }
}

/// An index of the log.
#[derive(Debug)]
pub(crate) struct Index {
    /// Its name.
    pub(crate) name: String,
    /// The statement that makes it.
    pub(crate) definition: String,
}

impl Index {
    /// The statement that removes it.
    pub(crate) fn drop_statement(&self) -> String {
        format!("DROP INDEX {}", self.name)
    }
}

/// One of PostgreSQL's programs: from `PG_BIN_DIR`, from Debian's directories (the newest version), or from `PATH`.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os("PG_BIN_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain(debian.into_iter().rev())
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("PostgreSQL's program {name} is not on this machine (see PG_BIN_DIR)"))
}
