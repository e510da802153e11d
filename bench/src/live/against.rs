//! Comparison with another build: both gateways get the same loads in every round, one after the other.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use sluice::event::ReceivedEvent;

use super::results::Results;
use super::{Bench, Options, PACE, resume, start, stopped, storm, table};
use crate::comparison::{Build, Pair};
use crate::load::Identities;
use crate::report::progress;

/// Measures both builds and prints the ratios.
pub(super) async fn run(options: &Options, other: &Path, scratch: &Path, events: &[ReceivedEvent]) -> Result<()> {
    let home = |build: Build| scratch.join(build.name());
    let homes = Pair { this: home(Build::This), other: home(Build::Other) };
    for (build, home) in [(Build::This, &homes.this), (Build::Other, &homes.other)] {
        progress(&format!("starting the gateway of {build}"));
        fs::create_dir(home)?;
    }
    let (this_gateway, this_cluster) = start(&options.setup.sluice, &homes.this).await.context("this build")?;
    let (other_gateway, other_cluster) = start(other, &homes.other).await.context("the other build")?;
    let identities = Rc::new(Identities::starting_now());
    let bench = |program, gateway, cluster, scratch| Bench {
        options,
        program,
        identities: Rc::clone(&identities),
        events,
        gateway,
        cluster,
        scratch,
        results: Results::default(),
    };
    let mut benches = Pair {
        this: bench(&options.setup.sluice, &this_gateway, this_cluster, &homes.this),
        other: bench(other, &other_gateway, other_cluster, &homes.other),
    };
    measure(options, &mut benches).await?;
    let results = Pair { this: benches.this.results, other: benches.other.results };
    let stopped = (this_gateway.stop().await, other_gateway.stop().await);
    table::print_comparison(options, &results)?;
    stopped.0.and(stopped.1)
}

async fn measure(options: &Options, benches: &mut Pair<Bench<'_>>) -> Result<()> {
    for build in Build::order(1) {
        benches.of(build).warm_up().await?;
    }
    for run in 1..=options.runs {
        for rate in [0, PACE] {
            for build in Build::order(run) {
                let pushed = benches.of(build).gateway_pushes(rate).await;
                pushed.with_context(|| format!("run {run}, {build}"))?;
            }
        }
        for build in Build::order(run) {
            let bench = benches.of(build);
            bench.gateway_pushes_selections().await.with_context(|| format!("run {run}, {build}"))?;
            bench.gateway_streams().await.with_context(|| format!("run {run}, {build}"))?;
        }
        progress(&format!("run {run} of {} is done", options.runs));
    }
    for build in Build::order(1) {
        progress(&format!("{build}: what is measured once"));
        let bench = benches.of(build);
        if options.idle > 0 {
            bench.idle().await?;
            bench.routing().await?;
        }
        if options.stopped > 0 {
            Box::pin(stopped::measure(bench)).await.context("subscribers that stop to read")?;
        }
        if options.storm > 0 {
            Box::pin(storm::measure(bench)).await.context("subscribers that come back at once")?;
        }
        if !options.no_resume {
            Box::pin(resume::measure(bench)).await.context("subscribers that resume at once")?;
        }
    }
    Ok(())
}
