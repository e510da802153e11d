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

/// What all runs gave.
#[derive(Debug, Default)]
pub(super) struct Results {
    measured: BTreeMap<(&'static str, u32), Vec<Measurement>>,
    /// Bytes of memory for so many idle subscribers.
    pub(super) idle_bytes: Option<(u64, usize)>,
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
        let idle = self.idle_bytes.map(|(bytes, subscribers)| {
            Spread::of([f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / count(subscribers)])
        });
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
            target("kB of memory an idle subscriber", idle.flatten(), Bound::AtMost(12.0)),
            target("CPU an event with all instances, of that with 100", routing, Bound::AtMost(1.2)),
        ]
    }
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
        writeln!(output, "SMALLER THAN FULL SIZE, which is 5 runs of 4 s, 1,000 subscribers, 10,000 idle ones")?;
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
    writeln!(output)?;
    target::write(&mut output, &results.targets())?;
    writeln!(
        output,
        "\nCPU: of the server's process, a delivery to one subscriber; the gateway's includes taking the events in and \
         storing them,\nmercurius' does not. p50, p99: from when the event was stored, or the raw frame made, to its receipt."
    )?;
    Ok(())
}
