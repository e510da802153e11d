//! Positions: whatever fails meanwhile, they are gapless, in the order of commits, and seen once, in order.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::database::TestDatabase;
use crate::events::{sync_event, uuid};
use crate::gateway::{Gateway, settings};
use crate::traffic::{Traffic, follow, seed};

/// How long everything is made to fail.
const TROUBLE: Duration = Duration::from_secs(4);

const GATEWAYS: u64 = 3;
const WRITERS: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_gapless_and_followed_in_order_while_connections_die() {
    let seed = seed();
    let database = TestDatabase::new().await;
    let mut gateways = Vec::new();
    for _ in 0..GATEWAYS {
        gateways.push(Gateway::start_over(database.clone(), settings(&database)).await);
    }
    let (traffic, stop) = (Traffic::new(), CancellationToken::new());
    let last = sync_event("last");
    let followers: Vec<_> =
        gateways.iter().map(|gateway| tokio::spawn(follow(gateway.address, uuid(&last).to_owned()))).collect();
    let reader = tokio::spawn(read_raw(database.pool.clone(), uuid(&last).to_owned()));
    let mut writers = Vec::new();
    for (number, gateway) in (0..).zip(&gateways) {
        writers.extend((0..WRITERS).map(|writer| {
            let seed = seed.wrapping_add(number * WRITERS + writer);
            tokio::spawn(traffic.clone().send(seed, gateway.address, stop.clone()))
        }));
    }
    let faults = make_trouble(&database.pool, seed).await;
    stop.cancel();
    let mut acknowledged = HashSet::new();
    let mut refused = 0;
    for writer in writers {
        let sent = writer.await.unwrap();
        acknowledged.extend(sent.acknowledged);
        refused += sent.refused;
    }
    gateways[0].deliver(std::slice::from_ref(&last)).await;
    acknowledged.insert(uuid(&last).to_owned());

    let log = check_log(&database.pool).await;
    eprintln!("{} events, {faults:?}, {refused} deliveries sent again", log.len());
    assert_eq!(log.iter().cloned().collect::<HashSet<_>>(), acknowledged, "what was acknowledged is in the log");
    assert!(reader.await.unwrap() == log, "the raw reader saw another log");
    for follower in followers {
        assert!(follower.await.unwrap().0 == log, "a subscriber saw another log");
    }
    assert!(faults.terminated > 0 && faults.rolled_back > 0, "nothing was put to the test: {faults:?}");
}

/// How often something was made to fail.
#[derive(Debug, Default)]
struct Faults {
    terminated: usize,
    rolled_back: usize,
}

/// Terminates connections of gateways, and takes positions and gives them back.
async fn make_trouble(pool: &PgPool, seed: u64) -> Faults {
    let mut random = StdRng::seed_from_u64(!seed);
    let mut faults = Faults::default();
    let end = tokio::time::Instant::now() + TROUBLE;
    while tokio::time::Instant::now() < end {
        sleep(Duration::from_millis(random.random_range(5..80))).await;
        if random.random_bool(0.3) {
            let mut rogue = pool.begin().await.unwrap();
            sqlx::query("UPDATE log_head SET position = position + 7").execute(&mut *rogue).await.unwrap();
            sleep(Duration::from_millis(random.random_range(0..60))).await;
            rogue.rollback().await.unwrap();
            faults.rolled_back += 1;
        } else {
            faults.terminated += terminate_one(pool, &mut random).await;
        }
    }
    faults
}

/// Terminates a connection of a gateway, sooner one that is in the middle of something.
async fn terminate_one(pool: &PgPool, random: &mut StdRng) -> usize {
    let connections: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice' \
         ORDER BY state <> 'idle' DESC, pid",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let among = if random.random_bool(0.7) { connections.len().min(3) } else { connections.len() };
    let Some(connection) = (among > 0).then(|| connections[random.random_range(0..among)]) else { return 0 };
    let terminated: bool =
        sqlx::query_scalar("SELECT pg_terminate_backend($1)").bind(connection).fetch_one(pool).await.unwrap();
    usize::from(terminated)
}

/// Reads on from the last position through the event with this uuid. Positions must come in order: none may appear
/// before one that was read.
async fn read_raw(pool: PgPool, through: String) -> Vec<String> {
    let mut uuids: Vec<String> = Vec::new();
    while uuids.last() != Some(&through) {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT position, uuid::text FROM arrival WHERE position > $1 ORDER BY position")
                .bind(i64::try_from(uuids.len()).unwrap())
                .fetch_all(&pool)
                .await
                .unwrap();
        for (position, uuid) in rows {
            assert_eq!(usize::try_from(position).unwrap(), uuids.len() + 1, "a position appeared out of order");
            uuids.push(uuid);
        }
        sleep(Duration::from_millis(3)).await;
    }
    uuids
}
