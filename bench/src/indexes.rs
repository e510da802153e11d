//! `bench indexes`: what each index costs those who store, and how much room it takes.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sluice::event::ReceivedEvent;

use crate::gateway::Gateway;
use crate::ingest::batched::{self, Extent};
use crate::load::Identities;
use crate::postgres::{Cluster, Index, Reference};
use crate::report::{Spread, Thousands, count, progress, told};
use crate::rows;
use crate::setup::Setup;

/// The size of a run whose numbers count.
const FULL_RUNS: usize = 5;
const FULL_SECONDS: u64 = 4;

/// How many rows a batch has.
const BATCH: usize = 1024;

/// What is measured, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them leaves out every index once.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[command(flatten)]
    setup: Setup,
}

impl Options {
    fn is_full(&self) -> bool {
        self.runs >= FULL_RUNS && self.seconds >= FULL_SECONDS
    }
}

/// What leaving out an index gave.
struct Cost {
    index: Index,
    /// Events a second without it, each as a ratio of those with all indexes, measured just before.
    speeds: Vec<f64>,
    /// Its bytes for each event, as it stood after such a measurement with all indexes.
    bytes: Vec<f64>,
}

/// Runs the benchmark and prints what it gave.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let scratch = options.setup.directory()?;
    progress("starting the gateway");
    let gateway = Gateway::start(&options.setup.sluice, scratch.path()).await?;
    let measured = tokio::select! {
        measured = measure(options, scratch.path()) => measured,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    };
    let stopped = gateway.stop().await;
    let costs = measured?;
    stopped?;
    print(options, &costs)
}

async fn measure(options: &Options, scratch: &Path) -> Result<Vec<Cost>> {
    let events = rows::events(rows::POOL)?;
    let mut cluster = Cluster::of(&scratch.join("gateway")).await?;
    let reference = cluster.create_reference(&rows::months(&events)).await?;
    let identities = Identities::starting_now();
    let duration = Duration::from_secs(options.seconds);
    Bench { cluster, reference, events, identities, duration }.measure(options.runs).await
}

struct Bench {
    cluster: Cluster,
    reference: Reference,
    events: Vec<ReceivedEvent>,
    identities: Identities,
    duration: Duration,
}

impl Bench {
    async fn measure(&mut self, runs: usize) -> Result<Vec<Cost>> {
        let indexes = self.reference.indexes().await?;
        ensure!(!indexes.is_empty(), "there are no indexes");
        let mut costs: Vec<_> =
            indexes.into_iter().map(|index| Cost { index, speeds: Vec::new(), bytes: Vec::new() }).collect();
        for run in 1..=runs {
            for cost in &mut costs {
                let (with, stored) = self.insert().await?;
                cost.bytes.push(count(self.reference.size_of(&cost.index).await?) / stored);
                self.reference.execute(cost.index.drop_statement()).await?;
                let (without, _) = self.insert().await?;
                self.reference.empty().await?;
                self.reference.execute(cost.index.definition.clone()).await?;
                cost.speeds.push(without / with);
                let name = &cost.index.name;
                progress(&format!("run {run} of {runs}: without {name}: {without:.0} events/s beside {with:.0}"));
            }
        }
        Ok(costs)
    }

    /// Inserts into empty tables; gives events a second, and how many they were.
    async fn insert(&mut self) -> Result<(f64, f64)> {
        self.reference.empty().await?;
        self.cluster.checkpoint().await?;
        let extent = Extent::Time(self.duration);
        let (measurement, rows) =
            batched::insert(&mut self.reference, &self.events, &self.identities, BATCH, extent).await?;
        Ok((measurement.rate, count(usize::try_from(rows)?)))
    }
}

fn print(options: &Options, costs: &[Cost]) -> Result<()> {
    let mut output = io::stdout().lock();
    let (runs, seconds) = (options.runs, options.seconds);
    writeln!(output, "indexes: batches of {BATCH}, medians of {runs} runs of {seconds} s")?;
    if !options.is_full() {
        writeln!(output, "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {FULL_SECONDS} s")?;
    }
    writeln!(output, "\n{:42}{:>14}{:>16}{:>14}", "index", "speed without", "least–greatest", "bytes/event")?;
    for cost in costs {
        let speed = Spread::of(cost.speeds.iter().copied()).context("nothing was measured")?;
        let bytes = Spread::of(cost.bytes.iter().copied()).context("nothing was measured")?;
        writeln!(
            output,
            "{:42}{:>14}{:>16}{:>14}",
            cost.index.name,
            told(Some(speed)),
            format!("{:.2}–{:.2}", speed.least, speed.greatest),
            Thousands(bytes.median).to_string()
        )?;
    }
    writeln!(
        output,
        "\nspeed without: events/s of inserts by one connection with all indexes but this one, as a ratio of those with\n\
         all, measured just before; of one that costs nothing it is 1. Primary keys are not left out."
    )?;
    Ok(())
}
