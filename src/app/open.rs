//! The log and its intake, opened for commands that append.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::database::{OpenDatabase, print_note};
use super::{intake, log_options, open_log};
use crate::config::IntakeSettings;
use crate::ingest::Intake;
use crate::log::LogOptions;
use crate::store::Store;

/// The time for which a command retries while the database is unavailable, at its start and later.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A log that is open for a command, with its intake.
pub(super) struct OpenIntake {
    pub(super) intake: Intake,
    pub(super) store: Store,
    database: OpenDatabase,
}

impl OpenIntake {
    /// Opens the log; None if the command is stopped before. `activity` describes the command's work in words.
    ///
    /// # Errors
    /// The database cannot be opened, or it has no log and none may be created.
    pub(super) async fn open(
        settings: &IntakeSettings,
        activity: &str,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let database = OpenDatabase::attach_or_open(&settings.database, settings.create).await?;
        print_note(&format!("{activity} {}", database.description()?));
        let mut options = database.options();
        options.append_timeout = settings.limits.append_timeout();
        let store = Store::new(&options)?;
        let create = database.may_create(settings.create);
        let options = LogOptions { retry_for: PATIENCE, ..log_options(&settings.limits) };
        let opened = stop.run_until_cancelled(open_log(&store, &options, (create, Some(PATIENCE)))).await;
        let Some(log) = opened.transpose()? else {
            Self::end(database, &store).await?;
            return Ok(None);
        };
        let intake = intake((log, store.ledger()), &settings.orgs, &settings.limits, PATIENCE);
        Ok(Some(Self { intake, store, database }))
    }

    /// Closes the log, and stops a private PostgreSQL that the command has started.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        drop(self.intake);
        Self::end(self.database, &self.store).await
    }

    async fn end(database: OpenDatabase, store: &Store) -> anyhow::Result<()> {
        store.close().await;
        database.close().await
    }
}
