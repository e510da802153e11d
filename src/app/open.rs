//! The door to the log, for commands that come and go beside a gateway.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::database::{OpenDatabase, say};
use super::{intake, log_options, open_log};
use crate::config::WaysIn;
use crate::ingest::Intake;
use crate::log::LogOptions;
use crate::store::Store;

/// Time for which a command retries while the database is unavailable, at its start and later.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A log that is open for a command.
pub(super) struct OpenIntake {
    pub(super) intake: Intake,
    pub(super) store: Store,
    database: OpenDatabase,
}

impl OpenIntake {
    /// Opens it; None where it is told to stop before.
    ///
    /// `told` says, in words, what is done with the database.
    ///
    /// # Errors
    /// The database cannot be had; it has no log, and none may be created.
    pub(super) async fn open(ways_in: &WaysIn, told: &str, stop: &CancellationToken) -> anyhow::Result<Option<Self>> {
        let database = OpenDatabase::attach_or_open(&ways_in.database, ways_in.create).await?;
        say(&format!("{told} {}", database.told()?));
        let mut options = database.options();
        options.append_timeout = ways_in.limits.append_timeout();
        let store = Store::new(&options)?;
        let create = database.may_create(ways_in.create);
        let options = LogOptions { retry_for: PATIENCE, ..log_options(&ways_in.limits) };
        let opened = stop.run_until_cancelled(open_log(&store, &options, (create, Some(PATIENCE)))).await;
        let Some(log) = opened.transpose()? else {
            Self::end(database, &store).await?;
            return Ok(None);
        };
        let intake = intake((log, store.ledger()), &ways_in.orgs, &ways_in.limits, PATIENCE);
        Ok(Some(Self { intake, store, database }))
    }

    /// Closes it, and stops a database of its own.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        drop(self.intake);
        Self::end(self.database, &self.store).await
    }

    async fn end(database: OpenDatabase, store: &Store) -> anyhow::Result<()> {
        store.close().await;
        database.close().await
    }
}
