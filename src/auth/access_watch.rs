//! The watch of the records in the database that let clients in, API keys and sessions. One task for each gateway reads their
//! versions every 2 seconds, and reads the records again that have changed: so a revocation ends sockets and streams at every
//! gateway within 3 seconds. NOTIFY only makes it faster.
//!
//! A further kind of record, such as sessions, has a table with a trigger that calls `access_changed()`, and a row in
//! `access_change`. It adds a field to [`Authenticator`], and to `look` below a call that reads its records again and revokes
//! those that are gone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use super::authenticator::Authenticator;
use crate::access::{AccessRecords, ApiKeyRecord, SessionRecord};
use crate::store::StoreError;

/// The pause between two looks at the versions.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The time for the database to tell the versions, or the records.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval at which all records are read again, whatever their versions: a restored database may have a version that was
/// seen before.
const WHOLE_INTERVAL: Duration = Duration::from_mins(1);

/// The interval between two log lines while the database is away.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The watch of the records that let clients in.
#[derive(Debug)]
pub struct AccessWatch {
    access: AccessRecords,
    authenticator: Authenticator,
    /// The versions of the records that are held, by table.
    seen: BTreeMap<String, i64>,
    /// The time at which all records were last read.
    whole: Option<Instant>,
    /// The time of the last log line about a failure; None while there is no failure.
    logged: Option<Instant>,
}

impl AccessWatch {
    /// Reads all records for an authenticator, which accepts none before.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(access: AccessRecords, authenticator: Authenticator) -> Result<Self, StoreError> {
        authenticator.open_sessions(&access);
        let mut watch = Self { access, authenticator, seen: BTreeMap::new(), whole: None, logged: None };
        watch.look().await?;
        Ok(watch)
    }

    /// Keeps the records up to date. Ends only when it is dropped.
    pub async fn run(mut self) {
        loop {
            let wanted = async {
                tokio::select! {
                    () = self.access.hinted() => {}
                    () = self.authenticator.keys().look_wanted() => {}
                }
            };
            _ = timeout(POLL_INTERVAL, wanted).await;
            // A panic must not end the watch: revocations would never be noticed again.
            match AssertUnwindSafe(timeout(PATIENCE, self.look())).catch_unwind().await {
                Ok(Ok(Ok(()))) => {
                    self.succeeded();
                    self.authenticator.keys().have_looked();
                }
                Ok(Ok(Err(error))) => self.failed(&error.to_string()),
                Ok(Err(_)) => self.failed(&StoreError::NoAnswer.to_string()),
                Err(_) => self.failed("the gateway has a fault"),
            }
        }
    }

    /// Reads the versions, and then the records whose version has changed: so the records are at least as new.
    async fn look(&mut self) -> Result<(), StoreError> {
        let versions = self.access.versions().await?;
        // A restore has created the tables, and not filled them yet.
        if !versions.contains_key(ApiKeyRecord::TABLE) {
            return Err(StoreError::Restored);
        }
        let is_whole = self.whole.is_none_or(|at| at.elapsed() >= WHOLE_INTERVAL);
        let is_stale = |table: &str| is_whole || self.seen.get(table) != versions.get(table);
        // A fault of one kind of record does not hide the revocations of another.
        let keys =
            if is_stale(ApiKeyRecord::TABLE) { self.authenticator.refresh_keys(&self.access).await } else { Ok(()) };
        if is_stale(SessionRecord::TABLE) {
            self.authenticator.refresh_sessions().await?;
        }
        keys?;
        self.seen = versions;
        if is_whole {
            self.whole = Some(Instant::now());
        }
        Ok(())
    }

    fn succeeded(&mut self) {
        if self.logged.take().is_some() {
            tracing::info!("API keys and sessions are read from the database again, and revocations are noticed");
        }
    }

    fn failed(&mut self, error: &str) {
        metrics::counter!("sluice_access_refresh_failures_total").increment(1);
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            tracing::warn!(
                error,
                "could not look for changed API keys and sessions: known ones are still accepted, and revocations are not noticed meanwhile"
            );
        }
    }
}
