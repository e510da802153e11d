//! `bench read`: pages of events a second, beside the same SQL alone and beside what a team would write by hand in Node.

mod against;
mod aggregate;
mod asking;
mod data;
mod document;
mod hand_written;
mod limit;
mod lists;
mod question;
mod results;
pub(crate) mod seed;
mod server;
mod statements;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::comparison::Against;
use crate::gateway::Gateway;
use crate::pgbench::Pgbench;
use crate::postgres::Cluster;
use crate::report::progress;
use crate::setup::Setup;
use aggregate::Aggregates;
use data::Data;
use hand_written::HandWritten;
use lists::Lists;
use question::{Peer, Place, Question};
use results::{Measurement, Results};
use server::{Pages, Server, postgres};

/// The size of a run whose numbers count.
const FULL_RUNS: usize = 5;
const FULL_SECONDS: u64 = 4;
const FULL_EVENTS: usize = 1_000_000;

/// Default number of events in the log of lists.
const LIST_EVENTS: u32 = 300_000;

/// Default number of months over which the events are spread.
const MONTHS: i64 = 12;

/// What is measured, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = FULL_EVENTS, value_parser = events)]
    events: usize,
    /// Months until now over which the events are spread. Each month is one partition of `sync_event`.
    #[arg(long, value_name = "N", default_value_t = MONTHS, value_parser = clap::value_parser!(i64).range(1..=240))]
    months: i64,
    /// Events in the log of the cases of lists and rights, which has 2,000 instances.
    #[arg(long, value_name = "N", default_value_t = LIST_EVENTS, value_parser = clap::value_parser!(u32).range(150_000..))]
    list_events: u32,
    /// Rounds; each of them measures every case once.
    #[arg(long, value_name = "N", default_value_t = FULL_RUNS)]
    runs: usize,
    /// Seconds that each measurement takes.
    #[arg(long, value_name = "N", default_value_t = FULL_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these: first-16 (the first page of an instance, 16 connections), deep-1, line-1, line-deep-16,
    /// activity-year, top, list-1000 and the like, separated by commas.
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<Question>,
    /// Directory that keeps the log for later runs with the same --events and --months, instead of a temporary one
    /// below --scratch. A missing directory is created; the user postgres must be able to reach its parents. With
    /// --against, the other build's log is kept in DIR-against.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The --data of a run with fewer events: its first and deep pages are asked for as well, in the same rounds.
    #[arg(long, value_name = "DIR", conflicts_with = "against")]
    beside: Option<PathBuf>,
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    setup: Setup,
    /// The mercurius server, its packages installed.
    #[arg(long, value_name = "DIR", default_value = "bench/peers/mercurius")]
    mercurius: PathBuf,
}

impl Options {
    fn is_full(&self) -> bool {
        let is_long = self.runs >= FULL_RUNS && self.seconds >= FULL_SECONDS;
        self.only.is_empty()
            && is_long
            && self.events >= FULL_EVENTS
            && self.list_events >= LIST_EVENTS
            && self.months == MONTHS
    }
}

/// With fewer events the popular instances have no deep pages.
fn events(text: &str) -> Result<usize, String> {
    let events = text.replace('_', "").parse().map_err(|_| "not a number".to_owned())?;
    if events < 10_000 { Err("at least 10000".to_owned()) } else { Ok(events) }
}

/// Runs the benchmark and prints what it gave.
pub(crate) async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = seed_and_measure(options) => done,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    }
}

async fn seed_and_measure(options: &Options) -> Result<()> {
    let sluice = &options.setup.sluice;
    let mut subjects = vec![Subject::start(Peer::Gateway, Data::prepare(options).await?, sluice).await?];
    let beside = match (&options.beside, &options.against.against) {
        (Some(directory), _) => Some((Peer::Beside, Data::kept(options, directory).await?, sluice)),
        (None, Some(other)) => Some((Peer::Against, subjects[0].data.of_other_build(options, other).await?, other)),
        (None, None) => None,
    };
    if let Some((peer, data, program)) = beside {
        subjects.push(Subject::start(peer, data, program).await?);
    }
    let measured = match &mut subjects[..] {
        [this, other] if other.peer == Peer::Against => against::measure(options, this, other).await,
        subjects => measure(options, subjects).await,
    };
    for subject in subjects {
        let stopped = subject.gateway.stop().await;
        if measured.is_ok() {
            stopped?;
        }
    }
    table::print(options, &measured?)
}

/// A gateway and its log.
struct Subject {
    peer: Peer,
    data: Data,
    gateway: Gateway,
}

async fn measure(options: &Options, subjects: &[Subject]) -> Result<Results> {
    let mut bench = Bench::new(Duration::from_secs(options.seconds));
    let questions = Question::selected(&options.only);
    let (main, beside) = subjects.split_first().context("there is no gateway")?;
    let mut cluster = main.cluster().await?;
    progress("starting what a team would write by hand");
    let scratch = main.data.directory();
    let mercurius = HandWritten::mercurius(&options.mercurius, cluster.url(), scratch).await?;
    let async_graphql = HandWritten::async_graphql(cluster.url(), scratch).await?;
    bench.servers.insert(Peer::Gateway, main.server(&mut cluster).await?);
    bench.servers.insert(Peer::Mercurius, mercurius.server(cluster.postmaster().await?)?);
    bench.servers.insert(Peer::AsyncGraphql, async_graphql.server(cluster.postmaster().await?)?);
    bench.prepare(&mut cluster, &questions, &main.data).await?;
    for subject in beside {
        bench.prepare_beside(subject, &questions).await?;
    }
    let mut aggregates = Aggregates::prepare(&questions, main.gateway.address(), &mut cluster, &main.data).await?;
    let mut results = Results::default();
    results.depths = bench.depths();
    results.missing = aggregates.missing();
    let mut lists = Lists::start(&questions, options, &options.setup.sluice, true).await?;
    bench.warm_up(&questions).await?;
    cluster.checkpoint().await?;
    for run in 1..=options.runs {
        for question in &questions {
            let measured = match question {
                Question::Page { .. } => bench.measure(*question).await,
                Question::Aggregate(name) => {
                    aggregates.measure(name, bench.duration, &bench.servers[&Peer::Gateway]).await
                }
                Question::List(name) => match &mut lists {
                    Some(lists) => lists.measure(name, bench.duration).await,
                    None => Ok(Vec::new()),
                },
            };
            for (peer, measurement) in measured.with_context(|| question.to_string())? {
                let rate = measurement.rate;
                progress(&format!("run {run} of {}: {question}: {peer}: {rate:.0} answers/s", options.runs));
                results.add(*question, peer, measurement);
            }
        }
    }
    results.ordinary_events = main.gateway.metric("sluice_events_ordinary_total").await?;
    mercurius.stop().await?;
    async_graphql.stop().await?;
    if let Some(lists) = lists {
        lists.stop().await?;
    }
    Ok(results)
}

impl Subject {
    async fn start(peer: Peer, data: Data, program: &Path) -> Result<Self> {
        progress(&format!("starting the {peer}"));
        let gateway = Gateway::start(program, data.directory()).await?;
        Ok(Self { peer, data, gateway })
    }

    async fn cluster(&self) -> Result<Cluster> {
        Cluster::of(&self.data.directory().join("gateway")).await
    }

    async fn server(&self, cluster: &mut Cluster) -> Result<Server> {
        let (address, process) = (self.gateway.address(), self.gateway.process()?);
        Ok(Server { name: "the gateway", address, process, postmaster: cluster.postmaster().await? })
    }
}

/// All that a measurement needs.
struct Bench {
    duration: Duration,
    servers: BTreeMap<Peer, Server>,
    /// What each server is asked at each place.
    pages: BTreeMap<(Peer, Place), Pages>,
    /// The same SQL, by pgbench.
    limits: BTreeMap<Place, Pgbench>,
}

impl Bench {
    const fn new(duration: Duration) -> Self {
        Self { duration, servers: BTreeMap::new(), pages: BTreeMap::new(), limits: BTreeMap::new() }
    }

    /// Finds out what to ask, that all answer the same, and which statements the gateway sends.
    async fn prepare(&mut self, cluster: &mut Cluster, questions: &[Question], data: &Data) -> Result<()> {
        let popular = cluster.popular_instances(question::POPULAR).await?;
        for place in Place::asked_in(questions) {
            progress(&format!("{place}: asking for the pages once"));
            let spots = place.spots(&popular, data.events());
            let gateway = self.servers[&Peer::Gateway].prepare(&spots).await?;
            for peer in [Peer::Mercurius, Peer::AsyncGraphql] {
                if place.peers().contains(&peer) {
                    let by_hand = self.servers[&peer].prepare(&spots).await?;
                    gateway.check_same(&by_hand).with_context(|| peer.to_string())?;
                    self.pages.insert((peer, place), by_hand);
                }
            }
            let statements = statements::of(&gateway, self.servers[&Peer::Gateway].address, cluster).await?;
            let scripts = limit::write(place, &gateway.spots, &statements, data.directory())?;
            self.limits.insert(place, Pgbench::new(scripts, cluster.url())?.with_settings(limit::SETTINGS));
            self.pages.insert((Peer::Gateway, place), gateway);
        }
        Ok(())
    }

    /// Finds out what to ask of the gateway of another log.
    async fn prepare_beside(&mut self, subject: &Subject, questions: &[Question]) -> Result<()> {
        let mut cluster = subject.cluster().await?;
        let server = subject.server(&mut cluster).await?;
        let popular = cluster.popular_instances(question::POPULAR).await?;
        for place in Place::asked_in(questions).into_iter().filter(|place| place.peers().contains(&subject.peer)) {
            progress(&format!("{place}, {}: asking for the pages once", subject.peer));
            let pages = server.prepare(&place.spots(&popular, subject.data.events())).await?;
            self.pages.insert((subject.peer, place), pages);
        }
        self.servers.insert(subject.peer, server);
        Ok(())
    }

    /// How many pages deep the deep ones are: the least and the greatest of each place.
    fn depths(&self) -> Vec<(Place, usize, usize)> {
        let gateway = self.pages.iter().filter(|((peer, place), _)| *peer == Peer::Gateway && place.is_deep());
        gateway.map(|((_, place), pages)| (*place, pages.least_depth(), pages.greatest_depth())).collect()
    }

    /// Has the servers open their connections, and Node compile what runs often.
    async fn warm_up(&self, questions: &[Question]) -> Result<()> {
        progress("warming up");
        for ((peer, place), pages) in &self.pages {
            let connections = questions.iter().filter_map(|question| question.connections_at(*place));
            for connections in connections {
                self.servers[peer].ask(pages, connections, self.duration.min(Duration::from_secs(2))).await?;
            }
        }
        Ok(())
    }

    async fn measure(&self, question: Question) -> Result<Vec<(Peer, Measurement)>> {
        let Question::Page { place, connections } = question else { bail!("{question} is no page") };
        let mut measured = Vec::new();
        for peer in place.peers() {
            let measurement = if *peer == Peer::Pgbench {
                let postmaster = self.servers[&Peer::Gateway].postmaster;
                let before = postgres(postmaster).await?;
                let told = self.limits[&place].run(connections, self.duration).await?;
                Measurement::of_pgbench(told, postgres(postmaster).await?.saturating_sub(before))
            } else if self.pages.contains_key(&(*peer, place)) {
                self.ask(*peer, place, connections).await?
            } else {
                continue;
            };
            measured.push((*peer, measurement));
        }
        Ok(measured)
    }

    /// Asks a server for the pages of a place for the duration of a measurement.
    async fn ask(&self, peer: Peer, place: Place, connections: usize) -> Result<Measurement> {
        let pages =
            self.pages.get(&(peer, place)).with_context(|| format!("{peer} was not asked for {place} before"))?;
        let server = &self.servers[&peer];
        let before = server.usage().await?;
        let asked = server.ask(pages, connections, self.duration).await?;
        Ok(Measurement::of_load(&asked, server.usage().await?.since(before)))
    }
}
