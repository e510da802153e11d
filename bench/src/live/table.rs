//! What `bench live` prints.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;

use super::{Options, PACE};
use crate::report::{Spread, Thousands, count, millis, percentile, told};
use crate::target::{self, Bound, Target};

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Messages received a second.
    rate: f64,
    /// Processor time of the server a message, in microseconds.
    cpu: f64,
    p50: f64,
    p99: f64,
    /// Of a message.
    pub(super) bytes: usize,
}

impl Measurement {
    pub(super) fn new(
        messages: usize,
        bytes: usize,
        elapsed: Duration,
        spent: Duration,
        latencies: &[Duration],
    ) -> Self {
        Self {
            rate: count(messages) / elapsed.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / count(messages),
            p50: millis(percentile(latencies, 50)),
            p99: millis(percentile(latencies, 99)),
            bytes,
        }
    }
}

/// What it did to the others that some subscribers stopped to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    pub(super) readers: usize,
    pub(super) others: usize,
    /// In milliseconds, while all read, and while some did not.
    pub(super) p50: (f64, f64),
    pub(super) p99: (f64, f64),
    /// The gateway's memory in bytes before, and the most of it.
    pub(super) memory: (u64, u64),
    /// How many of those who had stopped were closed, to come back.
    pub(super) closed: usize,
    pub(super) caught_up: Duration,
}

/// What came of subscribers that were cut off at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) subscribers: usize,
    /// Events that each had to be told.
    pub(super) behind: usize,
    pub(super) elapsed: Duration,
    /// How often `/readyz` was asked meanwhile, how often the answer was 200, and the slowest.
    pub(super) asked: usize,
    pub(super) ready: usize,
    pub(super) slowest: Duration,
}

/// What all runs gave.
#[derive(Debug, Default)]
pub(super) struct Results {
    measured: BTreeMap<(&'static str, u32), Vec<Measurement>>,
    /// Bytes of memory for so many idle subscribers.
    pub(super) idle_bytes: Option<(u64, usize)>,
    /// The same for idle streams of server-sent events.
    pub(super) idle_stream_bytes: Option<(u64, usize)>,
    pub(super) stopped: Option<Stopped>,
    pub(super) storm: Option<Storm>,
    /// How long a commit waited for the disk, of each measurement.
    pub(super) flushes: Vec<Duration>,
    /// Processor time an event, in microseconds, by subscribers with different instances.
    pub(super) routing: Vec<(usize, f64)>,
}

impl Results {
    pub(super) fn add(&mut self, who: &'static str, rate: u32, measurement: Measurement) {
        self.measured.entry((who, rate)).or_default().push(measurement);
    }

    fn all(&self, who: &'static str, rate: u32, of: fn(&Measurement) -> f64) -> Vec<f64> {
        self.measured.get(&(who, rate)).map(|all| all.iter().map(of).collect()).unwrap_or_default()
    }

    fn ratio(&self, rate: u32, reference: &'static str, of: fn(&Measurement) -> f64) -> Option<Spread> {
        Spread::of_ratios(&self.all("gateway", rate, of), &self.all(reference, rate, of))
    }

    fn targets(&self) -> Vec<Target> {
        let each = |(bytes, subscribers): (u64, usize)| Spread::of([kilobytes(bytes) / count(subscribers)]);
        let routing = match self.routing[..] {
            [(_, few), (_, many)] => Spread::of([many / few]),
            _ => None,
        };
        let target = |what, reached, bound| Target { what, reached, bound };
        vec![
            target(
                "saturated, deliveries/s of the raw broadcast's",
                self.ratio(0, "raw", |one| one.rate),
                Bound::AtLeast(0.5),
            ),
            target(
                "saturated, deliveries/s of mercurius'",
                self.ratio(0, "mercurius", |one| one.rate),
                Bound::AtLeast(40.0),
            ),
            target(
                "20 events/s, CPU a delivery of the raw broadcast's",
                self.ratio(PACE, "raw", |one| one.cpu),
                Bound::AtMost(1.25),
            ),
            target(
                "20 events/s, p50 of the raw broadcast's",
                self.ratio(PACE, "raw", |one| one.p50),
                Bound::AtMost(1.25),
            ),
            target(
                "20 events/s, p99 of the raw broadcast's",
                self.ratio(PACE, "raw", |one| one.p99),
                Bound::AtMost(1.25),
            ),
            target("kB of memory an idle WebSocket", self.idle_bytes.and_then(each), Bound::AtMost(12.0)),
            target("kB of memory an idle SSE stream", self.idle_stream_bytes.and_then(each), Bound::AtMost(20.0)),
            target(
                "some stop to read: p50 of the others', of before",
                self.stopped.and_then(|stopped| Spread::of([stopped.p50.1 / stopped.p50.0])),
                Bound::AtMost(1.1),
            ),
            target(
                "some stop to read: p99 of the others', of before",
                self.stopped.and_then(|stopped| Spread::of([stopped.p99.1 / stopped.p99.0])),
                Bound::AtMost(1.1),
            ),
            target("CPU an event with all instances, of that with 100", routing, Bound::AtMost(1.2)),
        ]
    }
}

fn kilobytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX))
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
    writeln!(
        output,
        "live: {} WebSocket subscribers with the same subscription; medians of {} runs of {} s; servers on one \
         processor, clients on another",
        options.subscribers, options.runs, options.seconds
    )?;
    if !options.is_full() {
        writeln!(
            output,
            "SMALLER THAN FULL SIZE, which is 5 runs of 4 s (12 s at a pace), 1,000 subscribers, 10,000 idle ones, 60 s stopped, 5,000 cut off"
        )?;
    }
    writeln!(
        output,
        "\n{:12}{:12}{:>14}{:>10}{:>10}{:>10}{:>8}",
        "load", "who", "deliveries/s", "CPU µs", "p50 ms", "p99 ms", "bytes"
    )?;
    for ((who, rate), all) in &results.measured {
        let load = if *rate == 0 { "saturated".to_owned() } else { format!("{rate}/s") };
        let spread = |of: fn(&Measurement) -> f64| Spread::of(all.iter().map(of));
        let rate = spread(|one| one.rate).map_or(0.0, |spread| spread.median);
        writeln!(
            output,
            "{load:12}{who:12}{:>14}{:>10}{:>10}{:>10}{:>8}",
            Thousands(rate).to_string(),
            told(spread(|one| one.cpu)),
            told(spread(|one| one.p50)),
            told(spread(|one| one.p99)),
            all.first().map_or(0, |one| one.bytes)
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
    writeln!(output)?;
    target::write(&mut output, &results.targets())?;
    writeln!(
        output,
        "\nCPU: of the server's process, a delivery to one subscriber; the gateway's includes taking the events in and \
         storing them,\nthe other servers' does not. p50, p99: from when the event's commit was durable (as PostgreSQL \
         tells it:\nits time, and the {} ms at least that a commit waited for the disk), or from when the raw frame was made, to its receipt.",
        told(Spread::of(results.flushes.iter().copied().map(millis)))
    )?;
    Ok(())
}
