//! Storing and pushing while a reader keeps a snapshot open, which keeps PostgreSQL from removing old row versions.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::{Connection as _, PgConnection};

use super::crowd::Crowd;
use super::{Bench, SUBSCRIPTION};
use crate::load::{Load, Pace};
use crate::report::{count, progress};

/// Subscribers that the events are pushed to.
const SUBSCRIBERS: usize = 10;

/// Single events a second while the snapshot is open: each commit leaves old row versions.
const PACE: u32 = 500;

/// Duration of a measurement.
const MEASURED: Duration = Duration::from_secs(10);

/// Measures the rate before, and at the end of the time for which the snapshot is open.
pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    progress("a reader that keeps a snapshot open");
    let before = rate(bench).await?;
    let mut reader = PgConnection::connect(bench.cluster.url()).await?;
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut reader).await?;
    sqlx::query("SELECT FROM log_head").execute(&mut reader).await?;
    let open = Instant::now();
    let duration = Duration::from_secs(bench.options.snapshot);
    Load::send_at(bench.gateway.address(), bench.events, &bench.identities, Pace::of_single(PACE), duration).await?;
    let meanwhile = rate(bench).await?;
    ensure!(open.elapsed() >= duration, "the snapshot was not open for long enough");
    sqlx::query("COMMIT").execute(&mut reader).await?;
    reader.close().await?;
    bench.results.snapshot = Some((before, meanwhile));
    Ok(())
}

/// Returns the number of events a second that are stored in single deliveries and pushed to each subscriber.
async fn rate(bench: &mut Bench<'_>) -> Result<f64> {
    let address = bench.gateway.address();
    let mut subscribers = Crowd::gather(address, SUBSCRIBERS, SUBSCRIPTION, |_| None).await?.acknowledged().await?;
    subscribers.settle().await?;
    let load = Load { events: 1, connections: 64, duration: MEASURED };
    let sent = load.send(address, bench.events, &bench.identities);
    let (heard, sent) = tokio::join!(subscribers.hear(MEASURED, 61), sent);
    sent?;
    let heard = heard?;
    Ok(count(heard.events) / count(SUBSCRIBERS) / heard.elapsed.as_secs_f64())
}
