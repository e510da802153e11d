//! The data directory of the gateway that is asked: made for the run, or kept for the next one.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sluice::event::Timestamp;
use sluice::store::private::{DataDirLock, PrivatePostgres};
use sluice::store::{Store, StoreOptions};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use time::Duration;

use super::{Options, seed};
use crate::report::{Thousands, count, progress};

/// Notes in a directory which log it holds, once that is whole.
const NOTE: &str = "read.json";

/// A directory with a whole log.
#[derive(Debug)]
pub(super) struct Data {
    directory: PathBuf,
    /// Gone with the value, where nobody wants to keep it.
    _temporary: Option<TempDir>,
    note: Note,
}

impl Data {
    /// Makes a directory with a log, or finds the one that was kept; has the database know its statistics.
    pub(super) async fn prepare(options: &Options) -> Result<Self> {
        let (directory, temporary) = if let Some(directory) = &options.data {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
            made.with_context(|| directory.display().to_string())?;
            (directory.canonicalize()?, None)
        } else {
            let made = options.setup.directory()?;
            (made.path().to_owned(), Some(made))
        };
        let note = Note::read(&directory)?;
        if let Some(Note { events, .. }) = note {
            ensure!(
                events == options.events,
                "{} keeps {events} events: give --events {events}, or another directory",
                directory.display()
            );
        }
        Self::open(directory, temporary, note, options.events).await
    }

    /// Finds a log that was kept.
    pub(super) async fn kept(directory: &Path) -> Result<Self> {
        let note = Note::read(directory)?;
        let Some(Note { events, .. }) = note else { bail!("{} keeps no log", directory.display()) };
        Self::open(directory.canonicalize()?, None, note, events).await
    }

    async fn open(directory: PathBuf, temporary: Option<TempDir>, note: Option<Note>, events: usize) -> Result<Self> {
        let gateway = directory.join("gateway");
        let is_known = note.is_some() || !gateway.join("postgres").exists();
        ensure!(is_known, "{} holds a log that is not whole: remove it", directory.display());
        // Without a gateway, which would read every event that is appended.
        let lock = DataDirLock::take(&gateway)?;
        let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(lock, true)).await??;
        let store = Store::new(&StoreOptions::new(postgres.url()))?;
        store.migrate().await?;
        let note = match note {
            Some(note) => note,
            None => Note::of_new(&store, events, &directory).await?,
        };
        store.close().await;
        tidy(postgres.url()).await?;
        tokio::task::spawn_blocking(move || drop(postgres)).await?;
        Ok(Self { directory, _temporary: temporary, note })
    }

    /// What a gateway is started with.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many events there are.
    pub(super) const fn events(&self) -> usize {
        self.note.events
    }

    /// From when (inclusive) until when (exclusive) they happened.
    pub(super) const fn span(&self) -> (Timestamp, Timestamp) {
        (self.note.from, self.note.until)
    }
}

/// Which log a directory holds.
#[derive(Clone, Copy, Debug)]
struct Note {
    events: usize,
    from: Timestamp,
    until: Timestamp,
}

impl Note {
    /// Reads it; None where there is none.
    fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(NOTE);
        if !path.exists() {
            return Ok(None);
        }
        let note: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let moment = |name: &str| Timestamp::from_millis(note[name].as_i64()?);
        let events = note["events"].as_u64().and_then(|events| usize::try_from(events).ok());
        let read = || Some(Self { events: events?, from: moment("from")?, until: moment("until")? });
        read().map(Some).with_context(|| format!("{} is broken", path.display()))
    }

    /// Appends a log's events, over the year until now, and notes it.
    async fn of_new(store: &Store, events: usize, directory: &Path) -> Result<Self> {
        let until = Timestamp::now();
        let from = until.plus(Duration::days(-365));
        progress(&format!("appending {} events", Thousands(count(events))));
        let started = Instant::now();
        seed::append(store, events, from, until).await?;
        progress(&format!("appended in {:.0} s", started.elapsed().as_secs_f64()));
        let note = json!({ "events": events, "from": from.millis(), "until": until.millis() });
        fs::write(directory.join(NOTE), note.to_string())?;
        Ok(Self { events, from, until })
    }
}

/// As after a night of autovacuum: statistics, visibility maps, nothing left to be written out.
async fn tidy(url: &str) -> Result<()> {
    progress("vacuuming");
    let mut connection = PgConnection::connect(url).await?;
    for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
