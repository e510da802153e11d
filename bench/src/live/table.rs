//! What `bench live` prints.

use std::io::{self, Write as _};

use anyhow::Result;

use super::results::{Measurement, Results, Stopped, kilobytes, load};
use super::{Options, PACE, SELECTED, STREAM_PACE, STREAMED, resume};
use crate::comparison::{self, Pair};
use crate::report::{Spread, Thousands, count, millis, told};
use crate::target::{self, Bound, Target};

fn targets(results: &Results) -> Vec<Target> {
    let each = |(bytes, subscribers): (u64, usize)| Spread::of([kilobytes(bytes) / count(subscribers)]);
    let routing = match results.routing[..] {
        [(_, few), (_, many)] => Spread::of([many / few]),
        _ => None,
    };
    let target = |what, reached, bound| Target { what, reached, bound };
    [
        target(
            "saturated, deliveries/s of the raw broadcast's",
            results.ratio(0, "raw", |one| one.rate),
            Bound::AtLeast(0.5),
        ),
        target(
            "saturated, deliveries/s of mercurius'",
            results.ratio(0, "mercurius", |one| one.rate),
            Bound::AtLeast(40.0),
        ),
        target(
            "saturated, deliveries/s of async-graphql-axum's",
            results.ratio(0, "async-graphql", |one| one.rate),
            Bound::AtLeast(1.0),
        ),
        target(
            "20 events/s, CPU a delivery of the raw broadcast's",
            results.ratio(PACE, "raw", |one| one.cpu),
            Bound::AtMost(1.25),
        ),
        target(
            "20 events/s, p50 of the raw broadcast's",
            results.ratio(PACE, "raw", |one| one.p50),
            Bound::AtMost(1.25),
        ),
        target(
            "20 events/s, p99 of the raw broadcast's",
            results.ratio(PACE, "raw", |one| one.p99),
            Bound::AtMost(1.25),
        ),
        target("kB of memory an idle WebSocket", results.idle_bytes.and_then(each), Bound::AtMost(10.0)),
        target("kB of memory an idle SSE stream", results.idle_stream_bytes.and_then(each), Bound::AtMost(4.0)),
        target(
            "kB of memory a filter of its own",
            results.filter_kilobytes().and_then(|filter| Spread::of([filter])),
            Bound::AtMost(2.0),
        ),
        target(
            "some stop to read: p50 of the others', of before",
            results.stopped.and_then(|stopped| Spread::of([stopped.p50.1 / stopped.p50.0])),
            Bound::AtMost(1.1),
        ),
        target(
            "some stop to read: p99 of the others', of before",
            results.stopped.and_then(|stopped| Spread::of([stopped.p99.1 / stopped.p99.0])),
            Bound::AtMost(1.1),
        ),
        target("CPU an event with all instances, of that with 100", routing, Bound::AtMost(1.2)),
    ]
    .into_iter()
    .chain(beside_raw(results))
    .chain(resumed(results))
    .collect()
}

/// Returns the targets of selections and of streams.
fn beside_raw(results: &Results) -> [Target; 3] {
    let target = |what, reached, bound| Target { what, reached, bound };
    [
        target(
            "50 selections, deliveries/s of the raw broadcast's",
            results.beside_raw(SELECTED, 0, |one| one.rate),
            Bound::AtLeast(0.3),
        ),
        target(
            "SSE, 50 events/s, p50 of the raw broadcast's",
            results.beside_raw(STREAMED, STREAM_PACE, |one| one.p50),
            Bound::AtMost(1.25),
        ),
        target(
            "SSE, 50 events/s, p99 of the raw broadcast's",
            results.beside_raw(STREAMED, STREAM_PACE, |one| one.p99),
            Bound::AtMost(1.25),
        ),
    ]
}

/// Returns the targets of subscribers that resume at once, and of a snapshot that is open for long.
fn resumed(results: &Results) -> [Target; 3] {
    let of = |value: Option<f64>| value.and_then(|value| Spread::of([value]));
    let resumed = results.resumed;
    let target = |what, reached, bound| Target { what, reached, bound };
    [
        target(
            "resume at once, events/s of COPY's",
            of(resumed.map(|resumed| resumed.rate() / resumed.copied)),
            Bound::AtLeast(0.5),
        ),
        target(
            "resume at once: p99 of the others', of before",
            of(resumed.map(|resumed| resumed.p99.1 / resumed.p99.0)),
            Bound::AtMost(1.5),
        ),
        target(
            "events/s beside an open snapshot, of before",
            of(results.snapshot.map(|(before, meanwhile)| meanwhile / before)),
            Bound::AtLeast(0.9),
        ),
    ]
}

fn write_stopped(output: &mut impl io::Write, stopped: &Stopped) -> io::Result<()> {
    let Stopped { readers, others: some, p50, p99, memory, closed, caught_up } = stopped;
    writeln!(
        output,
        "{some} of {} subscribers stop to read: the others' p50 {:.1} → {:.1} ms, p99 {:.1} → {:.1} ms; the gateway's \
         memory {:.0} → at most {:.0} MB;\nthen each of the {some} got every event in order, the last after {:.1} s; {closed} had \
         been closed, and came back",
        readers + some,
        p50.0,
        p50.1,
        p99.0,
        p99.1,
        kilobytes(memory.0) / 1024.0,
        kilobytes(memory.1) / 1024.0,
        caught_up.as_secs_f64()
    )
}

/// Prints the table, and which targets were reached.
pub(super) fn print(options: &Options, results: &Results) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options)?;
    writeln!(
        output,
        "\n{:12}{:24}{:>14}{:>10}{:>10}{:>10}{:>8}",
        "load", "who", "deliveries/s", "CPU µs", "p50 ms", "p99 ms", "bytes"
    )?;
    for ((who, rate), all) in &results.measured {
        let load = load(*rate);
        let spread = |of: fn(&Measurement) -> f64| Spread::of(all.iter().map(of));
        let rate = spread(|one| one.rate).map_or(0.0, |spread| spread.median);
        writeln!(
            output,
            "{load:12}{who:24}{:>14}{:>10}{:>10}{:>10}{:>8}",
            Thousands(rate).to_string(),
            told(spread(|one| one.cpu)),
            told(spread(|one| one.p50)),
            told(spread(|one| one.p99)),
            all.first().map_or(0, |one| one.frame.bytes)
        )?;
    }
    for (subscribers, cpu) in &results.routing {
        writeln!(
            output,
            "{subscribers} subscribers with different instances: {cpu:.1} µs of the gateway's CPU an event"
        )?;
    }
    if let Some(stopped) = results.stopped {
        write_stopped(&mut output, &stopped)?;
    }
    if let Some(storm) = results.storm {
        let raw = Spread::of(results.all("raw", 0, |one| one.rate)).map_or(f64::NAN, |spread| spread.median);
        let messages = count(storm.subscribers) * count(storm.behind);
        writeln!(
            output,
            "{} subscribers cut off at once, {} events behind: all had all of them, in order, after {:.1} s; the raw \
             broadcast\nwould take {:.1} s for as many messages; /readyz was 200 {} of {} times, at the slowest in {:.0} ms",
            storm.subscribers,
            storm.behind,
            storm.elapsed.as_secs_f64(),
            messages / raw,
            storm.ready,
            storm.asked,
            millis(storm.slowest)
        )?;
    }
    if let Some(resumed) = results.resumed {
        writeln!(
            output,
            "{} subscribers with {} filters resumed at once: {} events in {:.1} s; COPY reads {} of them a second",
            resumed.subscribers,
            resume::FILTERS,
            Thousands(count(resumed.events)),
            resumed.elapsed.as_secs_f64(),
            Thousands(resumed.copied)
        )?;
    }
    writeln!(output)?;
    target::write(&mut output, &targets(results))?;
    writeln!(
        output,
        "\nCPU: of the server's process, a delivery to one subscriber; the gateway's includes taking the events in and \
         storing them,\nthe other servers' does not. p50, p99: from when the event's commit was durable (as PostgreSQL \
         tells it:\nits time, and the {} ms at least that a commit waited for the disk), or from when the raw frame was made, to its receipt.",
        told(Spread::of(results.flushes.iter().copied().map(millis)))
    )?;
    Ok(())
}

/// Prints the comparison of this build with the other one.
pub(super) fn print_comparison(options: &Options, results: &Pair<Results>) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options)?;
    writeln!(output)?;
    comparison::write(&mut output, &results.this.figures(), &results.other.figures())?;
    writeln!(
        output,
        "\nCPU: of the gateway's process, taking events in and storing them included. p50, p99: from an event's commit to its\n\
         receipt, the wait for the disk included. What follows the loads is measured once for each build."
    )?;
    Ok(())
}

fn write_head(output: &mut impl io::Write, options: &Options) -> io::Result<()> {
    writeln!(
        output,
        "live: {} WebSocket subscribers with the same subscription; medians of {} runs of {} s; servers on one \
         processor, clients on another",
        options.subscribers, options.runs, options.seconds
    )?;
    if !options.is_full() {
        writeln!(
            output,
            "SMALLER THAN FULL SIZE, which is 5 runs of 4 s (12 s at a pace), 1,000 subscribers, 10,000 idle ones, 60 s stopped, 5,000 cut off,\n600 s of a snapshot"
        )?;
    }
    Ok(())
}
