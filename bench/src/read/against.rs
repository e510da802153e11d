//! Comparison with another build: the benchmark asks both gateways for the same pages and aggregates, one after the
//! other. Both start anew for each round: where the memory of a process happens to lie makes it faster or slower by
//! several percent until it ends, and would count as a difference of the builds.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::aggregate::Aggregates;
use super::lists::Lists;
use super::question::{self, Peer, Place, Question};
use super::results::{Measurement, Results};
use super::{Bench, Options, Subject};
use crate::comparison::{Build, Pair};
use crate::report::progress;

/// Measures both builds. Each build idles while the other one is measured.
pub(super) async fn measure(options: &Options, this: &mut Subject, other: &mut Subject) -> Result<Results> {
    let mut questions = Question::selected(&options.only);
    // The other build may be from before readers had rights.
    questions.retain(|question| !matches!(question, Question::List(name) if name.starts_with("rights-")));
    let mut bench = Bench::new(Duration::from_secs(options.seconds));
    let mut results = Results::default();
    results.different = prepare(&mut bench, &questions, this, other).await?;
    let aggregates = Pair { this: of(this, &questions).await?, other: of(other, &questions).await? };
    let mut lists = Pair {
        this: Lists::start(&questions, options, &options.setup.sluice, false).await?,
        other: match &options.against.against {
            Some(program) => Lists::start(&questions, options, program, false).await?,
            None => None,
        },
    };
    let missing: BTreeSet<_> = aggregates.this.missing().into_iter().chain(aggregates.other.missing()).collect();
    results.missing = missing.into_iter().collect();
    for run in 1..=options.runs {
        bench.restart(this, other).await?;
        bench.warm_up(&questions).await?;
        for lists in [&mut lists.this, &mut lists.other].into_iter().flatten() {
            lists.restart().await?;
        }
        for question in &questions {
            for build in Build::order(run) {
                let measured = match (question, lists.of(build)) {
                    (Question::List(name), Some(lists)) => lists.ask(name, bench.duration).await.map(Some),
                    _ => ask(&bench, &aggregates, *question, build).await,
                };
                let Some(measured) = measured.with_context(|| format!("{question}, {build}"))? else { continue };
                let rate = measured.rate;
                progress(&format!("run {run} of {}: {question}: {build}: {rate:.0} answers/s", options.runs));
                results.add(*question, peer(build), measured);
            }
        }
    }
    for lists in [lists.this, lists.other].into_iter().flatten() {
        lists.stop().await?;
    }
    Ok(results)
}

impl Bench {
    /// Restarts both gateways, and with them their databases, at the addresses that they had.
    async fn restart(&mut self, this: &mut Subject, other: &mut Subject) -> Result<()> {
        for (build, subject) in [(Build::This, this), (Build::Other, other)] {
            subject.gateway.restart().await.with_context(|| build.to_string())?;
            let mut cluster = subject.cluster().await?;
            cluster.checkpoint().await?;
            self.servers.insert(peer(build), subject.server(&mut cluster).await?);
        }
        Ok(())
    }
}

const fn peer(build: Build) -> Peer {
    match build {
        Build::This => Peer::Gateway,
        Build::Other => Peer::Against,
    }
}

async fn ask(
    bench: &Bench,
    aggregates: &Pair<Aggregates>,
    question: Question,
    build: Build,
) -> Result<Option<Measurement>> {
    match question {
        Question::Page { place, connections } => bench.ask(peer(build), place, connections).await.map(Some),
        Question::Aggregate(name) => {
            let aggregates = if build == Build::This { &aggregates.this } else { &aggregates.other };
            aggregates.ask(name, bench.duration, &bench.servers[&peer(build)]).await
        }
        Question::List(_) => Ok(None),
    }
}

/// Prepares the requests, which are the same for both builds; returns the places where their answers differ.
async fn prepare(bench: &mut Bench, questions: &[Question], this: &Subject, other: &Subject) -> Result<Vec<Place>> {
    let mut cluster = this.cluster().await?;
    let popular = cluster.popular_instances(question::POPULAR).await?;
    let server = this.server(&mut cluster).await?;
    let other_server = other.server(&mut other.cluster().await?).await?;
    let mut different = Vec::new();
    for place in Place::asked_in(questions) {
        progress(&format!("{place}: asking for the pages once"));
        let spots = place.spots(&popular, this.data.events());
        let (pages, other_pages) = (server.prepare(&spots).await?, other_server.prepare(&spots).await?);
        if !pages.has_same_answers(&other_pages)? {
            different.push(place);
        }
        bench.pages.insert((Peer::Gateway, place), pages);
        bench.pages.insert((Peer::Against, place), other_pages);
    }
    bench.servers.insert(Peer::Gateway, server);
    bench.servers.insert(Peer::Against, other_server);
    Ok(different)
}

async fn of(subject: &Subject, questions: &[Question]) -> Result<Aggregates> {
    let mut cluster = subject.cluster().await?;
    Aggregates::prepare(questions, subject.gateway.address(), &mut cluster, &subject.data).await
}
