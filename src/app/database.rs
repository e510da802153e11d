//! The database of a gateway or a command: the operator's, or a private PostgreSQL; and the commands that need no more.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::config::Database;
use crate::postgres::private::{DataDirLock, PrivatePostgres};
use crate::store::{Era, Store, StoreError, StoreOptions};

/// Brings the database's schema up to date: that of a Postgres that a gateway keeps running, or of one's own.
///
/// # Errors
/// The database cannot be had, or refuses; it has no log, and none may be created.
pub async fn migrate(database: &Database, create: bool) -> anyhow::Result<()> {
    with_store(database, create, "bringing up to date", async |_| Ok(())).await
}

/// Begins a new era of positions, as after a restore that a gateway cannot notice.
///
/// # Errors
/// The database cannot be reached, or reports an error; it has no log, and none may be created.
pub async fn new_era(database: &Database, create: bool, reason: &str) -> anyhow::Result<Era> {
    with_store(database, create, "beginning an era in", async |store| {
        let start = store.new_era(reason).await?;
        let era = store.ends().await?.eras.into_iter().find(|era| era.start == start);
        era.context("another era has begun meanwhile")
    })
    .await
}

/// Does something with a log. `told` says what, in words, before it begins.
pub(super) async fn with_store<T>(
    database: &Database,
    create: bool,
    told: &str,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let opened = OpenDatabase::attach_or_open(database, create).await?;
    say(&format!("{told} {}", opened.told()?));
    let store = opened.store(create).await?;
    let done = work(&store).await;
    store.close().await;
    opened.close().await?;
    done
}

/// Tells people, on standard error, where a command works.
#[expect(clippy::print_stderr, reason = "standard output is the command's answer")]
pub(super) fn say(text: &str) {
    eprintln!("{text}");
}

/// A database that can be used.
pub(super) enum OpenDatabase {
    Url(String),
    /// The private PostgreSQL of a gateway that runs.
    Running {
        url: String,
        directory: String,
    },
    Private(PrivatePostgres, String),
}

impl OpenDatabase {
    pub(super) async fn open(database: &Database) -> anyhow::Result<Self> {
        match database.clone() {
            Database::Url(url) => Ok(Self::Url(url)),
            Database::Private(directory) => {
                let told = directory.display().to_string();
                // The drop of this future cancels a start that is still running.
                let cancelled = CancellationToken::new();
                let _waits = cancelled.clone().drop_guard();
                let start = move || PrivatePostgres::start_unless(DataDirLock::take(&directory)?, true, cancelled);
                Ok(Self::Private(tokio::task::spawn_blocking(start).await??, told))
            }
        }
    }

    /// Opens the database of a command: that of a gateway that runs on the same data directory, else one's own. With
    /// `create`, a directory without a cluster gets one.
    pub(super) async fn attach_or_open(database: &Database, create: bool) -> anyhow::Result<Self> {
        if let Database::Private(directory) = database {
            if DataDirLock::is_held(directory) {
                let (url, directory) = (PrivatePostgres::url_of_running(directory), directory.display().to_string());
                return Ok(Self::Running { url, directory });
            }
            anyhow::ensure!(
                create || PrivatePostgres::exists(directory),
                "there is no PostgreSQL of sluice in {}: give the gateway's --data-dir (SLUICE_DATA_DIR) or its \
                 DATABASE_URL, or --create to create one there",
                directory.display()
            );
        }
        Self::open(database).await
    }

    /// Connects to the log and brings its tables up to date. With `create`, a database without them gets them.
    pub(super) async fn store(&self, create: bool) -> anyhow::Result<Store> {
        let store = Store::new(&self.options())?;
        store.prepare(self.may_create(create)).await?;
        Ok(store)
    }

    /// Returns whether tables may be created. A cluster of sluice's own may have been created just before its tables.
    pub(super) const fn may_create(&self, create: bool) -> bool {
        create || !matches!(self, Self::Url(_))
    }

    /// Returns what people call the database; never its user, password or name.
    pub(super) fn told(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Url(url) => {
                let servers = StoreOptions::new(url).servers();
                let servers = servers.map_err(|faults| StoreError::Url(faults.join("; ")))?;
                format!("the database at {}", servers.join(", "))
            }
            Self::Running { directory, .. } => {
                format!("the private PostgreSQL in {directory}, of the gateway that runs there")
            }
            Self::Private(_, directory) => format!("the private PostgreSQL in {directory}"),
        })
    }

    /// The options with which a store connects to it.
    pub(super) fn options(&self) -> StoreOptions {
        match self {
            Self::Url(url) | Self::Running { url, .. } => StoreOptions::new(url),
            Self::Private(postgres, _) => {
                let mut options = StoreOptions::new(postgres.url());
                options.directory = Some(postgres.identity());
                options
            }
        }
    }

    /// Stops a private PostgreSQL of one's own.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }
}
