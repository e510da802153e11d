//! Comparison with another build: both gateways receive the same deliveries in every round, one after the other, and
//! start anew for each round, as `bench read` says.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use sluice::event::ReceivedEvent;

use super::case::Case;
use super::results::Results;
use super::{Options, Target, table};
use crate::comparison::{Build, Pair};
use crate::gateway::Gateway;
use crate::report::progress;
use crate::rows;

/// Measures both builds and prints the ratios.
pub(super) async fn run(options: &Options, other: &Path, scratch: &Path, events: &[ReceivedEvent]) -> Result<()> {
    let cases = Case::selected(&options.only).into_iter().filter_map(|case| match case {
        Case::Gateway { events, connections } => Some((case, events, connections)),
        Case::Batched { .. } | Case::SingleRow { .. } => None,
    });
    let cases: Vec<_> = cases.collect();
    ensure!(!cases.is_empty(), "--against compares gateways: --only has to name one of their cases, such as 1x64");
    let mut gateways = Pair {
        this: start(Build::This, &options.setup.sluice, scratch).await?,
        other: start(Build::Other, other, scratch).await?,
    };
    let measured = tokio::select! {
        measured = measure(options, &cases, &mut gateways, scratch, events) => measured,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    };
    let (this_stopped, other_stopped) = (gateways.this.stop().await, gateways.other.stop().await);
    let results = measured?;
    this_stopped.and(other_stopped)?;
    table::print_comparison(options, &results, rows::mean_size(events))
}

async fn start(build: Build, program: &Path, scratch: &Path) -> Result<Gateway> {
    progress(&format!("starting the gateway of {build}"));
    let directory = scratch.join(build.name());
    fs::create_dir(&directory)?;
    Gateway::start(program, &directory).await.with_context(|| build.to_string())
}

async fn measure(
    options: &Options,
    cases: &[(Case, usize, usize)],
    gateways: &mut Pair<Gateway>,
    scratch: &Path,
    events: &[ReceivedEvent],
) -> Result<Pair<Results>> {
    let mut results = Pair { this: Results::default(), other: Results::default() };
    for run in 1..=options.runs {
        let mut targets = Pair {
            this: restart(options, Build::This, &mut gateways.this, scratch, events).await?,
            other: restart(options, Build::Other, &mut gateways.other, scratch, events).await?,
        };
        for (case, events, connections) in cases {
            for build in Build::order(run) {
                let target = targets.of(build);
                let measured = target.measure(*events, *connections).await;
                let measured = measured.with_context(|| format!("{build}, {case}"))?;
                progress(&format!("run {run} of {}: {case}: {build}: {:.0} events/s", options.runs, measured.rate));
                results.of(build).add(*case, measured);
                // An empty log and a checkpoint leave no work to autovacuum or a checkpointer while the other build is
                // measured.
                target.cluster.empty_log().await?;
                target.cluster.checkpoint().await?;
            }
        }
    }
    Ok(results)
}

/// Restarts the gateway of a build, and lets it open its connections.
async fn restart<'a>(
    options: &Options,
    build: Build,
    gateway: &mut Gateway,
    scratch: &Path,
    events: &'a [ReceivedEvent],
) -> Result<Target<'a>> {
    gateway.restart().await.with_context(|| build.to_string())?;
    let mut target = Target::of(options, gateway.address(), &scratch.join(build.name()), events).await?;
    target.warm_up().await?;
    Ok(target)
}
