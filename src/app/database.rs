//! The database of a gateway or command: the operator's or a private PostgreSQL, with the commands that need nothing
//! else.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::config::DatabaseLocation;
use crate::postgres::private::{DataDirLock, PrivatePostgres};
use crate::store::{Era, Store, StoreError, StoreOptions};

/// Updates the database's schema. If a gateway runs a private PostgreSQL in the data directory, that one is used.
///
/// # Errors
/// The database cannot be opened or reports an error, or it has no log and none may be created.
pub async fn migrate(database: &DatabaseLocation, create: bool) -> anyhow::Result<()> {
    with_store(database, create, "bringing up to date", async |_| Ok(())).await
}

/// Begins a new era of positions, after a restore that gateways cannot detect.
///
/// # Errors
/// The database cannot be opened or reports an error, or it has no log and none may be created.
pub async fn new_era(database: &DatabaseLocation, create: bool, reason: &str) -> anyhow::Result<Era> {
    with_store(database, create, "beginning an era in", async |store| {
        let start = store.new_era(reason).await?;
        let era = store.ends().await?.eras.into_iter().find(|era| era.start == start);
        era.context("another era has begun in the meantime")
    })
    .await
}

/// Runs work on a log. `activity` describes the work in words, for the first line of the output.
pub(super) async fn with_store<T>(
    database: &DatabaseLocation,
    create: bool,
    activity: &str,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let opened = OpenDatabase::attach_or_open(database, create).await?;
    print_note(&format!("{activity} {}", opened.description()?));
    let store = opened.store(create).await?;
    let done = work(&store).await;
    store.close().await;
    opened.close().await?;
    done
}

/// Prints a note to standard error, since standard output is for the command's result.
#[expect(clippy::print_stderr, reason = "standard output is for the command's result")]
pub(super) fn print_note(text: &str) {
    eprintln!("{text}");
}

/// An open database.
pub(super) enum OpenDatabase {
    Url(String),
    /// The private PostgreSQL of a running gateway.
    Running {
        url: String,
        directory: String,
    },
    Private(PrivatePostgres, String),
}

impl OpenDatabase {
    pub(super) async fn open(database: &DatabaseLocation) -> anyhow::Result<Self> {
        match database.clone() {
            DatabaseLocation::Url(url) => Ok(Self::Url(url)),
            DatabaseLocation::Private(directory) => {
                let name = directory.display().to_string();
                // Dropping this future cancels a start that is still running.
                let cancelled = CancellationToken::new();
                let _waits = cancelled.clone().drop_guard();
                let start = move || PrivatePostgres::start_unless(DataDirLock::take(&directory)?, true, cancelled);
                Ok(Self::Private(tokio::task::spawn_blocking(start).await??, name))
            }
        }
    }

    /// Opens the database of a command: that of a gateway that runs on the data directory, otherwise the command's own.
    /// With `create`, a directory without a cluster gets one.
    pub(super) async fn attach_or_open(database: &DatabaseLocation, create: bool) -> anyhow::Result<Self> {
        if let DatabaseLocation::Private(directory) = database {
            if DataDirLock::is_held(directory) {
                let (url, directory) = (PrivatePostgres::url_of_running(directory), directory.display().to_string());
                return Ok(Self::Running { url, directory });
            }
            anyhow::ensure!(
                create || PrivatePostgres::exists(directory),
                "there is no PostgreSQL of sluice in {}: set the gateway's --data-dir (SLUICE_DATA_DIR) or DATABASE_URL, or \
                 use --create to create one there",
                directory.display()
            );
        }
        Self::open(database).await
    }

    /// Connects to the log and updates its tables. With `create`, a database without tables gets them.
    pub(super) async fn store(&self, create: bool) -> anyhow::Result<Store> {
        let store = Store::new(&self.options())?;
        store.prepare(self.may_create(create)).await?;
        Ok(store)
    }

    /// Returns true if tables may be created. A private cluster may have been created just before its tables.
    pub(super) const fn may_create(&self, create: bool) -> bool {
        create || !matches!(self, Self::Url(_))
    }

    /// Describes the database in words, without its user, password and name.
    pub(super) fn description(&self) -> anyhow::Result<String> {
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

    /// Returns the options for connecting to the database.
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

    /// Stops a private PostgreSQL that the command has started.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }
}
