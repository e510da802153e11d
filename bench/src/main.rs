//! sluice's benchmarks: each one beside its reference, in the same run.

mod access;
mod comparison;
mod gateway;
mod gateways;
mod hostile;
mod import;
mod indexes;
mod ingest;
mod live;
mod load;
mod pgbench;
mod postgres;
mod processor;
mod read;
mod report;
mod rows;
mod setup;
mod socket;
mod storage;
mod target;

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
    /// What each index costs those who store, and how much room it takes.
    ///
    /// The gateway's rows into its tables by UNNEST in batches of 1,024 from one connection: with all indexes, and with
    /// all but one. Ratios are taken between two neighbours; the median of the rounds is told.
    Indexes(indexes::Options),
    /// Events a second of `sluice import`, beside what Postgres does alone; then the same file again.
    ///
    /// A file of a million events. In the same rounds, in the same cluster: as many of the same rows into the same
    /// tables and indexes by UNNEST in batches of 256 and of 1,024 from one connection, without numbering and
    /// deduplication. Ratios are taken within a round; the median of the rounds is told.
    Import(import::Options),
    /// Bytes on disk for each event, by table, by group of columns and by index.
    ///
    /// A log of 200,000 events over two months, imported by the gateway's program. The reference is the JSON as Okta sent
    /// it; the total has a target.
    Storage(storage::Options),
    /// Pages of events a second, beside the same SQL alone and beside what a team would write by hand in Node.
    ///
    /// A million events of 200 instances (Zipf) over a year. Pages of 50 events with 12 scalars and the four entities:
    /// of one instance and of the bare time line, first and deep, at up to 64 connections. In the same rounds, on the
    /// same database: pgbench with the gateway's own statements (the limit), and servers by mercurius in Node and by
    /// async-graphql-axum in Rust (bench/peers/).
    /// Then `activity` and `top` beside the same SQL from one connection. Ratios are taken within a round; the median
    /// of the rounds is told. CPU is what the kernel counts of the server's process and of all of PostgreSQL's.
    Read(read::Options),
    /// Pushes of events to many subscribers, beside a raw broadcast and what a team would write by hand in Node.
    ///
    /// A thousand WebSocket subscribers with the same subscription, at as many events as they take and at 20 a second.
    /// In the same rounds: a broadcast of frames that are ready, many in one write (the limit), and servers by
    /// async-graphql-axum, mercurius and graphql-ws that listen to the same database. Then, beside a broadcast again, the same to subscribers with 50
    /// different selections of fields, and to a thousand streams of server-sent events at 50 a second. At the end, each
    /// once: the memory of an idle subscriber and of a filter, the cost of an event with ten thousand subscribers of
    /// different instances, the effect of subscribers that stop to read, five thousand that are cut off at once and come
    /// back, a thousand with 50 filters that resume at once beside COPY of the same events, and storing beside a reader that
    /// keeps a snapshot open for ten minutes.
    Live(live::Options),
    /// Lag of one gateway's subscribers while a second gateway over the same database stores events.
    ///
    /// Gateway A is offered 2,000 single events a second and has the subscribers; the report has their lag from the
    /// commit and their longest silence. In the same rounds, gateway B once stores no events and once stores an event
    /// per 50 ms. The gateways notify each other through PostgreSQL alone, and in a second part through NATS. Every
    /// subscriber must receive every event exactly once.
    Gateways(gateways::Options),
    /// Effects of one client's attacks on the others of a gateway.
    ///
    /// A reader asks small queries, a hook delivers events, a subscriber receives them, and `/readyz` is asked: first
    /// alone, then while other clients attack the gateway in one way after the other: heavy queries, long lists, unfinished
    /// bodies, silent sockets, wrong tokens and large deliveries. The exit code tells whether an event was lost.
    Hostile(hostile::Options),
    /// Cost of tokens, and of the rights of many subscribers.
    ///
    /// The time to find the viewer of a reader's token, of a known token of an issuer and of a new one; then the gateway's
    /// CPU an event beside a hundred subscribers and beside ten thousand, each with a token whose grants are its own.
    Access(access::Options),
    /// The raw broadcast of `live`.
    #[command(hide = true)]
    Raw(live::raw::RawOptions),
}

// One thread: the load shares the machine with what it measures and has to be cheap.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().benchmark {
        Benchmark::Ingest(options) => ingest::run(&options).await,
        Benchmark::Indexes(options) => indexes::run(&options).await,
        Benchmark::Import(options) => import::run(&options).await,
        Benchmark::Storage(options) => storage::run(&options).await,
        Benchmark::Read(options) => read::run(&options).await,
        Benchmark::Live(options) => live::run(&options).await,
        Benchmark::Gateways(options) => gateways::run(&options).await,
        Benchmark::Hostile(options) => hostile::run(&options).await,
        Benchmark::Access(options) => access::run(&options).await,
        Benchmark::Raw(options) => live::raw::serve(options).await,
    }
}
