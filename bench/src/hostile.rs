//! `bench hostile`: what one client of a gateway can do to the others. A reader, a hook, a subscriber and a probe are
//! measured alone, and then during each attack.

mod attack;
mod table;
mod victims;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sluice::event::{EventColumn, ReceivedEvent, Timestamp};
use tokio::time::sleep;

use crate::gateway::{Gateway, HOOK_SECRET};
use crate::postgres::Cluster;
use crate::read::seed;
use crate::report::{millis, percentile, progress};
use crate::rows;
use crate::setup::Setup;
use attack::{Attack, Plan};
use table::Results;
use victims::{Felt, Victims};

/// Size of a run whose numbers count as results.
const FULL_RUNS: usize = 3;
const FULL_SECONDS: u64 = 10;
const FULL_EVENTS: usize = 100_000;

/// Tokens of the reader that attacks, and of the reader that is measured.
const GREEDY_TOKEN: &str = "the-token-of-the-greedy-reader";
const OTHER_TOKEN: &str = "the-token-of-the-other-reader";

/// Days over which the events of the log are spread.
const DAYS: i64 = 90;

/// Time that an attack has to unfold before it is measured, and the gateway to recover from it.
const SETTLING: Duration = Duration::from_secs(2);

/// Settings of the gateway. Few connections, so that one client can take all of them.
const SETTINGS: &str = r#"
[[orgs]]
name = "default"
event_types = ["*"]
hook_secrets = ["env:SLUICE_HOOK_SECRET"]

[[readers]]
name = "greedy"
token = "env:GREEDY_TOKEN"

[[readers]]
name = "other"
token = "env:OTHER_TOKEN"

[limits]
connections = "#;

/// Options of the benchmark: its attacks, their sizes and their duration.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them measures the clients once without an attack, and once during each attack.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = FULL_EVENTS)]
    events: usize,
    /// Make only these attacks: queries, lists, bodies, sockets, tokens, batches.
    #[arg(long, value_name = "ATTACK", value_delimiter = ',')]
    only: Vec<Attack>,
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    setup: Setup,
}

/// Sizes of the attacks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Clients that send lists, wrong tokens or large deliveries.
    #[arg(long, value_name = "N", default_value_t = 8)]
    clients: usize,
    /// Heavy queries at once.
    #[arg(long, value_name = "N", default_value_t = 32)]
    queries: usize,
    /// Instances in each list.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    list: usize,
    /// Unfinished bodies.
    #[arg(long, value_name = "N", default_value_t = 300)]
    bodies: usize,
    /// Bytes of an unfinished body.
    #[arg(long, value_name = "BYTES", default_value_t = 950_000)]
    body_bytes: usize,
    /// Silent sockets; the gateway accepts as many connections.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    silent_sockets: usize,
    /// Bytes of a large delivery.
    #[arg(long, value_name = "BYTES", default_value_t = 2_400_000)]
    batch_bytes: usize,
}

impl Options {
    fn is_full(&self) -> bool {
        self.runs >= FULL_RUNS
            && self.seconds >= FULL_SECONDS
            && self.events >= FULL_EVENTS
            && self.only.is_empty()
            && self.sizes.is_full()
    }
}

impl Sizes {
    const fn is_full(&self) -> bool {
        self.clients >= 8
            && self.queries >= 32
            && self.list >= 1_000
            && self.bodies >= 300
            && self.body_bytes >= 950_000
            && self.silent_sockets >= 1_000
            && self.batch_bytes >= 2_400_000
    }
}

/// Runs the benchmark and prints its report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = Box::pin(measure_all(options)) => done,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    }
}

async fn measure_all(options: &Options) -> Result<()> {
    let scratch = options.setup.directory()?;
    let (gateway, mut cluster) = prepare(options, scratch.path()).await?;
    let (event, others) = events()?;
    let plan = Plan { address: gateway.address(), sizes: options.sizes.clone(), events: others };
    let mut victims = Victims::new(&gateway, &event)?;
    let mut results = Results::default();
    // The first measurement warms up.
    victims.feel(&mut cluster, SETTLING).await?;
    for run in 1..=options.runs {
        let duration = Duration::from_secs(options.seconds);
        cluster.checkpoint().await?;
        let quiet = victims.feel(&mut cluster, duration).await?;
        tell(options, run, "quiet", &quiet);
        results.quiet.push(quiet);
        for attack in Attack::selected(&options.only) {
            cluster.checkpoint().await?;
            let attackers = attack.start(plan.clone())?;
            sleep(SETTLING).await;
            let felt = victims.feel(&mut cluster, duration).await;
            let deeds = attackers.stop()?;
            let felt = felt.with_context(|| format!("during the attack {attack}"))?;
            tell(options, run, attack.name(), &felt);
            results.attacked.entry(attack).or_default().push((felt, deeds));
            sleep(SETTLING).await;
        }
    }
    gateway.stop().await?;
    table::print(options, &results)
}

/// Fills a log, and starts a gateway over it.
async fn prepare(options: &Options, directory: &Path) -> Result<(Gateway, Cluster)> {
    let until = Timestamp::now();
    let from = until.plus(-time::Duration::days(DAYS));
    seed::import(&options.setup.sluice, directory, options.events, from, until).await?;
    fs::write(directory.join("sluice.toml"), format!("{SETTINGS}{}\n", options.sizes.silent_sockets))?;
    let variables = [("GREEDY_TOKEN", GREEDY_TOKEN), ("OTHER_TOKEN", OTHER_TOKEN), ("SLUICE_HOOK_SECRET", HOOK_SECRET)];
    let mut gateway = Gateway::start_with(&options.setup.sluice, directory, &variables).await?;
    let data = directory.join("gateway");
    let mut cluster = Cluster::of(&data).await?;
    cluster.track_commits().await?;
    sqlx::raw_sql("VACUUM (ANALYZE)").execute(cluster.connection()).await?;
    drop(cluster);
    // PostgreSQL begins to track commits when it starts again.
    gateway.restart().await?;
    Ok((gateway, Cluster::of(&data).await?))
}

/// Returns the event that the measured hook delivers, and events of other application instances.
fn events() -> Result<(ReceivedEvent, Vec<ReceivedEvent>)> {
    let instance = |event: &ReceivedEvent| event.occurrence.text(EventColumn::InstanceId).map(str::to_owned);
    let mut events = rows::events(rows::POOL)?;
    let first = events.iter().position(|event| instance(event).is_some());
    let event = events.swap_remove(first.context("no event has an application instance")?);
    events.retain(|other| instance(other) != instance(&event));
    Ok((event, events))
}

fn tell(options: &Options, run: usize, case: &str, felt: &Felt) {
    progress(&format!(
        "run {run} of {}: {case}: reader p95 {:.1} ms, lag p99 {:.1} ms, hook p99 {:.1} ms, {} of {} probes not ready",
        options.runs,
        millis(percentile(&felt.reader.latencies, 95)),
        millis(percentile(&felt.lags, 99)),
        millis(percentile(&felt.hook.latencies, 99)),
        felt.ready.failed,
        felt.ready.latencies.len(),
    ));
}
