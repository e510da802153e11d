//! `bench ingest`: durable events a second through the hook endpoint, beside what Postgres does alone.

mod against;
pub(crate) mod batched;
mod case;
mod results;
mod single_row;
mod table;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sluice::event::ReceivedEvent;

use crate::comparison::Against;
use crate::gateway::Gateway;
use crate::load::{Answered, Identities, Load};
use crate::postgres::{Cluster, Reference};
use crate::report::progress;
use crate::rows;
use crate::setup::Setup;
use case::Case;
use results::{Measurement, Results};
use single_row::SingleRow;

/// The size of a run whose numbers count.
const FULL_RUNS: usize = 5;
const FULL_SECONDS: u64 = 4;

/// What is measured, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them measures every case once.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these, with their references: 100x16 (deliveries of 100 events at 16 connections), batched-256 (rows a
    /// batch), pgbench-64 (clients) and the like, separated by commas.
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<Case>,
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    setup: Setup,
}

impl Options {
    fn is_full(&self) -> bool {
        self.only.is_empty() && self.runs >= FULL_RUNS && self.seconds >= FULL_SECONDS
    }
}

/// Runs the benchmark and prints what it gave.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let events = rows::events(rows::POOL)?;
    let scratch = options.setup.directory()?;
    if let Some(other) = &options.against.against {
        return against::run(options, other, scratch.path(), &events).await;
    }
    progress("starting the gateway");
    let gateway = Gateway::start(&options.setup.sluice, scratch.path()).await?;
    let measured = tokio::select! {
        measured = measure(options, gateway.address(), scratch.path(), &events) => measured,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    };
    let stopped = gateway.stop().await;
    let (results, acknowledged) = measured?;
    stopped?;
    table::print(options, &results, acknowledged, rows::mean_size(&events))
}

async fn measure(
    options: &Options,
    address: SocketAddr,
    scratch: &Path,
    events: &[ReceivedEvent],
) -> Result<(Results, usize)> {
    let mut gateway = Target::of(options, address, scratch, events).await?;
    let mut reference = gateway.cluster.create_reference(&rows::months(events)).await?;
    let single_row = SingleRow::prepare(&mut reference, rows::typical(events)?, scratch).await?;
    gateway.warm_up().await?;
    let mut bench = Bench { gateway, reference, single_row };
    let mut results = Results::default();
    for run in 1..=options.runs {
        for case in Case::selected(&options.only) {
            let measurement = bench.measure(case).await.with_context(|| case.to_string())?;
            progress(&format!("run {run} of {}: {case}: {:.0} events/s", options.runs, measurement.rate));
            results.add(case, measurement);
        }
    }
    Ok((results, bench.gateway.acknowledged))
}

/// A gateway that receives deliveries, and its database.
struct Target<'a> {
    address: SocketAddr,
    cluster: Cluster,
    events: &'a [ReceivedEvent],
    identities: Rc<Identities>,
    duration: Duration,
    /// Events that the gateway has acknowledged.
    acknowledged: usize,
}

impl<'a> Target<'a> {
    /// Connects to the database of the gateway that listens at an address and keeps its data in a directory.
    async fn of(options: &Options, address: SocketAddr, directory: &Path, events: &'a [ReceivedEvent]) -> Result<Self> {
        Ok(Self {
            address,
            cluster: Cluster::of(&directory.join("gateway")).await?,
            events,
            identities: Rc::new(Identities::starting_now()),
            duration: Duration::from_secs(options.seconds),
            acknowledged: 0,
        })
    }

    /// Has the gateway open its connections, make its partitions and plan its statements.
    async fn warm_up(&mut self) -> Result<()> {
        let load = Load { events: 10, connections: 16, duration: Duration::from_secs(1) };
        self.send(&load).await?;
        Ok(())
    }

    /// Sends deliveries for the duration of a measurement.
    async fn measure(&mut self, events: usize, connections: usize) -> Result<Measurement> {
        let load = Load { events, connections, duration: self.duration };
        Ok(Measurement::of_load(&self.send(&load).await?))
    }

    /// Sends deliveries to the gateway, whose log is empty then, and holds it to its word: what it has acknowledged is
    /// there.
    async fn send(&mut self, load: &Load) -> Result<Answered> {
        self.cluster.empty_log().await?;
        self.cluster.checkpoint().await?;
        let answered = load.send(self.address, self.events, &self.identities).await?;
        let stored = self.cluster.stored().await?;
        ensure!(
            usize::try_from(stored).ok() == Some(answered.events),
            "the gateway acknowledged {} events and has stored {stored}",
            answered.events
        );
        self.acknowledged += answered.events;
        Ok(answered)
    }
}

/// State of the measurements: the gateway and its references.
struct Bench<'a> {
    gateway: Target<'a>,
    reference: Reference,
    single_row: SingleRow,
}

impl Bench<'_> {
    async fn measure(&mut self, case: Case) -> Result<Measurement> {
        match case {
            Case::Gateway { events, connections } => self.gateway.measure(events, connections).await,
            Case::Batched { rows } => {
                self.empty_reference().await?;
                let Self { reference, gateway: Target { identities, events, duration, .. }, .. } = self;
                let inserted =
                    batched::insert(reference, events, identities, rows, batched::Extent::Time(*duration)).await?;
                self.check_reference(inserted).await
            }
            Case::SingleRow { clients } => {
                self.empty_reference().await?;
                let inserted = self.single_row.insert(clients, self.gateway.duration).await?;
                self.check_reference(inserted).await
            }
        }
    }

    async fn empty_reference(&mut self) -> Result<()> {
        self.reference.empty().await?;
        self.gateway.cluster.checkpoint().await
    }

    /// Holds a reference to its word: as many rows are there as it says.
    async fn check_reference(&mut self, (measurement, rows): (Measurement, i64)) -> Result<Measurement> {
        let stored = self.reference.stored().await?;
        ensure!(stored == rows, "{rows} rows were inserted, and {stored} are there");
        Ok(measurement)
    }
}
