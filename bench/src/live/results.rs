//! Results of the measurements of `bench live`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Case, PACE, SELECTED, STREAM_PACE, STREAMED};
use crate::comparison::Figure;
use crate::report::{Spread, count, millis, percentile};

/// A message of average size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) bytes: usize,
    /// Number of events in it.
    pub(super) events: f64,
}

/// Figures of one measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Events that the subscribers received a second.
    pub(super) rate: f64,
    /// CPU time of the server for each of these events, in microseconds.
    pub(super) cpu: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The average message.
    pub(super) frame: Frame,
}

impl Measurement {
    pub(super) fn new(
        messages: usize,
        frame: Frame,
        elapsed: Duration,
        spent: Duration,
        latencies: &[Duration],
    ) -> Self {
        let events = count(messages) * frame.events;
        Self {
            rate: events / elapsed.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / events,
            p50: millis(percentile(latencies, 50)),
            p99: millis(percentile(latencies, 99)),
            frame,
        }
    }
}

/// Effects of subscribers that stopped reading, on the other subscribers and on the gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    pub(super) readers: usize,
    pub(super) others: usize,
    /// Latency of the subscribers that kept reading, in milliseconds: while all read, and while some did not.
    pub(super) p50: (f64, f64),
    pub(super) p99: (f64, f64),
    /// The gateway's memory in bytes: before, and at its highest.
    pub(super) memory: (u64, u64),
    /// Number of stopped subscribers whose connection the gateway closed, and which had to reconnect.
    pub(super) closed: usize,
    pub(super) caught_up: Duration,
}

/// Figures of subscribers that were disconnected all at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) subscribers: usize,
    /// Number of events that each subscriber had missed.
    pub(super) behind: usize,
    pub(super) elapsed: Duration,
    /// Requests for `/readyz` meanwhile: their number, the number answered with 200, and the slowest answer.
    pub(super) asked: usize,
    pub(super) ready: usize,
    pub(super) slowest: Duration,
}

/// Figures of subscribers with different filters that resumed all at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resumed {
    pub(super) subscribers: usize,
    /// Number of events that they received together.
    pub(super) events: usize,
    pub(super) elapsed: Duration,
    /// Events a second that COPY gives of the same columns.
    pub(super) copied: f64,
    /// Latency of subscribers that were not behind, in milliseconds: before, and meanwhile.
    pub(super) p99: (f64, f64),
}

impl Resumed {
    /// Returns the number of events that all received together in a second.
    pub(super) fn rate(self) -> f64 {
        count(self.events) / self.elapsed.as_secs_f64()
    }
}

/// Results of all runs.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) measured: BTreeMap<(&'static str, u32), Vec<Measurement>>,
    /// Memory that all idle WebSocket subscribers take together, in bytes, and their number.
    pub(super) idle_bytes: Option<(u64, usize)>,
    /// Memory that all idle streams of server-sent events take together, in bytes, and their number.
    pub(super) idle_stream_bytes: Option<(u64, usize)>,
    /// Memory that idle WebSocket subscribers with a filter each take together, in bytes, and their number.
    pub(super) idle_filter_bytes: Option<(u64, usize)>,
    pub(super) stopped: Option<Stopped>,
    pub(super) storm: Option<Storm>,
    pub(super) resumed: Option<Resumed>,
    /// Events stored and pushed a second: before a reader opened a snapshot, and at the end of its time.
    pub(super) snapshot: Option<(f64, f64)>,
    /// Estimate of a commit's flush to disk, for each measurement.
    pub(super) flushes: Vec<Duration>,
    /// Number of subscribers, each with an instance of its own, and the CPU time of an event in microseconds.
    pub(super) routing: Vec<(usize, f64)>,
}

impl Results {
    pub(super) fn add(&mut self, who: &'static str, rate: u32, measurement: Measurement) {
        self.measured.entry((who, rate)).or_default().push(measurement);
    }

    pub(super) fn all(&self, who: &'static str, rate: u32, of: fn(&Measurement) -> f64) -> Vec<f64> {
        self.measured.get(&(who, rate)).map(|all| all.iter().map(of).collect()).unwrap_or_default()
    }

    pub(super) fn ratio(&self, rate: u32, reference: &'static str, of: fn(&Measurement) -> f64) -> Option<Spread> {
        Spread::of_ratios(&self.all("gateway", rate, of), &self.all(reference, rate, of))
    }

    /// Returns the ratios of the gateway's figures to those of the raw broadcast in a case.
    pub(super) fn beside_raw(&self, case: Case, rate: u32, of: fn(&Measurement) -> f64) -> Option<Spread> {
        Spread::of_ratios(&self.all(case.gateway, rate, of), &self.all(case.raw, rate, of))
    }

    /// Returns the memory of one filter in kilobytes: that of a subscriber with a filter of its own, without that of one
    /// that shares its filter.
    pub(super) fn filter_kilobytes(&self) -> Option<f64> {
        let ((own, subscribers), (shared, _)) = (self.idle_filter_bytes?, self.idle_bytes?);
        Some(kilobytes(own.saturating_sub(shared)) / count(subscribers))
    }

    /// Returns the figures by which two builds are compared.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for rate in [0, PACE] {
            let of = |value: fn(&Measurement) -> f64| self.all("gateway", rate, value);
            let case = load(rate);
            figures.push(Figure::cost(&case, "CPU µs/delivery", of(|one| one.cpu)));
            if rate == 0 {
                // A paced load fixes the rate. Under a saturated load the lag grows for as long as the load lasts.
                figures.push(Figure::rate(&case, "deliveries/s", of(|one| one.rate)));
            } else {
                figures.push(Figure::cost(&case, "p50 ms", of(|one| one.p50)));
                figures.push(Figure::cost(&case, "p99 ms", of(|one| one.p99)));
            }
        }
        let selected = self.all(SELECTED.gateway, 0, |one| one.rate);
        figures.push(Figure::rate("50 selections", "deliveries/s", selected));
        let streamed = |of: fn(&Measurement) -> f64| self.all(STREAMED.gateway, STREAM_PACE, of);
        figures.push(Figure::cost("SSE, 50/s", "CPU µs/delivery", streamed(|one| one.cpu)));
        figures.push(Figure::cost("SSE, 50/s", "p50 ms", streamed(|one| one.p50)));
        figures.push(Figure::cost("SSE, 50/s", "p99 ms", streamed(|one| one.p99)));
        let each = |(bytes, subscribers): (u64, usize)| kilobytes(bytes) / count(subscribers);
        let once = |value: Option<f64>| value.into_iter().collect::<Vec<_>>();
        figures.push(Figure::cost("idle WebSocket", "memory kB", once(self.idle_bytes.map(each))));
        figures.push(Figure::cost("idle SSE stream", "memory kB", once(self.idle_stream_bytes.map(each))));
        figures.push(Figure::cost("a filter of its own", "memory kB", once(self.filter_kilobytes())));
        figures.push(Figure::rate("resume at once", "events/s", once(self.resumed.map(Resumed::rate))));
        for (subscribers, cpu) in &self.routing {
            figures.push(Figure::cost(format!("{subscribers} instances"), "CPU µs/event", vec![*cpu]));
        }
        let stopped = |value: fn(Stopped) -> f64| once(self.stopped.map(value));
        figures.push(Figure::cost("some stop to read", "others' p50 ms", stopped(|stopped| stopped.p50.1)));
        figures.push(Figure::cost("some stop to read", "others' p99 ms", stopped(|stopped| stopped.p99.1)));
        figures.push(Figure::cost("some stop to read", "memory kB", stopped(|stopped| kilobytes(stopped.memory.1))));
        let caught_up = stopped(|stopped| stopped.caught_up.as_secs_f64());
        figures.push(Figure::cost("some stop to read", "caught up after s", caught_up));
        let storm = |value: fn(Storm) -> f64| once(self.storm.map(value));
        figures.push(Figure::cost("cut off at once", "all there after s", storm(|storm| storm.elapsed.as_secs_f64())));
        figures.push(Figure::cost("cut off at once", "slowest ready ms", storm(|storm| millis(storm.slowest))));
        figures
    }
}

/// Returns the name of a load of `rate` events a second; a rate of 0 is the saturated load.
pub(super) fn load(rate: u32) -> String {
    if rate == 0 { "saturated".to_owned() } else { format!("{rate}/s") }
}

pub(super) fn kilobytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX))
}
