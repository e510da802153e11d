//! What goes wrong on the way, and is made up for.

use std::sync::Arc;
use std::time::Duration;

use okta_sim::{Fault, RateLimit};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use crate::gateway::Gateway;
use crate::okta_org::{OktaOrg, wait_until};
use crate::traffic::seed;

#[tokio::test]
async fn faults_of_oktas_are_waited_out() {
    let mut org = OktaOrg::start().await;
    org.happen(3);
    org.api.fail_logs(Fault::Status(500), 1);
    org.api.fail_logs(Fault::BrokenAnswer, 1);
    org.api.fail_logs(Fault::Status(403), 1);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 3).await;
    org.api.fail_logs(Fault::Status(503), 1);
    org.api.fail_logs(Fault::Status(401), 1);
    org.happen(3);
    org.wait_for(&gateway.database.pool, 6).await;
    org.assert_stored(&gateway.database.pool).await;
    let cursor = gateway.database.store().ledger().poll_cursor("acme").await.unwrap().unwrap();
    wait_until("no error any more", async || {
        gateway.database.store().ledger().poll_cursor("acme").await.unwrap().unwrap().last_error.is_none()
    })
    .await;
    assert!(cursor.revision > 1);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_to_its_reset() {
    let mut org =
        OktaOrg::start_with(|options| options.rate = RateLimit { requests: 5, window: Duration::from_secs(3) }).await;
    org.happen(3);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 3).await;
    // Somebody else uses up what is left.
    org.api.use_up_logs(5);
    org.happen(3);
    org.wait_for(&gateway.database.pool, 6).await;
    let refused = org.requests().filter(|request| request.status == 429).count();
    assert!(refused <= 2, "{refused} requests were made in vain");
    // Too many at once says nothing of the limit, and is over soon.
    org.api.fail_logs(Fault::TooManyAtOnce, 1);
    org.happen(3);
    org.wait_for(&gateway.database.pool, 9).await;
    org.assert_stored(&gateway.database.pool).await;
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_not_followed() {
    let mut org = OktaOrg::start_with(|options| options.link_origin = Some("http://127.0.0.1:9".to_owned())).await;
    org.happen(3);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let ledger = gateway.database.store().ledger();
    wait_until("a refusal", async || {
        let cursor = ledger.poll_cursor("acme").await.unwrap();
        cursor.is_some_and(|cursor| {
            cursor.last_error.is_some_and(|error| error.message.contains("leads to http://127.0.0.1:9"))
        })
    })
    .await;
    assert_eq!(gateway.database.number("SELECT count(*) FROM arrival").await, 0);
    assert_eq!(ledger.poll_cursor("acme").await.unwrap().unwrap().next_link, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_token_elsewhere() {
    let mut org = OktaOrg::start().await;
    let elsewhere = OktaOrg::start().await;
    org.happen(3);
    org.api.fail_logs(Fault::RedirectTo(elsewhere.api.address()), 2);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let ledger = gateway.database.store().ledger();
    let error = async || {
        ledger.poll_cursor("acme").await.unwrap().and_then(|cursor| cursor.last_error).map(|error| error.message)
    };
    wait_until("the refusal", async || error().await.is_some_and(|error| error.contains("it redirects (302 Found)")))
        .await;
    org.wait_for(&gateway.database.pool, 3).await;
    org.assert_stored(&gateway.database.pool).await;
    assert_eq!(elsewhere.api.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_between_a_page_and_its_commit_costs_nothing() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut org = OktaOrg::start().await;
    org.have_history(6000, 24);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let pool = gateway.database.pool.clone();
    org.wait_for(&pool, 1000).await;
    let kill = Arc::new(async move || {
        // Every connection but this one, whatever it is in the middle of: pages, commits, the lead.
        let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'sluice'";
        let killed: i64 = sqlx::query_scalar(others).fetch_one(&pool).await.unwrap();
        killed
    });
    let mut killed = 0;
    for _ in 0..12 {
        sleep(Duration::from_millis(random.random_range(10..250))).await;
        killed += kill().await;
        org.happen(random.random_range(0..20));
    }
    let expected = org.api.log().len();
    org.wait_for(&gateway.database.pool, expected).await;
    org.assert_stored(&gateway.database.pool).await;
    assert!(killed > 12, "{killed} connections were ended");
    assert_eq!(org.starts(), 1, "it went on by its links");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_read_once() {
    const BURST: usize = 100_000;
    let mut org = OktaOrg::start().await;
    org.happen(10);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 10).await;
    let before = org.polls().count();
    org.have_history(BURST, 1);
    org.wait_for(&gateway.database.pool, BURST + 10).await;
    let full = org.polls().skip(before).count();
    // A page for each thousand, those of the wait before included, and none again.
    wait_until("the tally", async || {
        let tallies = gateway.database.store().ledger().tallies().await.unwrap();
        tallies.first().is_some_and(|tally| tally.arrived == i64::try_from(BURST).unwrap() + 10)
    })
    .await;
    assert!(full >= BURST / 1000, "{full} pages");
    assert_eq!(org.starts(), 1, "it went on by its links");
}
