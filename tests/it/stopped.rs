//! A gateway that stops in the middle of anything, and holds nobody up for longer than its time-out.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::database::TestDatabase;
use crate::events::{delivery, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, settings};
use crate::process::GatewayProcess;
use crate::traffic::{Traffic, seed};

const STOPS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_gateway_does_not_hold_up_another_for_longer_than_its_time_out() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let stopped = GatewayProcess::start_with("[limits]\nappend_seconds = 1\n").await;
    let database = TestDatabase { url: stopped.database_url(), pool: stopped.pool() };
    let other = Gateway::start_over(database.clone(), settings(&database)).await;
    let (traffic, stop) = (Traffic::new(), CancellationToken::new());
    let senders: Vec<_> = (0..4)
        .map(|number| tokio::spawn(traffic.clone().send(seed.wrapping_add(number), stopped.address, stop.clone())))
        .collect();
    let mut held_up = Duration::ZERO;
    let mut acknowledged = HashSet::new();
    for _ in 0..STOPS {
        sleep(Duration::from_millis(random.random_range(5..60))).await;
        stopped.signal(Signal::STOP);
        let event = sync_event("other");
        let since = Instant::now();
        // Without the time-out it would wait for ever: the other does not go on before this is acknowledged.
        let delivered = timeout(Duration::from_secs(30), other.deliver(std::slice::from_ref(&event))).await;
        assert!(delivered.is_ok(), "a stopped gateway holds up another");
        held_up = held_up.max(since.elapsed());
        acknowledged.insert(uuid(&event).to_owned());
        stopped.signal(Signal::CONT);
    }
    stop.cancel();
    let mut broken = 0;
    for sender in senders {
        let sent = sender.await.unwrap();
        acknowledged.extend(sent.acknowledged);
        broken += sent.broken;
    }
    let log = check_log(&database.pool).await;
    eprintln!("{} events, held up for at most {held_up:?}", log.len());
    assert_eq!(log.into_iter().collect::<HashSet<_>>(), acknowledged);
    assert_eq!(broken, 0, "every delivery was answered");
    other.stop().await;
}

#[tokio::test]
async fn while_a_stranger_holds_the_head_appends_are_refused_in_time_and_work_afterwards() {
    let gateway = Gateway::start_with(|settings| settings.limits.append_seconds = 1).await;
    let mut stranger = gateway.database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *stranger).await.unwrap();
    let events = sync_events("one", 2);
    for _ in 0..2 {
        let (status, answer) = gateway.post_hook(delivery(&events).to_string()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert_eq!(answer["error"]["code"], "UNAVAILABLE");
    }
    assert_eq!(gateway.head().await, "0", "questions are answered meanwhile");
    stranger.rollback().await.unwrap();
    let receipt = gateway.deliver(&events).await;
    assert_eq!(receipt["stored"], 2, "nothing of what was refused is there: {receipt}");
    assert_eq!(check_log(&gateway.database.pool).await, [uuid(&events[0]), uuid(&events[1])]);
}

#[tokio::test]
async fn a_gateway_that_holds_the_head_without_a_word_is_cut_off_by_the_database() {
    let gateway = Gateway::start().await;
    // As a gateway of the same settings would connect, and then be stopped in the middle of its transaction.
    let url = format!(
        "{}?application_name=sluice&options=-c%20idle_in_transaction_session_timeout%3D200",
        gateway.database.url
    );
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let mut silent = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *silent).await.unwrap();
    gateway.deliver(&sync_events("one", 2)).await;
    assert!(silent.commit().await.is_err(), "the silent one was not cut off");
    assert_eq!(check_log(&gateway.database.pool).await.len(), 2);
}
