//! The proof that nothing is missing: whatever is lost, doubled, delayed or killed, the log ends up as Okta's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use okta_sim::{Behaviour, Delivery, DeliveryPlan, Fault, LogEvent};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sluice::okta::OFFERED_TO_HOOKS;
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::consistency::check_log;
use crate::coverage::verified;
use crate::database::TestDatabase;
use crate::gateway::{Gateway, settings};
use crate::okta_org::OktaOrg;
use crate::traffic::seed;

/// How many runs there are.
const RUNS: u64 = 50;

/// How many of them go on at once.
const AT_ONCE: usize = 8;

/// Events that hooks brought, by uuid.
type Brought = HashSet<String>;

/// One run: an org, two gateways, and trouble.
struct Run {
    org: OktaOrg,
    gateways: Vec<Gateway>,
    database: TestDatabase,
    random: StdRng,
    brought: Brought,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut org = OktaOrg::start_with(|options| options.joined_links = seed.is_multiple_of(2)).await;
        org.have_history(random.random_range(0..1500), 24);
        let database = TestDatabase::new().await;
        let mut gateways = Vec::new();
        for _ in 0..2 {
            let mut settings = settings(&database);
            org.read_by(&mut settings);
            gateways.push(Gateway::start_over(database.clone(), settings).await);
        }
        Self { org, gateways, database, random, brought: Brought::new() }
    }

    /// Some things happen, each persisted now or late, and are told by hooks, as well as those go.
    async fn happen(&mut self, late: &mut Vec<LogEvent>) {
        let now = OffsetDateTime::now_utc();
        let mut events = Vec::new();
        for _ in 0..self.random.random_range(1..60) {
            let event = self.org.organisation.event_at(now);
            if self.random.random_bool(0.1) {
                late.push(event.clone());
            } else {
                self.org.api.log().record(&event);
            }
            if OFFERED_TO_HOOKS.contains(&event.event_type) {
                events.push(Arc::new(event));
            }
        }
        let behaviour = Behaviour { batch: 5, duplicates: 0.1, repeated: 0.1, late: 0.2, reordered: 0.2 };
        let hook = Arc::clone(self.org.organisation.hook());
        let deliveries: Vec<_> = DeliveryPlan::new(hook, events, behaviour, self.random.random()).collect();
        for delivery in deliveries {
            if self.random.random_bool(0.3) {
                self.org.api.log().record(&delivery.failure(OffsetDateTime::now_utc()));
            } else {
                self.deliver(&delivery).await;
            }
        }
    }

    /// Delivers to one of the gateways; it may be refused, while its database is in trouble.
    async fn deliver(&mut self, delivery: &Delivery) {
        let at = self.random.random_range(0..self.gateways.len());
        let (status, _) = self.gateways[at].post_hook(delivery.json()).await;
        if status.is_success() {
            self.brought.extend(delivery.events.iter().map(|event| event.uuid.to_string()));
        }
    }

    /// Something goes wrong.
    async fn trouble(&mut self) {
        match self.random.random_range(0..6) {
            0 => self.org.api.expire_links(),
            1 => self.org.api.fail_logs(Fault::Status(500), 1),
            2 => self.org.api.fail_logs(Fault::TooManyAtOnce, 1),
            3 => self.org.api.fail_logs(Fault::BrokenAnswer, 1),
            // Pages, commits and the lead, whatever is in the middle of it.
            4 => {
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                           WHERE datname = current_database() AND application_name = 'sluice'";
                self.database.number(sql).await;
            }
            _ => {}
        }
        sleep(Duration::from_millis(self.random.random_range(0..120))).await;
    }

    /// The log is Okta's, each event once, with the ways by which it came, and the number that hooks missed is true.
    async fn check(self) {
        let entries = self.org.api.log().entries();
        self.org.wait_for(&self.database.pool, entries.len()).await;
        let log = check_log(&self.database.pool).await;
        assert_eq!(log.len(), entries.len());
        let happened: HashSet<_> = entries.iter().map(|entry| entry.uuid.to_string()).collect();
        assert_eq!(log.iter().cloned().collect::<HashSet<_>>(), happened);
        // The end, and then some: what hooks brought first comes by the System Log, too.
        let until = OffsetDateTime::now_utc();
        let whole = verified(&self.gateways[1], until - time::Duration::hours(25), until).await;
        let ways: Vec<(String, bool, bool)> =
            sqlx::query_as("SELECT uuid::text, event_hook_at IS NOT NULL, system_log_at IS NOT NULL FROM arrival")
                .fetch_all(&self.database.pool)
                .await
                .unwrap();
        assert!(ways.iter().all(|(_, _, by_log)| *by_log), "not all came by the System Log");
        let ways: HashMap<_, _> = ways.into_iter().map(|(uuid, by_hook, _)| (uuid, by_hook)).collect();
        // What a gateway refused may be stored all the same, where only the answer was lost: then it came by a hook.
        assert!(self.brought.iter().all(|uuid| ways[uuid]), "a hook that was acknowledged is forgotten");
        let offered = entries.iter().filter(|entry| OFFERED_TO_HOOKS.contains(&entry.event_type.as_str()));
        // Events before the first delivery count as not missed; without a delivery no event counts as missed.
        let first = "SELECT first_arrival_at FROM ingest_tally WHERE source = 0";
        let first: Option<OffsetDateTime> =
            sqlx::query_scalar(first).fetch_optional(&self.database.pool).await.unwrap();
        let in_millis = |at: OffsetDateTime| at.unix_timestamp_nanos() / 1_000_000;
        let is_since = |at| first.is_some_and(|first| in_millis(at) >= in_millis(first));
        let missed = offered.filter(|entry| is_since(entry.published) && !ways[&entry.uuid.to_string()]).count();
        assert_eq!(whole["events"], entries.len(), "{whole}");
        assert_eq!(whole["missedByHooks"], missed, "{whole}");
        for gateway in self.gateways {
            gateway.stop().await;
        }
    }
}

async fn run(seed: u64) {
    eprintln!("a run of SLUICE_TEST_SEED={seed}");
    let mut run = Run::start(seed).await;
    let mut late = Vec::new();
    for round in 0..5 {
        run.happen(&mut late).await;
        run.trouble().await;
        if round == 2 && run.random.random_bool(0.3) {
            // The one that may be reading ends; another one comes.
            let gateway = run.gateways.remove(0);
            gateway.stop().await;
            let mut settings = settings(&run.database);
            run.org.read_by(&mut settings);
            run.gateways.push(Gateway::start_over(run.database.clone(), settings).await);
        }
    }
    late.shuffle(&mut run.random);
    for event in &late {
        run.org.api.log().record(event);
    }
    run.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_the_log_ends_up_as_oktas() {
    let first = seed();
    // They wait most of the time: for what settles, for the next attempt, for the lead.
    let runs = (0..RUNS).map(|number| run(first.wrapping_add(number)));
    stream::iter(runs).buffer_unordered(AT_ONCE).collect::<()>().await;
}
