//! sluice's benchmarks: each one beside its reference, in the same run.

mod gateway;
mod ingest;
mod load;
mod postgres;
mod report;
mod rows;

use clap::{Parser, Subcommand};

/// Measures sluice beside what the same machine does without it, and tells ratios.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Durable events a second through the hook endpoint, beside what Postgres does alone.
    ///
    /// Deliveries of 1, 10 and 100 events at 1, 16 and 64 connections, each acknowledged after its commit. In the
    /// same rounds, in the same cluster: the same rows into the same tables and indexes by UNNEST in batches of 256
    /// and of 1,024 from one connection, without numbering and deduplication; and pgbench's single-row inserts of
    /// such a row at as many clients. Ratios are taken within a round; the median of the rounds is told.
    Ingest(ingest::Options),
}

// One thread: the load shares the machine with what it measures and has to be cheap.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().benchmark {
        Benchmark::Ingest(options) => ingest::run(&options).await,
    }
}
