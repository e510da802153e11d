//! The data directory of the gateway that is asked: made for the run, or kept for the next one.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sluice::event::Timestamp;
use tempfile::TempDir;
use time::Duration;

use super::{Options, seed};
use crate::gateway::Gateway;
use crate::postgres::Cluster;
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
        let (directory, temporary) = Self::place(options, "")?;
        let note = Note::read(&directory)?;
        if let Some(note) = note {
            ensure!(
                (note.events, note.months()) == (options.events, options.months),
                "{} keeps {} events of {} months: give --events and --months of that log, or another directory",
                directory.display(),
                note.events,
                note.months()
            );
        }
        let wanted = Note::until_now(options.events, options.months);
        Self::open(&options.setup.sluice, directory, temporary, note, wanted).await
    }

    /// Makes a directory with the same log for another build, or finds the one that an earlier run kept.
    pub(super) async fn of_other_build(&self, options: &Options, program: &Path) -> Result<Self> {
        let (directory, temporary) = Self::place(options, "-against")?;
        let note = Note::read(&directory)?;
        ensure!(
            note.is_none_or(|note| note == self.note),
            "{} keeps another log than {}: remove it, and it is made again",
            directory.display(),
            self.directory.display()
        );
        Self::open(program, directory, temporary, note, self.note).await
    }

    /// Finds a log that was kept.
    pub(super) async fn kept(options: &Options, directory: &Path) -> Result<Self> {
        let Some(note) = Note::read(directory)? else { bail!("{} keeps no log", directory.display()) };
        Self::open(&options.setup.sluice, directory.canonicalize()?, None, Some(note), note).await
    }

    /// Returns the directory that keeps the log, with a suffix to its name, or a temporary directory.
    fn place(options: &Options, suffix: &str) -> Result<(PathBuf, Option<TempDir>)> {
        let Some(directory) = &options.data else {
            let made = options.setup.directory()?;
            return Ok((made.path().to_owned(), Some(made)));
        };
        let mut name = directory.file_name().context("--data names no directory")?.to_owned();
        name.push(suffix);
        let directory = directory.with_file_name(name);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&directory);
        made.with_context(|| directory.display().to_string())?;
        Ok((directory.canonicalize()?, None))
    }

    /// Opens the log of a directory, or imports a new log where the directory has none.
    async fn open(
        program: &Path,
        directory: PathBuf,
        temporary: Option<TempDir>,
        note: Option<Note>,
        wanted: Note,
    ) -> Result<Self> {
        let is_known = note.is_some() || !directory.join("gateway").join("postgres").exists();
        ensure!(is_known, "{} holds a log that is not whole: remove it", directory.display());
        // The gateway creates the cluster and the tables, or migrates the tables of an older build.
        let mut gateway = Gateway::start(program, &directory).await?;
        let note = if let Some(note) = note {
            note
        } else {
            // No gateway runs during the import: it would read every imported event.
            gateway.stop().await?;
            wanted.import(program, &directory).await?;
            gateway = Gateway::start(program, &directory).await?;
            wanted
        };
        tidy(&directory).await?;
        gateway.stop().await?;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Describes a log whose events are spread over some months until now.
    fn until_now(events: usize, months: i64) -> Self {
        let until = Timestamp::now();
        Self { events, from: until.plus(-Duration::days(days_of(months))), until }
    }

    /// Returns the number of months over which the events are spread.
    fn months(&self) -> i64 {
        let days = (self.until.date_time() - self.from.date_time()).whole_days();
        // The least number of months with so many days, since `days_of` rounds down.
        (days * 12).div_euclid(365) + i64::from((days * 12).rem_euclid(365) > 0)
    }

    /// Imports the log's events by a program, and then writes the note that the log is complete.
    async fn import(&self, program: &Path, directory: &Path) -> Result<()> {
        let Self { events, from, until } = *self;
        progress(&format!("importing {} events", Thousands(count(events))));
        let started = Instant::now();
        seed::import(program, directory, events, from, until).await?;
        progress(&format!("imported in {:.0} s", started.elapsed().as_secs_f64()));
        let note = json!({ "events": events, "from": from.millis(), "until": until.millis() });
        Ok(fs::write(directory.join(NOTE), note.to_string())?)
    }
}

/// Returns the length of some months in days, at the average length of a month.
const fn days_of(months: i64) -> i64 {
    months * 365 / 12
}

/// As after a night of autovacuum: statistics, visibility maps, nothing left to be written out.
async fn tidy(directory: &Path) -> Result<()> {
    progress("vacuuming");
    let mut cluster = Cluster::of(&directory.join("gateway")).await?;
    for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(cluster.connection()).await?;
    }
    Ok(())
}
