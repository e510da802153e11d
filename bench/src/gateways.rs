//! `bench gateways`: two gateways over one database, one of them under load. The benchmark measures the lag of that
//! gateway's subscribers twice: while the other gateway also stores events, and while the other gateway stores none.

mod duo;
mod nats;
mod subscribers;
mod table;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sluice::event::ReceivedEvent;
use sluice::postgres::private::{DataDirLock, PrivatePostgres};

use crate::comparison::{Against, Build};
use crate::load::Paced;
use crate::postgres::Cluster;
use crate::report::{Thousands, progress};
use crate::rows;
use crate::setup::Setup;
use duo::{GatewayPair, Round};
use nats::NatsServer;
use table::{Case, Channel, Results};

/// Size of a run whose numbers count as results.
const FULL_RUNS: usize = 5;
const FULL_SECONDS: u64 = 6;
const FULL_RATE: u32 = 2_000;
const FULL_SUBSCRIBERS: usize = 20;

/// Number of deliveries that gateway A may be processing at once.
const CONNECTIONS: usize = 64;

/// Share of the offered events that gateway A must store for the rate to count as met.
const MET_SHARE: f64 = 0.98;

/// Share of the sustainable rate that is offered instead where the machine cannot sustain the wanted one.
const SUSTAINABLE_SHARE: f64 = 0.8;

/// Duration of each trial that measures the sustainable rate.
const TRIAL_DURATION: Duration = Duration::from_secs(3);

/// Options of the benchmark: its cases, its load and its duration.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them measures every case once.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Single-event deliveries a second that are offered to gateway A.
    #[arg(long, value_name = "N", default_value_t = FULL_RATE, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Subscribers of gateway A.
    #[arg(long, value_name = "N", default_value_t = FULL_SUBSCRIBERS)]
    subscribers: usize,
    /// Measure only these channels between the gateways: postgres (the database alone), nats (NATS as well).
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    only: Vec<Channel>,
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    setup: Setup,
}

impl Options {
    fn is_full(&self) -> bool {
        let is_long = self.runs >= FULL_RUNS && self.seconds >= FULL_SECONDS;
        is_long && self.only.is_empty() && self.rate >= FULL_RATE && self.subscribers >= FULL_SUBSCRIBERS
    }

    /// Returns the builds to measure, each with its program.
    fn builds(&self) -> Vec<(Build, &Path)> {
        let other = self.against.against.as_deref().map(|program| (Build::Other, program));
        [(Build::This, self.setup.sluice.as_path())].into_iter().chain(other).collect()
    }
}

/// Runs the benchmark and prints its report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = measure_all(options) => done,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    }
}

async fn measure_all(options: &Options) -> Result<()> {
    let scratch = options.setup.directory()?;
    let events = rows::events(rows::POOL)?;
    let mut databases = Vec::new();
    for (build, program) in options.builds() {
        let directory = scratch.path().join(build.name());
        progress(&format!("{build}: starting a PostgreSQL"));
        databases.push(Database { build, program, cluster: tracking_cluster(&directory).await?, directory });
    }
    let mut results = Results::default();
    for channel in Channel::selected(&options.only) {
        Box::pin(measure(options, channel, &mut databases, &events, &mut results)).await?;
    }
    table::print(options, &results)?;
    let faults = results.faults();
    ensure!(faults < 1.0, "{faults} events were lost or doubled");
    Ok(())
}

/// A build, and the PostgreSQL cluster in which its gateways store events.
struct Database<'a> {
    build: Build,
    program: &'a Path,
    cluster: (PrivatePostgres, Cluster),
    directory: std::path::PathBuf,
}

/// Starts a cluster in a directory. Its PostgreSQL records the commit time of each transaction.
async fn tracking_cluster(directory: &Path) -> Result<(PrivatePostgres, Cluster)> {
    let start = || anyhow::Ok(PrivatePostgres::start(DataDirLock::take(directory)?, true)?);
    let postgres = start()?;
    Cluster::of(directory).await?.track_commits().await?;
    drop(postgres);
    Ok((start()?, Cluster::of(directory).await?))
}

/// Measures all rounds with one channel between the gateways.
async fn measure(
    options: &Options,
    channel: Channel,
    databases: &mut [Database<'_>],
    events: &[ReceivedEvent],
    results: &mut Results,
) -> Result<()> {
    let server = if channel == Channel::Nats { Some(NatsServer::start().await?) } else { None };
    let nats = server.as_ref().map(NatsServer::url);
    let mut duos = Vec::new();
    for Database { build, program, cluster: (_, cluster), directory } in databases {
        progress(&format!("{build}, {channel}: starting two gateways"));
        let name = format!("gateways_{channel}");
        cluster.create_database(&name).await?;
        let url = cluster.url_of(&name)?;
        let home = directory.join(name);
        fs::create_dir(&home)?;
        duos.push((*build, GatewayPair::start(program, &home, url, nats.as_deref()).await?));
    }
    let rate = sustainable_rate(options.rate, events, &mut duos).await?;
    results.offered.insert(channel, rate);
    let load = Paced { rate, connections: CONNECTIONS, duration: Duration::from_secs(options.seconds) };
    for run in 1..=options.runs {
        for build in Build::order(run) {
            let Some((_, duo)) = duos.iter_mut().find(|(known, _)| *known == build) else { continue };
            for is_b_silent in [run.is_multiple_of(2), !run.is_multiple_of(2)] {
                let round = Round { load, subscribers: options.subscribers, is_b_silent };
                let case = Case { channel, is_b_silent };
                let measured = duo.measure(round, events).await.with_context(|| format!("{build}, {case}"))?;
                progress(&format!(
                    "run {run} of {}: {build}, {case}: {:.0} events/s, lag p99 {:.1} ms, longest silence {:.0} ms",
                    options.runs, measured.rate, measured.p99, measured.silence
                ));
                results.add(build, case, measured);
            }
        }
    }
    for (_, duo) in duos {
        duo.stop().await?;
    }
    Ok(())
}

/// Returns the rate at which events are offered: the wanted rate, or a lower one where the machine cannot sustain it.
async fn sustainable_rate(wanted: u32, events: &[ReceivedEvent], duos: &mut [(Build, GatewayPair)]) -> Result<u32> {
    let mut rate = wanted;
    for (build, duo) in duos {
        let trial = Paced { rate: wanted, connections: CONNECTIONS, duration: TRIAL_DURATION };
        // The first trial only warms up: the gateway opens connections, plans statements and creates partitions.
        duo.offer(trial, events).await?;
        let taken = duo.offer(trial, events).await?.rate();
        if taken < f64::from(wanted) * MET_SHARE {
            let least = (taken * SUSTAINABLE_SHARE / 10.0).floor().max(1.0) * 10.0;
            rate = rate.min(format!("{least:.0}").parse()?);
            progress(&format!("{build} takes {} single events/s on this machine, and not {wanted}", Thousands(taken)));
        }
    }
    Ok(rate)
}
