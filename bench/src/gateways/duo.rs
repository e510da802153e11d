//! Two gateways over one database: A, which is under load and has the subscribers, and B, which takes in little.

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
use crate::load::{Identities, Paced, Taken};
use crate::postgres::Cluster;
use crate::report::{count, millis, percentile};

/// How many events a second gateway B takes in: one per 50 ms.
const OTHERS_RATE: u32 = 20;

/// How long an election of who publishes by NATS may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The gateways and their database.
#[derive(Debug)]
pub(super) struct Duo {
    a: Gateway,
    b: Gateway,
    cluster: Cluster,
    identities: Rc<Identities>,
}

/// What is measured at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// What gateway A is offered.
    pub(super) load: Paced,
    /// How many subscribe at A.
    pub(super) subscribers: usize,
    /// Whether B takes in nothing.
    pub(super) is_other_silent: bool,
}

impl Duo {
    /// Starts the gateways. Where they have NATS between them, B is the one that publishes: what A's subscribers get of B
    /// travels by NATS then, while A would read its own database if it published itself.
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

    /// Offers events to A while B takes in nothing, and nobody subscribes.
    pub(super) async fn offer(&self, load: Paced, events: &[ReceivedEvent]) -> Result<Taken> {
        load.send(self.a.address(), events, &self.identities).await
    }

    /// Measures a round.
    pub(super) async fn measure(&mut self, round: Round, events: &[ReceivedEvent]) -> Result<Measurement> {
        let Round { load, subscribers, is_other_silent } = round;
        self.cluster.checkpoint().await?;
        let before = i64::try_from(self.cluster.head().await?)?;
        let subscribers = Subscribers::gather(self.a.address(), subscribers, before).await?;
        let (tell, through) = watch::channel(None);
        let others = Paced { rate: if is_other_silent { 0 } else { OTHERS_RATE }, connections: 1, ..load };
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
        // Events of one commit have one time.
        let times: HashSet<_> = commits.values().copied().collect();
        for commit in commits.values_mut() {
            // A commit can be seen once it is on the disk.
            *commit += flush;
        }
        let lags = got.lags(&commits);
        Ok(Measurement {
            rate: of_a.rate(),
            others_rate: of_b.rate(),
            commits: count(times.len()) / of_a.elapsed.as_secs_f64(),
            p50: millis(percentile(&lags, 50)),
            p99: millis(percentile(&lags, 99)),
            with_flush: [50, 99].map(|percent| millis(percentile(&with_flush, percent))),
            silence: millis(got.silence),
            lost: count(usize::try_from(got.lost)?),
            doubled: count(usize::try_from(got.doubled)?),
        })
    }

    /// Stops both.
    pub(super) async fn stop(self) -> Result<()> {
        self.a.stop().await?;
        self.b.stop().await
    }
}

/// Waits until a metric of a gateway is 1.
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
