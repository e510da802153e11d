//! Subscribers that stop to read, beside others that do not.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;

use super::crowd::Crowd;
use super::follower::{Follower, LARGE};
use super::results::Stopped;
use super::{Bench, peer};
use crate::load::{Load, Pace};
use crate::report::{millis, percentile, progress};

/// One of how many subscribers stops.
const ONE_OF: usize = 10;

/// Events a second meanwhile: more than the system takes for who does not read.
const PACE: u32 = 40;

/// Of how many messages one is looked at.
const LOOKED_AT: usize = 8;

/// How long it is measured before, while all read.
const BEFORE: Duration = Duration::from_secs(10);

/// Measures it, and checks that those who stopped get everything in the end.
pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    progress("subscribers that stop to read");
    let (address, some) = (bench.gateway.address(), bench.options.subscribers / ONE_OF);
    let mut readers =
        Crowd::gather(address, bench.options.subscribers - some, LARGE, |_| None).await?.acknowledged().await?;
    let mut others = Vec::new();
    for _ in 0..some {
        others.push(Follower::narrow(address, LARGE).await?);
    }
    readers.settle().await?;
    let (events, identities) = (bench.events, Rc::clone(&bench.identities));
    let load = |duration| Load::send_at(address, events, &identities, Pace::of_single(PACE), duration);

    let deadline = Instant::now() + BEFORE + Duration::from_secs(1);
    let all_read = try_join_all(others.iter_mut().map(|follower| follower.read_until(deadline)));
    let flush = bench.cluster.watch_flushes(BEFORE);
    let (before, read, sent, flush) = tokio::join!(readers.hear(BEFORE, LOOKED_AT), all_read, load(BEFORE), flush);
    let before = read.and(sent).and(before)?;
    readers.settle().await?;

    let before = bench.latencies(&before, flush?).await?;
    let process = bench.gateway.process()?;
    let memory = peer::memory(process)?;
    let duration = Duration::from_secs(bench.options.stopped);
    let flush = bench.cluster.watch_flushes(duration);
    let (meanwhile, most, sent, flush) =
        tokio::join!(readers.hear(duration, LOOKED_AT), most_memory(process, duration), load(duration), flush);
    let (meanwhile, most) = (sent.and(meanwhile)?, most?);

    let head = bench.cluster.head().await?;
    let started = Instant::now();
    try_join_all(others.iter_mut().map(|follower| follower.read_through(address, head))).await?;
    let meanwhile = bench.latencies(&meanwhile, flush?).await?;
    let of = |latencies: &[Duration], percent| millis(percentile(latencies, percent));
    bench.results.stopped = Some(Stopped {
        readers: readers.len(),
        others: some,
        p50: (of(&before, 50), of(&meanwhile, 50)),
        p99: (of(&before, 99), of(&meanwhile, 99)),
        memory: (memory, most),
        closed: others.iter().filter(|follower| follower.closed > 0).count(),
        caught_up: started.elapsed(),
    });
    Ok(())
}

/// The most memory that a process has in use for a while.
async fn most_memory(process: u32, duration: Duration) -> Result<u64> {
    let deadline = Instant::now() + duration;
    let mut most = 0;
    while Instant::now() < deadline {
        most = most.max(peer::memory(process)?);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(most)
}
