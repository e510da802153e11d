//! `bench storage`: bytes on disk for each event, by table, by group of columns and by index.

mod measure;
mod table;

use anyhow::{Result, bail};
use sluice::event::Timestamp;
use time::Duration;

use crate::gateway::Gateway;
use crate::postgres::Cluster;
use crate::read::seed;
use crate::report::progress;
use crate::setup::Setup;

/// The size of a run whose numbers count.
const FULL_EVENTS: usize = 200_000;
const MONTHS: i64 = 2;

/// The size of the log.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Events in the log. Every index of every month has some pages of its own, so that few events seem large.
    #[arg(long, value_name = "N", default_value_t = FULL_EVENTS, value_parser = events)]
    events: usize,
    /// Months until now over which the events are spread.
    #[arg(long, value_name = "N", default_value_t = MONTHS, value_parser = clap::value_parser!(i64).range(1..=120))]
    months: i64,
    #[command(flatten)]
    setup: Setup,
}

fn events(text: &str) -> Result<usize, String> {
    let events = text.replace('_', "").parse().map_err(|_| "not a number".to_owned())?;
    if events < 1_000 { Err("at least 1000".to_owned()) } else { Ok(events) }
}

impl Options {
    const fn is_full(&self) -> bool {
        self.events >= FULL_EVENTS && self.months <= MONTHS
    }
}

/// Runs the benchmark and prints the report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = fill_and_measure(options) => done,
        signal = tokio::signal::ctrl_c() => signal.map_err(Into::into).and_then(|()| bail!("interrupted")),
    }
}

async fn fill_and_measure(options: &Options) -> Result<()> {
    let scratch = options.setup.directory()?;
    let until = Timestamp::now();
    let from = until.plus(-Duration::days(options.months * 365 / 12));
    let program = &options.setup.sluice;
    seed::import(program, scratch.path(), options.events, from, until).await?;
    // The gateway runs the PostgreSQL that is measured.
    let gateway = Gateway::start(program, scratch.path()).await?;
    let mut cluster = Cluster::of(&scratch.path().join("gateway")).await?;
    progress("vacuuming");
    for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(cluster.connection()).await?;
    }
    progress("measuring");
    let measured = measure::Storage::measure(cluster.connection()).await;
    drop(cluster);
    gateway.stop().await?;
    table::print(options, &measured?)
}
