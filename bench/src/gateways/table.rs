//! The report of `bench gateways`: a table, the targets, and the definitions of its figures.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::thread::available_parallelism;

use anyhow::Result;

use super::{FULL_RATE, FULL_RUNS, FULL_SECONDS, FULL_SUBSCRIBERS, MET_SHARE, Options};
use crate::comparison::{self, Build, Figure};
use crate::report::{Spread, Thousands, told};
use crate::target::{self, Bound, Target};

/// The channel by which the gateways notify each other of new events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    /// The database alone.
    Postgres,
    /// NATS, in addition to the database.
    Nats,
}

/// A case: the channel between the gateways, and whether B stores events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) channel: Channel,
    pub(super) is_b_silent: bool,
}

/// Figures of one measurement; times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Events a second that A stored.
    pub(super) rate: f64,
    /// Events a second that B stored.
    pub(super) b_rate: f64,
    /// Commits a second of both gateways. Each commit may hold the events of several concurrent deliveries.
    pub(super) commits: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The p50 and the p99 of the lag including the flush to disk, for comparisons of two builds. `p50` and `p99` have
    /// an estimate of the flush subtracted, and a ratio of such differences would say nothing.
    pub(super) with_flush: [f64; 2],
    /// The longest time between two events of one subscriber.
    pub(super) silence: f64,
    pub(super) lost: f64,
    pub(super) doubled: f64,
}

/// Measurements of all rounds.
#[derive(Debug, Default)]
pub(super) struct Results {
    this: BTreeMap<Case, Vec<Measurement>>,
    other: BTreeMap<Case, Vec<Measurement>>,
    /// The rate at which events were offered to A.
    pub(super) offered: BTreeMap<Channel, u32>,
}

impl Channel {
    const ALL: [Self; 2] = [Self::Postgres, Self::Nats];

    /// Returns the listed channels, or all of them where the list is empty.
    pub(super) fn selected(only: &[Self]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|channel| only.is_empty() || only.contains(channel)).collect()
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Nats => "nats",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|channel| channel.name() == text);
        found.ok_or_else(|| "there are postgres and nats".to_owned())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = if self.is_b_silent { "B silent" } else { "B sends" };
        formatter.pad(&format!("{}, {others}", self.channel))
    }
}

impl Results {
    pub(super) fn add(&mut self, build: Build, case: Case, measurement: Measurement) {
        let results = match build {
            Build::This => &mut self.this,
            Build::Other => &mut self.other,
        };
        results.entry(case).or_default().push(measurement);
    }

    /// Returns one figure of this build's measurements of a case, one value for each round.
    fn values(&self, case: Case, value: fn(&Measurement) -> f64) -> Vec<f64> {
        self.this.get(&case).into_iter().flatten().map(value).collect()
    }

    /// Returns the ratios of a figure while B stores events to the same figure while B is silent.
    fn ratio(&self, channel: Channel, value: fn(&Measurement) -> f64) -> Option<Spread> {
        let of = |is_b_silent| self.values(Case { channel, is_b_silent }, value);
        Spread::of_ratios(&of(false), &of(true))
    }

    /// Returns the sum of a figure over all of this build's measurements with a channel.
    fn sum(&self, channel: Channel, value: fn(&Measurement) -> f64) -> Option<Spread> {
        let cases = [true, false].map(|is_b_silent| self.values(Case { channel, is_b_silent }, value));
        let values = cases.concat();
        (!values.is_empty()).then(|| Spread::of([values.iter().sum()])).flatten()
    }
}

impl Results {
    /// Returns the number of events that this build lost or delivered twice, over all measurements.
    pub(super) fn faults(&self) -> f64 {
        self.this.values().flatten().map(|one| one.lost + one.doubled).sum()
    }
}

/// Prints the report to standard output.
pub(super) fn print(options: &Options, results: &Results) -> Result<()> {
    let mut output = io::stdout().lock();
    let cores = available_parallelism().map_or(0, usize::from);
    writeln!(
        output,
        "gateways: A is offered {} single events/s, B none or one per 50 ms; {} subscribers at A; medians of {} runs of \
         {} s; {cores} cores",
        Thousands(f64::from(options.rate)),
        options.subscribers,
        options.runs,
        options.seconds
    )?;
    let is_less = results.offered.values().any(|offered| *offered < options.rate);
    if !options.is_full() || is_less {
        writeln!(
            output,
            "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {FULL_SECONDS} s of all cases at {FULL_RATE} events/s \
             with {FULL_SUBSCRIBERS} subscribers"
        )?;
    }
    for (channel, offered) in results.offered.iter().filter(|(_, offered)| **offered < options.rate) {
        writeln!(output, "{channel}: the machine does not take {} events/s; {offered} are offered", options.rate)?;
    }
    writeln!(output)?;
    write_table(&mut output, results)?;
    writeln!(output)?;
    target::write(&mut output, &targets(results))?;
    writeln!(
        output,
        "\nlag: from when an event's commit was durable (as PostgreSQL tells it) to its receipt, of all events of A and B\n\
         at all subscribers of A. silence: the longest time between two events at any of them. lost, doubled: of what\n\
         each subscriber had to get, over all runs. nats: B publishes. Ratios are medians of the runs' own."
    )?;
    if options.against.against.is_some() {
        writeln!(output)?;
        comparison::write(&mut output, &figures(&results.this), &figures(&results.other))?;
        writeln!(output, "The lags of this table include the wait for the disk.")?;
    }
    Ok(())
}

fn write_table(output: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(
        output,
        "{:20}{:>10}{:>9}{:>8}{:>11}{:>12}{:>12}{:>16}{:>12}{:>8}{:>9}",
        "case",
        "A's ev/s",
        "offered",
        "B's",
        "commits/s",
        "lag p50 ms",
        "lag p99 ms",
        "least–greatest",
        "silence ms",
        "lost",
        "doubled"
    )?;
    for (case, measured) in &results.this {
        let of = |value: fn(&Measurement) -> f64| Spread::of(measured.iter().map(value));
        let sum = |value: fn(&Measurement) -> f64| Thousands(measured.iter().map(value).sum()).to_string();
        let whole =
            |spread: Option<Spread>| spread.map_or_else(String::new, |spread| Thousands(spread.median).to_string());
        let tail = of(|one| one.p99).map_or_else(String::new, |one| format!("{:.1}–{:.1}", one.least, one.greatest));
        writeln!(
            output,
            "{case:20}{:>10}{:>9}{:>8}{:>11}{:>12}{:>12}{tail:>16}{:>12}{:>8}{:>9}",
            whole(of(|one| one.rate)),
            results.offered.get(&case.channel).map_or_else(String::new, ToString::to_string),
            told(of(|one| one.b_rate)),
            whole(of(|one| one.commits)),
            told(of(|one| one.p50)),
            told(of(|one| one.p99)),
            told(of(|one| one.silence)),
            sum(|one| one.lost),
            sum(|one| one.doubled),
        )?;
    }
    Ok(())
}

fn targets(results: &Results) -> Vec<Target> {
    let target = |what, reached, bound| Target { what, reached, bound };
    let texts = [
        (
            Channel::Postgres,
            "postgres: part of the offered rate that A took",
            "postgres: lag p99, of that while B is silent",
            "postgres: longest silence, of that while B is silent",
            "postgres: events lost or doubled",
        ),
        (
            Channel::Nats,
            "nats: part of the offered rate that A took",
            "nats: lag p99, of that while B is silent",
            "nats: longest silence, of that while B is silent",
            "nats: events lost or doubled",
        ),
    ];
    let each = texts.into_iter().flat_map(|(channel, rate, lag, silence, faults)| {
        let offered = results.offered.get(&channel).map_or(f64::NAN, |offered| f64::from(*offered));
        let rates = [true, false].map(|is_b_silent| results.values(Case { channel, is_b_silent }, |one| one.rate));
        [
            target(rate, Spread::of(rates.concat().iter().map(|rate| rate / offered)), Bound::AtLeast(MET_SHARE)),
            target(lag, results.ratio(channel, |one| one.p99), Bound::AtMost(5.0)),
            target(silence, results.ratio(channel, |one| one.silence), Bound::AtMost(3.0)),
            target(faults, results.sum(channel, |one| one.lost + one.doubled), Bound::AtMost(0.0)),
        ]
    });
    each.collect()
}

/// Returns the figures by which two builds are compared.
fn figures(results: &BTreeMap<Case, Vec<Measurement>>) -> Vec<Figure> {
    let of_case = results.iter().flat_map(|(case, measured)| {
        let of = |value: fn(&Measurement) -> f64| measured.iter().map(value).collect();
        [
            Figure::rate(case, "A's events/s", of(|one| one.rate)),
            Figure::cost(case, "lag p50 ms", of(|one| one.with_flush[0])),
            Figure::cost(case, "lag p99 ms", of(|one| one.with_flush[1])),
            Figure::cost(case, "silence ms", of(|one| one.silence)),
            Figure::cost(case, "lost or doubled", of(|one| one.lost + one.doubled)),
        ]
    });
    of_case.collect()
}
