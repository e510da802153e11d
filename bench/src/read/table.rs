//! The report of `bench read`: a table, the targets, and what it stands on.

use std::io::{self, Write};
use std::thread::available_parallelism;

use anyhow::Result;

use super::lists::{ALL_RIGHTS, CASES, WIDE_RIGHTS};
use super::question::{Peer, Place, Question, page};
use super::results::{Measurement, Results};
use super::{FULL_EVENTS, FULL_RUNS, FULL_SECONDS, Options};
use crate::comparison;
use crate::report::{Spread, Thousands, count, told};
use crate::target::{self, Bound, Target};

/// Prints the report to standard output.
pub(super) fn print(options: &Options, results: &Results) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options)?;
    writeln!(output)?;
    if options.against.against.is_some() {
        comparison::write(&mut output, &results.figures(Peer::Gateway), &results.figures(Peer::Against))?;
        return Ok(write_differences(&mut output, results)?);
    }
    write_table(&mut output, results)?;
    writeln!(output)?;
    target::write(&mut output, &targets(results))?;
    writeln!(output)?;
    write_notes(&mut output, options, results)?;
    Ok(())
}

fn write_head(output: &mut impl Write, options: &Options) -> io::Result<()> {
    let cores = available_parallelism().map_or(0, usize::from);
    let (events, runs, seconds) = (Thousands(count(options.events)), options.runs, options.seconds);
    writeln!(
        output,
        "read: pages of 50 out of {events} events of 200 instances in {} months; medians of {runs} runs of {seconds} s; {cores} cores",
        options.months
    )?;
    if !options.is_full() {
        let full = Thousands(count(FULL_EVENTS));
        writeln!(
            output,
            "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {FULL_SECONDS} s of every case on {full} events"
        )?;
    }
    Ok(())
}

fn write_table(output: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(
        output,
        "{:14}{:14}{:>10}{:>16}{:>14}{:>12}{:>9}{:>9}{:>9}{:>11}{:>12}",
        "case",
        "who",
        "answers/s",
        "least–greatest",
        "of mercurius",
        "of SQL",
        "mean ms",
        "p50 ms",
        "p99 ms",
        "server µs",
        "postgres µs"
    )?;
    for (question, peer) in results.keys() {
        let rates = results.values(question, peer, |measured| measured.rate);
        let Some(rate) = Spread::of(rates.iter().copied()) else { continue };
        let of = |reference: Peer| match peer {
            Peer::Gateway => {
                let references = results.values(question, reference, |measured| measured.rate);
                told(Spread::of_ratios(&rates, &references))
            }
            _ => told(None),
        };
        let sql = if matches!(question, Question::Page { .. }) { Peer::Pgbench } else { Peer::Hand };
        let median = |value: fn(&Measurement) -> Option<f64>| Spread::of(results.known(question, peer, value));
        let micros = |value: Option<Spread>| value.map_or_else(|| told(None), |spread| format!("{:.0}", spread.median));
        writeln!(
            output,
            "{question:14}{peer:14}{:>10}{:>16}{:>14}{:>12}{:>9}{:>9}{:>9}{:>11}{:>12}",
            Thousands(rate.median),
            format!("{}–{}", Thousands(rate.least), Thousands(rate.greatest)),
            of(Peer::Mercurius),
            of(sql),
            told(median(|measured| Some(measured.mean))),
            told(median(|measured| Some(measured.percentiles?.0))),
            told(median(|measured| Some(measured.percentiles?.1))),
            micros(median(|measured| measured.server)),
            micros(median(|measured| Some(measured.postgres))),
        )?;
    }
    Ok(())
}

fn targets(results: &Results) -> Vec<Target> {
    let of = |question: Question, peer: Peer, value: fn(&Measurement) -> f64| results.values(question, peer, value);
    let ratio = |question: Question, peer: Peer, value: fn(&Measurement) -> f64| {
        Spread::of_ratios(&of(question, Peer::Gateway, value), &of(question, peer, value))
    };
    let deeper = |deep: Place, first: Place, connections: usize| {
        let mean = |place: Place| of(page(place, connections), Peer::Gateway, |measured| measured.mean);
        Spread::of_ratios(&mean(deep), &mean(first))
    };
    let rate: fn(&Measurement) -> f64 = |measured| measured.rate;
    let mean: fn(&Measurement) -> f64 = |measured| measured.mean;
    let tail: fn(&Measurement) -> f64 = |measured| measured.percentiles.map_or(0.0, |(_, p99)| p99);
    let first = |connections: usize| page(Place::First, connections);
    let target = |what: &'static str, reached: Option<Spread>, bound: Bound| Target { what, reached, bound };
    let pages = [
        target(
            "first-16, the gateway's CPU a page in µs",
            Spread::of(results.known(first(16), Peer::Gateway, |measured| measured.server)),
            Bound::AtMost(150.0),
        ),
        target(
            "first-16, CPU of gateway and PostgreSQL, of mercurius' and its",
            ratio(first(16), Peer::Mercurius, Measurement::both),
            Bound::AtMost(0.55),
        ),
        target("first-16, pages/s of mercurius'", ratio(first(16), Peer::Mercurius, rate), Bound::AtLeast(1.8)),
        target("first-64, pages/s of mercurius'", ratio(first(64), Peer::Mercurius, rate), Bound::AtLeast(1.8)),
        target(
            "first-16, pages/s of async-graphql-axum's",
            ratio(first(16), Peer::AsyncGraphql, rate),
            Bound::AtLeast(1.0),
        ),
        target("first-16, p99 of mercurius'", ratio(first(16), Peer::Mercurius, tail), Bound::AtMost(1.0 / 1.5)),
        target("deep-1, mean latency of first-1's", deeper(Place::Deep, Place::First, 1), Bound::AtMost(1.1)),
        target("deep-16, mean latency of first-16's", deeper(Place::Deep, Place::First, 16), Bound::AtMost(1.1)),
        target("line-deep-1, mean latency of line-1's", deeper(Place::LineDeep, Place::Line, 1), Bound::AtMost(1.1)),
        target("line-deep-16, mean latency of line-16's", deeper(Place::LineDeep, Place::Line, 16), Bound::AtMost(1.1)),
        target("first-1, mean latency of the other log's", ratio(first(1), Peer::Beside, mean), Bound::AtMost(1.25)),
        target("first-16, mean latency of the other log's", ratio(first(16), Peer::Beside, mean), Bound::AtMost(1.25)),
        target(
            "activity-year, mean latency of the SQL's by hand",
            ratio(Question::Aggregate("activity-year"), Peer::Hand, mean),
            Bound::AtMost(1.2),
        ),
        target(
            "activity-week, mean latency of the SQL's by hand",
            ratio(Question::Aggregate("activity-week"), Peer::Hand, mean),
            Bound::AtMost(1.2),
        ),
        target(
            "top, mean latency of the SQL's by hand",
            ratio(Question::Aggregate("top"), Peer::Hand, mean),
            Bound::AtMost(1.2),
        ),
        target("events that were printed the ordinary way", results.ordinary_events.and_then(one), Bound::AtMost(0.0)),
    ];
    pages.into_iter().chain(lists(results)).collect()
}

/// The targets of the pages of filters with lists, and of limited readers.
fn lists(results: &Results) -> impl Iterator<Item = Target> {
    let mean = |name| results.values(Question::List(name), Peer::Gateway, |measured| measured.mean);
    let all = mean(ALL_RIGHTS);
    let wide = WIDE_RIGHTS.map(|(name, what)| Target {
        what,
        reached: Spread::of_ratios(&mean(name), &all),
        bound: Bound::AtMost(2.0),
    });
    let each = CASES.into_iter().map(move |(name, what)| {
        let most = if name == "rights-nothing" { 2.0 } else { 5.0 };
        Target { what, reached: Spread::of(mean(name)), bound: Bound::AtMost(most) }
    });
    each.chain(wide)
}

fn one(value: f64) -> Option<Spread> {
    Spread::of([value])
}

fn write_differences(output: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(output, "server, postgres: CPU an answer. Each log has the same events, imported by its build.")?;
    for place in &results.different {
        writeln!(output, "{place}: the builds answer differently, in more than receivedAt and position")?;
    }
    for name in &results.missing {
        writeln!(output, "{name}: not compared, a graph does not have it")?;
    }
    Ok(())
}

fn write_notes(output: &mut impl Write, options: &Options, results: &Results) -> io::Result<()> {
    writeln!(
        output,
        "first: the first page of one of the ten most popular instances, each as often as things happen in it; line: of\n\
         all events. of SQL: answers/s, as a ratio of the gateway's own statements by pgbench at as many clients, or of\n\
         the same question by hand from one connection. list: of {} events of 2,000 instances in three months, by\n\
         hand with the statement that sluice sent before it knew of long lists. rights: the first page of all that a reader\n\
         sees, of the same events. server, postgres: CPU an answer. Ratios are medians of the\n\
         runs' own. Every answer was the same as one that was checked before.",
        Thousands(f64::from(options.list_events))
    )?;
    for (place, least, greatest) in &results.depths {
        let depth = if least == greatest { greatest.to_string() } else { format!("{least} to {greatest}") };
        writeln!(output, "{place}: {depth} pages deep")?;
    }
    for name in &results.missing {
        writeln!(output, "{name}: not measured, the graph does not have it")?;
    }
    if results.ordinary_events.is_none() {
        writeln!(output, "The gateway does not count the events that it prints the ordinary way.")?;
    }
    Ok(())
}
