//! What the rounds gave, question by question.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asking::Answered;
use super::question::{Peer, Place, Question};
use super::server::Usage;
use crate::comparison::Figure;
use crate::pgbench::Told;
use crate::report::{count, millis, percentile};

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Answers a second.
    pub(super) rate: f64,
    /// How long an answer took on average, in milliseconds.
    pub(super) mean: f64,
    /// The median and the 99th percentile of that, in milliseconds, where they are known.
    pub(super) percentiles: Option<(f64, f64)>,
    /// What the server's process took of the processors for an answer, in microseconds; None where there is no server.
    pub(super) server: Option<f64>,
    /// What PostgreSQL took, in microseconds.
    pub(super) postgres: f64,
}

impl Measurement {
    /// Of a server's answers.
    pub(super) fn of_load(answered: &Answered, usage: Usage) -> Self {
        let latencies = &answered.latencies;
        let answers = count(latencies.len());
        Self {
            rate: answers / answered.elapsed.as_secs_f64(),
            mean: latencies.iter().copied().map(millis).sum::<f64>() / answers,
            percentiles: Some((millis(percentile(latencies, 50)), millis(percentile(latencies, 99)))),
            server: Some(millis(usage.server) * 1000.0 / answers),
            postgres: millis(usage.postgres) * 1000.0 / answers,
        }
    }

    /// Of pgbench's transactions.
    pub(super) fn of_pgbench(told: Told, postgres: Duration) -> Self {
        let transactions = count(usize::try_from(told.transactions).unwrap_or_default());
        Self {
            rate: told.rate,
            mean: told.mean,
            percentiles: None,
            server: None,
            postgres: millis(postgres) * 1000.0 / transactions,
        }
    }

    /// What server and PostgreSQL took together, in microseconds.
    pub(super) fn both(&self) -> f64 {
        self.server.unwrap_or_default() + self.postgres
    }
}

/// The measurements of each question and peer, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Results {
    measurements: BTreeMap<(Question, Peer), Vec<Measurement>>,
    /// The least and the greatest depth of the deep pages, in pages.
    pub(super) depths: Vec<(Place, usize, usize)>,
    /// Aggregates that the graph does not have.
    pub(super) missing: Vec<&'static str>,
    /// Places at which two builds give different answers, apart from values that differ between any two logs.
    pub(super) different: Vec<Place>,
    /// How many events the gateway printed the ordinary way; None where it does not count them.
    pub(super) ordinary_events: Option<f64>,
}

impl Results {
    /// Adds a round's measurement.
    pub(super) fn add(&mut self, question: Question, peer: Peer, measurement: Measurement) {
        self.measurements.entry((question, peer)).or_default().push(measurement);
    }

    /// The questions and peers that were measured.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Question, Peer)> {
        self.measurements.keys().copied()
    }

    /// One number of each round's measurement.
    pub(super) fn values(&self, question: Question, peer: Peer, value: impl Fn(&Measurement) -> f64) -> Vec<f64> {
        self.measurements.get(&(question, peer)).into_iter().flatten().map(value).collect()
    }

    /// The same of a number that is not always known.
    pub(super) fn known(
        &self,
        question: Question,
        peer: Peer,
        value: impl Fn(&Measurement) -> Option<f64>,
    ) -> Vec<f64> {
        self.measurements.get(&(question, peer)).into_iter().flatten().filter_map(value).collect()
    }

    /// Returns the figures by which two builds are compared.
    pub(super) fn figures(&self, build: Peer) -> Vec<Figure> {
        let questions = self.keys().filter(|(_, peer)| *peer == build).map(|(question, _)| question);
        let of_question = questions.flat_map(|question| {
            let known = |value: fn(&Measurement) -> Option<f64>| self.known(question, build, value);
            [
                Figure::rate(question, "answers/s", known(|one| Some(one.rate))),
                Figure::cost(question, "mean ms", known(|one| Some(one.mean))),
                Figure::cost(question, "p50 ms", known(|one| Some(one.percentiles?.0))),
                Figure::cost(question, "p99 ms", known(|one| Some(one.percentiles?.1))),
                Figure::cost(question, "server CPU µs", known(|one| one.server)),
                Figure::cost(question, "postgres CPU µs", known(|one| Some(one.postgres))),
            ]
        });
        of_question.collect()
    }
}
