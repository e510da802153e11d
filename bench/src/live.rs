//! `bench live`: what it takes to push an event to many subscribers, beside a raw broadcast and what a team would write
//! by hand in Node.

mod against;
mod crowd;
mod follower;
mod idle;
pub(crate) mod peer;
pub(crate) mod raw;
mod results;
mod resume;
mod routing;
mod snapshot;
mod stopped;
mod storm;
mod stream;
mod table;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::comparison::Against;
use crate::gateway::Gateway;
use crate::load::{Identities, Load, Pace};
use crate::postgres::Cluster;
use crate::processor;
use crate::report::{count, progress};
use crate::rows;
use crate::setup::Setup;
use crowd::{Crowd, Heard};
use peer::Peer;
use results::{Frame, Measurement, Results};

/// The size of a run whose numbers count.
const FULL_RUNS: usize = 5;
const FULL_SECONDS: u64 = 4;
const FULL_SUBSCRIBERS: usize = 1_000;

/// Events a second where time is measured.
const PACE: u32 = 20;

/// How many times as long that is done: of few events, the slowest would be what is measured.
const PACED_FOR: u32 = 3;

/// More than all can be told of, by little: what is taken in besides takes from what can be told.
const TOO_MUCH: Pace = Pace { deliveries: 45, events: 100 };

/// Subscribers whose memory is measured.
const IDLE: usize = 10_000;

/// For how many seconds a tenth of the subscribers stops to read.
const STOPPED_SECONDS: u64 = 60;

/// Subscribers that are cut off at once.
const STORM: usize = 5_000;

/// Events a second to streams of server-sent events.
const STREAM_PACE: u32 = 50;

/// Different selections of fields in one measurement.
const SELECTIONS: usize = 50;

/// Seconds for which a reader keeps a snapshot open.
const SNAPSHOT_SECONDS: u64 = 600;

/// A comparison of the gateway with a raw broadcast, and the names that the table has for both.
#[derive(Clone, Copy, Debug)]
struct Case {
    gateway: &'static str,
    raw: &'static str,
    /// Server-sent events instead of WebSockets.
    streams: bool,
}

const SAME: Case = Case { gateway: "gateway", raw: "raw", streams: false };
const SELECTED: Case = Case { gateway: "gateway, 50 selections", raw: "raw, beside these", streams: false };
const STREAMED: Case = Case { gateway: "gateway, SSE", raw: "raw, SSE", streams: true };

/// Of how many messages one is looked at: of all where time is measured, and of few where they come as fast as can be.
const fn looked_at(rate: u32) -> usize {
    if rate == 0 { 61 } else { 1 }
}

/// What is measured, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them measures every case once.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes; three times as many where events come at a pace.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Subscribers with the same subscription.
    #[arg(long, value_name = "N", default_value_t = FULL_SUBSCRIBERS)]
    subscribers: usize,
    /// Idle subscribers whose memory is measured, and subscribers with as many different instances; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = IDLE)]
    idle: usize,
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    setup: Setup,
    /// Seconds for which a tenth of the subscribers stops to read; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = STOPPED_SECONDS)]
    stopped: u64,
    /// Subscribers that are cut off at once and come back; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = STORM)]
    storm: usize,
    /// Seconds for which a reader keeps a snapshot open; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = SNAPSHOT_SECONDS)]
    snapshot: u64,
    /// Leaves out the subscribers with different filters that resume at once.
    #[arg(long)]
    no_resume: bool,
    /// The directory of the servers in Node, their packages installed; those without are left out.
    #[arg(long, value_name = "DIR", default_value = "bench/peers")]
    peers: PathBuf,
}

impl Options {
    fn is_full(&self) -> bool {
        let is_long = self.runs >= FULL_RUNS && self.seconds >= FULL_SECONDS;
        let is_wide = self.subscribers >= FULL_SUBSCRIBERS && self.idle >= IDLE && self.storm >= STORM;
        let has_all = self.snapshot >= SNAPSHOT_SECONDS && !self.no_resume;
        is_long && is_wide && has_all && self.stopped >= STOPPED_SECONDS
    }
}

/// What a subscriber asks for: 12 scalars, as pages do.
const SUBSCRIPTION: &str = "subscription { syncEvents { events { id position uuid eventType published message version \
    severity outcome { result reason } org receivedAt user { alternateId } } } }";

/// The subscription at servers that send each event by itself.
const SINGLE_EVENTS: &str = "subscription { syncEvents { id position uuid eventType published message version \
    severity outcome { result reason } org receivedAt user { alternateId } } }";

/// The same for one instance.
const OF_INSTANCE: &str = "subscription ($instance: String!) { syncEvents(filter: {applicationInstances: \
    [$instance]}) { events { id position uuid eventType published message receivedAt } } }";

/// Returns documents that ask for the same fields in different orders and by different names, so that no two subscribers
/// of different documents can be sent the same answer.
fn selections() -> Vec<String> {
    const FIELDS: [&str; 10] = [
        "id",
        "uuid",
        "eventType",
        "published",
        "version",
        "severity",
        "outcome { result reason }",
        "org",
        "receivedAt",
        "user { alternateId }",
    ];
    let selection = |number: usize| {
        let mut fields = FIELDS;
        fields.rotate_left(number % FIELDS.len());
        let fields = fields.join(" ");
        format!("subscription {{ syncEvents {{ events {{ position m{number}: message {fields} }} }} }}")
    };
    (0..SELECTIONS).map(selection).collect()
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
    if let Some(other) = &options.against.against {
        return against::run(options, other, scratch.path(), &events).await;
    }
    progress("starting the gateway");
    let (gateway, cluster) = start(&options.setup.sluice, scratch.path()).await?;
    let mut bench = Bench {
        options,
        program: &options.setup.sluice,
        identities: Rc::new(Identities::starting_now()),
        events: &events,
        gateway: &gateway,
        cluster,
        scratch: scratch.path(),
        results: Results::default(),
    };
    bench.warm_up().await?;
    for run in 1..=options.runs {
        bench.round().await.with_context(|| format!("run {run}"))?;
        progress(&format!("run {run} of {} is done", options.runs));
    }
    if options.idle > 0 {
        bench.idle().await?;
        bench.routing().await?;
    }
    if options.stopped > 0 {
        stopped::measure(&mut bench).await.context("subscribers that stop to read")?;
    }
    if options.storm > 0 {
        storm::measure(&mut bench).await.context("subscribers that come back at once")?;
    }
    if !options.no_resume {
        resume::measure(&mut bench).await.context("subscribers that resume at once")?;
    }
    if options.snapshot > 0 {
        snapshot::measure(&mut bench).await.context("a reader that keeps a snapshot open")?;
    }
    let results = bench.results;
    let stopped = gateway.stop().await;
    table::print(options, &results)?;
    stopped
}

/// Starts a gateway whose PostgreSQL records the commit time of each transaction. Servers run on one processor and
/// clients on another: a child process inherits the affinity that the benchmark has when it starts the child.
async fn start(program: &Path, scratch: &Path) -> Result<(Gateway, Cluster)> {
    peer::run_on(0)?;
    let directory = scratch.join("gateway");
    let gateway = Gateway::start(program, scratch).await?;
    Cluster::of(&directory).await?.track_commits().await?;
    gateway.stop().await?;
    let gateway = Gateway::start(program, scratch).await?;
    let cluster = Cluster::of(&directory).await?;
    peer::run_on(1)?;
    Ok((gateway, cluster))
}

/// All that a measurement needs.
struct Bench<'a> {
    options: &'a Options,
    /// Path of the gateway's program.
    program: &'a Path,
    identities: Rc<Identities>,
    events: &'a [sluice::event::ReceivedEvent],
    gateway: &'a Gateway,
    cluster: Cluster,
    scratch: &'a Path,
    results: Results,
}

impl Bench<'_> {
    const fn duration(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    /// Sends some deliveries, after which the gateway has its partitions and statement plans.
    async fn warm_up(&self) -> Result<()> {
        let load = Load { events: 10, connections: 4, duration: Duration::from_secs(1) };
        load.send(self.gateway.address(), self.events, &self.identities).await?;
        Ok(())
    }

    async fn round(&mut self) -> Result<()> {
        for rate in [0, PACE] {
            // The one right after the other, as they share what disturbs the machine then.
            let frame = self.gateway_pushes(rate).await?;
            self.raw_broadcasts(SAME, rate, frame).await?;
            for name in ["async-graphql", "mercurius", "graphql-ws"] {
                self.peer_pushes(name, rate).await.context(name)?;
            }
        }
        let frame = self.gateway_pushes_selections().await?;
        self.raw_broadcasts(SELECTED, 0, frame).await?;
        let frame = self.gateway_streams().await?;
        self.raw_broadcasts(STREAMED, STREAM_PACE, frame).await?;
        Ok(())
    }

    /// Measures subscribers with the same subscription. Returns the average message.
    async fn gateway_pushes(&mut self, rate: u32) -> Result<Frame> {
        let address = self.gateway.address();
        // New ones: those of before may still be behind.
        let crowd = Crowd::gather(address, self.options.subscribers, SUBSCRIPTION, |_| None).await?;
        self.gateway_feeds(SAME, rate, crowd).await
    }

    /// Measures subscribers with different selections of fields, for each of which an event is rendered once.
    async fn gateway_pushes_selections(&mut self) -> Result<Frame> {
        let crowd = Crowd::gather_by(self.gateway.address(), self.options.subscribers, &selections()).await?;
        self.gateway_feeds(SELECTED, 0, crowd).await
    }

    /// Measures subscribers by server-sent events.
    async fn gateway_streams(&mut self) -> Result<Frame> {
        let (address, subscribers) = (self.gateway.address(), self.options.subscribers);
        let crowd = Crowd::gather_streams(address, subscribers, SUBSCRIPTION, &Value::Null).await?;
        self.gateway_feeds(STREAMED, STREAM_PACE, crowd).await
    }

    async fn gateway_feeds(&mut self, case: Case, rate: u32, crowd: Crowd) -> Result<Frame> {
        let mut crowd = crowd.acknowledged().await?;
        crowd.settle().await?;
        let address = self.gateway.address();
        let measured = self.hear(&mut crowd, self.gateway.process()?, rate, Some(address), None).await?;
        self.results.add(case.gateway, rate, measured);
        Ok(measured.frame)
    }

    /// Measures a raw broadcast of frames of this size, each of which counts for as many events.
    async fn raw_broadcasts(&mut self, case: Case, rate: u32, frame: Frame) -> Result<()> {
        peer::run_on(0)?;
        let raw = Peer::raw(rate, frame.bytes, case.streams).await?;
        peer::run_on(1)?;
        let (address, subscribers) = (raw.address(), self.options.subscribers);
        let crowd = if case.streams {
            Crowd::gather_streams(address, subscribers, SUBSCRIPTION, &Value::Null).await?
        } else {
            Crowd::gather(address, subscribers, SUBSCRIPTION, |_| None).await?
        };
        let mut crowd = crowd.begun().await;
        // What was sent while they gathered.
        crowd.hear(Duration::from_secs(1), looked_at(rate)).await?;
        let measured = self.hear(&mut crowd, raw.process()?, rate, None, Some(frame)).await?;
        self.results.add(case.raw, rate, measured);
        drop(crowd);
        raw.stop().await
    }

    async fn peer_pushes(&mut self, name: &'static str, rate: u32) -> Result<()> {
        // Only while it is measured: it reads what the gateway stores, whether anybody subscribes or not.
        peer::run_on(0)?;
        let started = if name == "async-graphql" {
            Peer::rust(self.cluster.url(), self.scratch).await
        } else {
            Peer::node(&self.options.peers.join(name), self.cluster.url(), self.scratch).await
        };
        peer::run_on(1)?;
        let Some(peer) = started? else { return Ok(()) };
        let crowd = Crowd::gather(peer.address(), self.options.subscribers, SINGLE_EVENTS, |_| None).await?;
        let mut crowd = crowd.begun().await;
        let measured = self.hear(&mut crowd, peer.process()?, rate, Some(self.gateway.address()), None).await?;
        self.results.add(name, rate, measured);
        drop(crowd);
        peer.stop().await
    }

    /// What a crowd hears of a server for a while: of events that are sent to the gateway, at a pace or more than all can be
    /// told of, or of the frames that the server makes itself.
    async fn hear(
        &mut self,
        crowd: &mut Crowd,
        process: u32,
        rate: u32,
        gateway: Option<SocketAddr>,
        made: Option<Frame>,
    ) -> Result<Measurement> {
        let duration = if rate == 0 { self.duration() } else { self.duration() * PACED_FOR };
        let Self { cluster, events, identities, .. } = self;
        let load = async {
            let Some(address) = gateway else { return Ok(()) };
            let pace = if rate == 0 { TOO_MUCH } else { Pace::of_single(rate) };
            Load::send_at(address, events, identities, pace, duration).await
        };
        let before = processor::of_process(process)?;
        let (heard, loaded, flush) =
            tokio::join!(crowd.hear(duration, looked_at(rate)), load, cluster.watch_flushes(duration));
        let spent = processor::of_process(process)?.saturating_sub(before);
        loaded?;
        let heard = heard?;
        if heard.messages == 0 || (made.is_none() && heard.events == 0) {
            bail!("nobody heard anything");
        }
        let frame = made.unwrap_or_else(|| Frame {
            bytes: heard.bytes / heard.messages,
            events: count(heard.events) / count(heard.messages),
        });
        let latencies = self.latencies(&heard, flush?).await?;
        Ok(Measurement::new(heard.messages, frame, heard.elapsed, spent, &latencies))
    }

    /// Returns the latencies in ascending order: from when an event's commit was durable, or a frame was made, to its
    /// receipt. PostgreSQL does not report the flush of each single commit, so the caller gives an estimate. A
    /// comparison of two builds does not subtract it: both wait for the same disk, and a ratio of such differences
    /// would say nothing.
    async fn latencies(&mut self, heard: &Heard, flush: Duration) -> Result<Vec<Duration>> {
        let Some((first, last)) = heard.events() else { return Ok(heard.latencies(&HashMap::new())) };
        let flush = if self.options.against.against.is_some() { Duration::ZERO } else { flush };
        self.results.flushes.push(flush);
        let mut commits = self.cluster.commits(first, last).await?;
        for commit in commits.values_mut() {
            *commit += flush;
        }
        Ok(heard.latencies(&commits))
    }
}
