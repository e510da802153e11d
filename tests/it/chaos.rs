//! Chaos: whatever is killed, what was acknowledged is in the log, and each of many subscribers gets exactly what it
//! wants of it, once and in order.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::crowd::Crowd;
use crate::traffic::seed;

const GATEWAYS: usize = 3;
const SUBSCRIBERS: usize = 50;

/// Rounds where the environment does not say: SLUICE_CHAOS_ROUNDS.
const ROUNDS: usize = 20;

/// After how many rounds everything is checked, and another crowd comes.
const ROUNDS_OF_A_CROWD: usize = 5;

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    GatewayKilled,
    PostgresKilled,
    ConnectionsBroken,
    NatsKilled,
    SocketsCut,
}

const FAULTS: [Fault; 5] =
    [Fault::GatewayKilled, Fault::PostgresKilled, Fault::ConnectionsBroken, Fault::NatsKilled, Fault::SocketsCut];

/// A cluster that things happen to.
struct Chaos {
    cluster: Cluster,
    random: StdRng,
    /// Faults that are to come before any comes again.
    bag: Vec<Fault>,
    fired: BTreeMap<Fault, usize>,
    nats_is_down: bool,
}

impl Chaos {
    async fn start(seed: u64) -> Self {
        let (cluster, random) = (Cluster::start(GATEWAYS).await, StdRng::seed_from_u64(seed));
        Self { cluster, random, bag: Vec::new(), fired: BTreeMap::new(), nats_is_down: false }
    }

    fn next_fault(&mut self) -> Fault {
        if self.bag.is_empty() {
            self.bag = FAULTS.to_vec();
            self.bag.shuffle(&mut self.random);
        }
        self.bag.pop().unwrap()
    }

    async fn pause(&mut self, longest: u64) {
        sleep(Duration::from_millis(self.random.random_range(0..longest))).await;
    }

    /// One or more faults, close together, and what mends them.
    async fn round(&mut self, crowd: &Crowd) {
        let mut killed = HashSet::new();
        loop {
            self.pause(200).await;
            let fault = self.next_fault();
            if self.fire(fault, crowd, &mut killed).await {
                *self.fired.entry(fault).or_default() += 1;
            }
            if self.random.random_bool(0.7) {
                break;
            }
        }
        self.pause(200).await;
        for gateway in killed {
            self.cluster.gateways[gateway].start_again().await;
        }
        // It may be away for rounds.
        if self.nats_is_down && self.random.random_bool(0.5) {
            self.cluster.nats.start_again();
            self.nats_is_down = false;
        }
    }

    /// Does it; gives whether there was something to do it to.
    async fn fire(&mut self, fault: Fault, crowd: &Crowd, killed: &mut HashSet<usize>) -> bool {
        match fault {
            Fault::GatewayKilled => {
                let gateway = self.random.random_range(0..GATEWAYS);
                if !killed.insert(gateway) {
                    return false;
                }
                self.cluster.gateways[gateway].kill().await;
                true
            }
            Fault::PostgresKilled => self.cluster.kill_postgres(),
            Fault::ConnectionsBroken => self.cluster.break_connections().await > 0,
            Fault::NatsKilled if self.nats_is_down => false,
            Fault::NatsKilled => {
                self.cluster.nats.kill().await;
                self.nats_is_down = true;
                true
            }
            Fault::SocketsCut => crowd.cut_sockets() > 0,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_gets_what_it_wants_once_and_in_order_whatever_is_killed() {
    let rounds = std::env::var("SLUICE_CHAOS_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let (seed, started) = (seed(), Instant::now());
    let mut chaos = Chaos::start(seed).await;
    let (traffic, mut acknowledged) = (Crowd::traffic(), HashSet::new());
    let (mut done, mut told, mut choosy, mut closed, mut left) = (0, 0, 0, 0, 0);
    while done < rounds {
        let addresses = chaos.cluster.addresses();
        let crowd_seed = chaos.random.random();
        let crowd = Crowd::start(addresses, SUBSCRIBERS, traffic.clone(), &chaos.cluster.pool, crowd_seed).await;
        for _ in 0..ROUNDS_OF_A_CROWD.min(rounds - done) {
            chaos.round(&crowd).await;
            done += 1;
        }
        let outcome = crowd.finish(&mut acknowledged, &chaos.cluster.pool).await;
        (told, choosy, left) = (told + outcome.told, choosy + outcome.choosy, left + outcome.left);
        closed += outcome.closed.len();
        eprintln!(
            "{done} rounds in {:?} of SLUICE_TEST_SEED={seed}: {:?}; {} events, {told} told to subscribers, {choosy} of \
             which got some and not others; {closed} sockets broken, {left} left",
            started.elapsed(),
            chaos.fired,
            acknowledged.len(),
        );
    }
    assert!(FAULTS.iter().all(|fault| chaos.fired.contains_key(fault)), "not everything was tried: {:?}", chaos.fired);
    assert!(closed > 0 && left > 0, "no subscriber was interrupted");
    assert!(choosy > SUBSCRIBERS / 5, "filters chose all or nothing");
}
