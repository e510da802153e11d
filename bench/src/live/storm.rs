//! Subscribers that are cut off at once, and come back at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;

use super::Bench;
use super::follower::{Follower, SMALL};
use super::results::Storm;
use crate::load::{Connection, Load};
use crate::report::progress;

/// How many events happen while they are away.
const BEHIND: u64 = 10_000;

/// How many connect at once: as many as a system takes that does not refuse any.
const AT_ONCE: usize = 200;

/// Measures it, and checks that each gets everything.
pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    progress("subscribers that are cut off at once");
    let (address, subscribers) = (bench.gateway.address(), bench.options.storm);
    let after = bench.cluster.head().await?;
    {
        let mut there = Vec::new();
        for _ in 0..subscribers {
            there.push(Follower::resume(address, SMALL, after).await?);
        }
        // They are cut off here.
    }
    while bench.cluster.head().await? < after + BEHIND {
        let load = Load { events: 100, connections: 1, duration: Duration::from_millis(100) };
        load.send(address, bench.events, &bench.identities).await?;
    }
    let head = bench.cluster.head().await?;
    let (done, mut is_done) = watch::channel(false);
    let started = Instant::now();
    let all = async {
        let numbers = stream::iter(0..subscribers);
        let connected = numbers.map(|_| Follower::resume(address, SMALL, after)).buffer_unordered(AT_ONCE);
        let read = connected.map(|follower| async {
            let mut follower = follower?;
            follower.read_through(address, head).await.map(|()| follower)
        });
        let all: Vec<Result<Follower>> = read.buffer_unordered(subscribers).collect().await;
        done.send_replace(true);
        all.into_iter().collect::<Result<Vec<_>>>()
    };
    let ready = async {
        let mut answers = Vec::new();
        let mut connection = Connection::open(address).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\n\r\n");
        while !*is_done.borrow() {
            let asked = Instant::now();
            let status = connection.exchange(request.as_bytes()).await?;
            answers.push((status, asked.elapsed()));
            _ = tokio::time::timeout(Duration::from_millis(100), is_done.changed()).await;
        }
        anyhow::Ok(answers)
    };
    let (all, answers) = tokio::join!(all, ready);
    let (elapsed, answers) = (started.elapsed(), answers?);
    ensure!(all?.len() == subscribers, "a subscriber is lost");
    bench.results.storm = Some(Storm {
        subscribers,
        behind: usize::try_from(head - after)?,
        elapsed,
        asked: answers.len(),
        ready: answers.iter().filter(|(status, _)| *status == 200).count(),
        slowest: answers.iter().map(|(_, elapsed)| *elapsed).max().unwrap_or_default(),
    });
    Ok(())
}
