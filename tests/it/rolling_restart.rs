//! A rolling restart under load: one gateway after the other, and nobody misses anything.

use std::collections::HashSet;
use std::time::Duration;

use rand::RngExt as _;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::crowd::Crowd;
use crate::traffic::seed;

const GATEWAYS: usize = 3;
const SUBSCRIBERS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_are_restarted_one_after_the_other_and_nobody_misses_anything() {
    let mut cluster = Cluster::start(GATEWAYS).await;
    let traffic = Crowd::traffic();
    let crowd = Crowd::start(cluster.addresses(), SUBSCRIBERS, traffic, &cluster.pool, seed()).await;
    for gateway in &mut cluster.gateways {
        sleep(Duration::from_millis(rand::rng().random_range(300..600))).await;
        gateway.signal(Signal::TERM);
        let status = gateway.ended().await;
        assert!(status.success(), "{status}: {}", gateway.output());
        gateway.start_again().await;
    }
    let outcome = crowd.finish(&mut HashSet::new(), &cluster.pool).await;
    let told = outcome.closed.iter().flatten().count();
    eprintln!("{} events told; {told} of {} sockets closed with a code", outcome.told, outcome.closed.len());
    assert!(told > 0, "nobody was told that a gateway goes");
    // Clients come back after both: the gateway goes away, or says that it restarts.
    assert!(outcome.closed.iter().flatten().all(|code| matches!(code, 1001 | 1012)), "{:?}", outcome.closed);
    assert!(outcome.choosy > 0, "filters chose all or nothing");
}
