//! What the rounds gave, case by case.

use std::collections::BTreeMap;

use super::case::{Case, batched};
use crate::comparison::Figure;
use crate::load::Answered;
use crate::report::{count, millis, percentile};

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    /// Events a second.
    pub(crate) rate: f64,
    /// How long a delivery, a batch or an insert took on average, in milliseconds.
    pub(crate) mean: f64,
    /// The gateway's median and 99th percentile of that, in milliseconds.
    pub(crate) percentiles: Option<(f64, f64)>,
}

impl Measurement {
    /// Of deliveries to the gateway.
    pub(super) fn of_load(answered: &Answered) -> Self {
        let latencies = &answered.latencies;
        Self {
            rate: count(answered.events) / answered.elapsed.as_secs_f64(),
            mean: latencies.iter().copied().map(millis).sum::<f64>() / count(latencies.len()),
            percentiles: Some((millis(percentile(latencies, 50)), millis(percentile(latencies, 99)))),
        }
    }
}

/// The measurements of each case, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Results(BTreeMap<Case, Vec<Measurement>>);

impl Results {
    /// Adds a round's measurement.
    pub(super) fn add(&mut self, case: Case, measurement: Measurement) {
        self.0.entry(case).or_default().push(measurement);
    }

    /// The cases that were measured, the gateway's first.
    pub(super) fn cases(&self) -> impl Iterator<Item = Case> {
        self.0.keys().copied()
    }

    /// One number of each round's measurement of a case.
    pub(super) fn values(&self, case: Case, value: impl Fn(&Measurement) -> f64) -> Vec<f64> {
        self.0.get(&case).into_iter().flatten().map(value).collect()
    }

    /// Events a second.
    pub(super) fn rates(&self, case: Case) -> Vec<f64> {
        self.values(case, |measurement| measurement.rate)
    }

    /// Mean durations in milliseconds.
    pub(super) fn means(&self, case: Case) -> Vec<f64> {
        self.values(case, |measurement| measurement.mean)
    }

    /// Medians and 99th percentiles in milliseconds; none where only the mean is known.
    pub(super) fn percentiles(&self, case: Case) -> (Vec<f64>, Vec<f64>) {
        self.0.get(&case).into_iter().flatten().filter_map(|measurement| measurement.percentiles).unzip()
    }

    /// Events a second of the better batched limit of each round.
    pub(super) fn batched_limits(&self) -> Vec<f64> {
        self.rates(batched(256)).into_iter().zip(self.rates(batched(1024))).map(|(one, other)| one.max(other)).collect()
    }

    /// Returns the figures by which two builds are compared.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let of_case = self.cases().flat_map(|case| {
            let (p50, p99) = self.percentiles(case);
            [
                Figure::rate(case, "events/s", self.rates(case)),
                Figure::cost(case, "mean ms", self.means(case)),
                Figure::cost(case, "p50 ms", p50),
                Figure::cost(case, "p99 ms", p99),
            ]
        });
        of_case.collect()
    }
}
