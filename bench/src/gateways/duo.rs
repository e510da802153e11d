//! Two gateways over one database: A is under load and has the subscribers, and B stores few events or none.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use sluice::event::ReceivedEvent;
use tokio::sync::watch;
use tokio::time::sleep;

use super::subscribers::Subscribers;
use super::table::Measurement;
use crate::gateway::Gateway;
use crate::load::{Identities, Paced, PacedResult};
use crate::postgres::Cluster;
use crate::report::{count, millis, percentile};

/// Events a second that gateway B stores where it is not silent: one per 50 ms.
const B_RATE: u32 = 20;

/// Time limit for gateway B's election as the NATS publisher, and for gateway A's connection to NATS.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two gateways and their database.
#[derive(Debug)]
pub(super) struct GatewayPair {
    a: Gateway,
    b: Gateway,
    cluster: Cluster,
    identities: Rc<Identities>,
}

/// One measurement: its load and its subscribers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The load on gateway A.
    pub(super) load: Paced,
    /// The number of subscribers at gateway A.
    pub(super) subscribers: usize,
    /// True when gateway B stores no events.
    pub(super) is_b_silent: bool,
}

impl GatewayPair {
    /// Starts the gateways. With NATS, B starts first and becomes the publisher, so that B's events reach A's
    /// subscribers over NATS: A would read the database if it were the publisher itself.
    pub(super) async fn start(program: &Path, directory: &Path, url: String, nats: Option<&str>) -> Result<Self> {
        let nats = nats.map(|nats| ("SLUICE_NATS_URL", nats));
        let variables: Vec<_> = [("DATABASE_URL", url.as_str())].into_iter().chain(nats).collect();
        let (home_of_a, home_of_b) = (directory.join("a"), directory.join("b"));
        fs::create_dir(&home_of_a)?;
        fs::create_dir(&home_of_b)?;
        let b = Gateway::start_with(program, &home_of_b, &variables).await?;
        if nats.is_some() {
            wait_for(&b, "sluice_nats_publishing").await?;
        }
        let a = Gateway::start_with(program, &home_of_a, &variables).await?;
        if nats.is_some() {
            wait_for(&a, "sluice_nats_connected").await?;
        }
        Ok(Self { a, b, cluster: Cluster::at(url).await?, identities: Rc::new(Identities::starting_now()) })
    }

    /// Offers events to A, without subscribers and while B stores none.
    pub(super) async fn offer(&self, load: Paced, events: &[ReceivedEvent]) -> Result<PacedResult> {
        load.send(self.a.address(), events, &self.identities).await
    }

    /// Measures one round.
    pub(super) async fn measure(&mut self, round: Round, events: &[ReceivedEvent]) -> Result<Measurement> {
        let Round { load, subscribers, is_b_silent } = round;
        self.cluster.checkpoint().await?;
        let before = i64::try_from(self.cluster.head().await?)?;
        let subscribers = Subscribers::gather(self.a.address(), subscribers, before).await?;
        let (tell, through) = watch::channel(None);
        let others = Paced { rate: if is_b_silent { 0 } else { B_RATE }, connections: 1, ..load };
        let Self { a, b, cluster, identities } = self;
        let loaded = async {
            let (of_a, of_b, flush) = tokio::join!(
                load.send(a.address(), events, identities),
                others.send(b.address(), events, identities),
                cluster.watch_flushes(load.duration)
            );
            let head = i64::try_from(cluster.head().await?)?;
            tell.send_replace(Some(head));
            anyhow::Ok((of_a?, of_b?, flush?, head))
        };
        let (loaded, got) = tokio::join!(loaded, subscribers.listen(through));
        let ((of_a, of_b, flush, head), got) = (loaded?, got?);
        let stored = usize::try_from(head - before)?;
        let acknowledged = of_a.events + of_b.events;
        ensure!(stored == acknowledged, "{acknowledged} events were acknowledged, and the log has {stored} more");
        let mut commits = self.cluster.commits(before + 1, head).await?;
        let with_flush = got.lags(&commits);
        // All events of one commit have the same commit time.
        let times: HashSet<_> = commits.values().copied().collect();
        for commit in commits.values_mut() {
            // A commit becomes visible only after its flush to disk.
            *commit += flush;
        }
        let lags = got.lags(&commits);
        Ok(Measurement {
            rate: of_a.rate(),
            b_rate: of_b.rate(),
            commits: count(times.len()) / of_a.elapsed.as_secs_f64(),
            p50: millis(percentile(&lags, 50)),
            p99: millis(percentile(&lags, 99)),
            with_flush: [50, 99].map(|percent| millis(percentile(&with_flush, percent))),
            silence: millis(got.silence),
            lost: count(usize::try_from(got.lost)?),
            doubled: count(usize::try_from(got.doubled)?),
        })
    }

    /// Stops both gateways.
    pub(super) async fn stop(self) -> Result<()> {
        self.a.stop().await?;
        self.b.stop().await
    }
}

/// Waits until a gateway's metric is above 0.
async fn wait_for(gateway: &Gateway, metric: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if gateway.metric(metric).await?.is_some_and(|value| value > 0.0) {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("{metric} is not 1 after {PATIENCE:?}")
}
