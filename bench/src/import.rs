//! `bench import`: a file of events by `sluice import`, beside what Postgres does alone; then the same file again.

mod file;
mod table;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sluice::postgres::private::{DataDirLock, PrivatePostgres};
use tokio::time::sleep;

use crate::comparison::{Against, Build, Pair};
use crate::gateway;
use crate::ingest::batched::{self, Extent};
use crate::load::Identities;
use crate::postgres::Cluster;
use crate::report::{count, progress};
use crate::setup::Setup;
use crate::{processor, rows};

/// The size of a run whose numbers count.
const FULL_RUNS: usize = 3;
const FULL_EVENTS: usize = 1_000_000;

/// How many rows the batches of the reference have.
const BATCHES: [usize; 2] = [256, 1024];

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them imports the file once, and once more.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Events in the file.
    #[arg(long, value_name = "N", default_value_t = FULL_EVENTS, value_parser = at_least_a_batch)]
    events: usize,
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    setup: Setup,
}

fn at_least_a_batch(text: &str) -> Result<usize, String> {
    let events = text.parse().map_err(|error| format!("{error}"))?;
    if events < rows::POOL { Err(format!("at least {}", rows::POOL)) } else { Ok(events) }
}

impl Options {
    fn is_full(&self) -> bool {
        self.runs >= FULL_RUNS && self.events >= FULL_EVENTS
    }
}

/// What a round gave.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Events a second of the better batched limit.
    limit: f64,
    imports: Imports,
}

/// Figures of a first import of the file, and of a second import of the same file.
#[derive(Clone, Copy, Debug)]
struct Imports {
    first: Import,
    second: Import,
}

/// What one import took.
#[derive(Clone, Copy, Debug)]
struct Import {
    /// Events a second, from the start of the program to its end.
    rate: f64,
    /// The most memory that the program had, in megabytes.
    megabytes: f64,
    /// Microseconds of processor time of the program, an event.
    processor: f64,
}

/// Runs the benchmark and prints what it gave.
pub(crate) async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = measure_all(options) => done,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    }
}

async fn measure_all(options: &Options) -> Result<()> {
    let events = rows::events(rows::POOL)?;
    let scratch = options.setup.directory()?;
    let history = scratch.path().join("history.ndjson");
    progress(&format!("writing {} events", options.events));
    let size = file::write(&history, &events, options.events)?;
    let data_dir = scratch.path().join("data");
    let postgres = PrivatePostgres::start(DataDirLock::take(&data_dir)?, true)?;
    let mut bench = Bench { options, events: &events, cluster: Cluster::of(&data_dir).await?, history: &history };
    if let Some(other) = &options.against.against {
        let imports = bench.compare(other).await?;
        drop(postgres);
        return table::print_comparison(options, &imports, size);
    }
    let mut rounds = Vec::with_capacity(options.runs);
    for run in 1..=options.runs {
        let round = bench.round().await?;
        let Round { limit, imports: Imports { first, second } } = round;
        progress(&format!(
            "run {run} of {}: limit {limit:.0} events/s, import {:.0}, again {:.0}",
            options.runs, first.rate, second.rate
        ));
        rounds.push(round);
    }
    drop(postgres);
    table::print(options, &rounds, size)
}

struct Bench<'a> {
    options: &'a Options,
    events: &'a [sluice::event::ReceivedEvent],
    cluster: Cluster,
    history: &'a Path,
}

impl Bench<'_> {
    async fn round(&mut self) -> Result<Round> {
        let mut limit: f64 = 0.0;
        for rows in BATCHES {
            let mut reference = self.cluster.create_reference(&rows::months(self.events)).await?;
            self.cluster.checkpoint().await?;
            let identities = Identities::starting_now();
            let extent = Extent::Rows(self.options.events);
            let (measured, inserted) = batched::insert(&mut reference, self.events, &identities, rows, extent).await?;
            ensure!(reference.stored().await? == inserted, "the reference has not stored what it says");
            limit = limit.max(measured.rate);
            drop(reference);
            self.cluster.drop_database("reference").await?;
        }
        Ok(Round { limit, imports: self.imports(&self.options.setup.sluice).await? })
    }

    /// Imports the file by both builds in every round, each time into a new database whose tables the build creates.
    async fn compare(&mut self, other: &Path) -> Result<Pair<Vec<Imports>>> {
        let mut imports = Pair { this: Vec::new(), other: Vec::new() };
        for run in 1..=self.options.runs {
            for build in Build::order(run) {
                let program = if build == Build::This { &self.options.setup.sluice } else { other };
                let Imports { first, second } = self.imports(program).await.with_context(|| build.to_string())?;
                progress(&format!(
                    "run {run} of {}: {build}: import {:.0} events/s, again {:.0}",
                    self.options.runs, first.rate, second.rate
                ));
                imports.of(build).push(Imports { first, second });
            }
        }
        Ok(imports)
    }

    /// Imports the file by a program into a new database, and a second time into the same database.
    async fn imports(&mut self, program: &Path) -> Result<Imports> {
        self.cluster.create_database("history").await?;
        self.cluster.checkpoint().await?;
        let first = self.import(program, "stored").await?;
        self.cluster.checkpoint().await?;
        let second = self.import(program, "duplicate").await?;
        self.cluster.drop_database("history").await?;
        Ok(Imports { first, second })
    }

    /// Imports the file. Every event of it must be `told` as this.
    async fn import(&self, program: &Path, told: &str) -> Result<Import> {
        let directory = self.history.parent().context("the file is nowhere")?;
        let mut command = gateway::program(program, directory)?;
        command.arg("import").args(gateway::create_option(program, directory).await?).arg(self.history);
        command.env("DATABASE_URL", self.cluster.url_of("history")?);
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let process = child.id().context("the import has no process")?;
        let (mut kilobytes, mut processor) = (0, Duration::ZERO);
        while child.try_wait()?.is_none() {
            kilobytes = kilobytes.max(processor::most_memory(process).unwrap_or(0));
            processor = processor::of_process(process).unwrap_or(processor);
            sleep(Duration::from_millis(20)).await;
        }
        let elapsed = started.elapsed();
        let said = String::from_utf8(child.wait_with_output().await?.stdout)?;
        let number = said.lines().find_map(|line| line.trim().strip_prefix(told)?.trim().parse::<usize>().ok());
        ensure!(number == Some(self.options.events), "not every event was {told}: {said}");
        let events = count(self.options.events);
        Ok(Import {
            rate: events / elapsed.as_secs_f64(),
            megabytes: count(kilobytes) * 1024.0 / 1e6,
            processor: processor.as_secs_f64() * 1e6 / events,
        })
    }
}
