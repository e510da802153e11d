//! The System Log poller: everything that Okta persists is stored once, whatever happens on the way.

use std::time::Duration;

use serde_json::Value;
use sluice::event::{EventTypePattern, Timestamp};
use time::OffsetDateTime;

use crate::database::TestDatabase;
use crate::gateway::{Gateway, ORG, settings};
use crate::okta_org::{OktaOrg, count, wait_until};

async fn read(org: &OktaOrg) -> Gateway {
    Gateway::start_with(|settings| org.read_by(settings)).await
}

#[tokio::test]
async fn history_is_read_then_what_happens_link_by_link() {
    let mut org = OktaOrg::start().await;
    org.have_history(2500, 80 * 24);
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 2500).await;
    for events in [1, 3, 200] {
        org.happen(events);
        let expected = org.api.log().len();
        org.wait_for(&gateway.database.pool, expected).await;
    }
    org.assert_stored(&gateway.database.pool).await;
    assert_eq!(org.starts(), 1, "only the first request has no link");
    let first = org.requests().next().unwrap();
    assert!(first.query.contains("sortOrder=ASCENDING") && !first.query.contains("until="), "{first:?}");
    assert!(first.query.contains("limit=1000") && !first.query.contains("filter="), "{first:?}");
    let newest = gateway.query("{ syncEvents(first: 1) { nodes { receivedVia } } }").await;
    assert_eq!(newest["syncEvents"]["nodes"][0]["receivedVia"], serde_json::json!(["SYSTEM_LOG"]));
}

#[tokio::test]
async fn an_event_that_was_persisted_late_is_not_skipped() {
    let mut org = OktaOrg::start().await;
    org.happen(10);
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 10).await;
    for minutes in [20, 300, 20] {
        org.happen_at(OffsetDateTime::now_utc() - time::Duration::minutes(minutes));
        org.happen(1);
        let expected = org.api.log().len();
        org.wait_for(&gateway.database.pool, expected).await;
    }
    org.assert_stored(&gateway.database.pool).await;
}

#[tokio::test]
async fn an_event_ahead_of_oktas_clock_does_not_move_the_known_end_of_the_log_ahead() {
    let mut org = OktaOrg::start().await;
    org.happen_at(OffsetDateTime::now_utc() + time::Duration::minutes(10));
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 1).await;
    let cursor = gateway.database.store().ledger().poll_cursor(ORG).await.unwrap().unwrap();
    assert!(cursor.read_through <= Timestamp::now(), "{cursor:?}");
}

#[tokio::test]
async fn no_stretch_of_time_is_verified_before_it_has_settled() {
    let mut org = OktaOrg::start().await;
    org.have_history(50, 6);
    let gateway = Gateway::start_with(|settings| {
        org.read_by(settings);
        settings.orgs.get_mut(ORG).unwrap().api.as_mut().unwrap().options.settle = Duration::from_hours(1);
    })
    .await;
    let number = async |sql| gateway.database.number(sql).await;
    let verified = "SELECT count(*) FROM read_window WHERE until_at > now() - interval '2 hours'";
    wait_until("a verified stretch", async || number(verified).await > 0).await;
    let reads = || org.requests().filter(|request| request.query.contains("until=")).count();
    wait_until("two more reads", async || reads() >= 2).await;
    assert_eq!(number("SELECT count(*) FROM read_window WHERE until_at > now() - interval '1 hour'").await, 0);
}

#[tokio::test]
async fn only_what_is_wanted_is_asked_for() {
    let mut org = OktaOrg::start().await;
    org.happen(300);
    let gateway = Gateway::start_with(|settings| {
        org.read_by(settings);
        let types = ["application.provision.user.*"].into_iter().filter_map(EventTypePattern::parse);
        settings.orgs.get_mut(ORG).unwrap().event_types = types.collect();
    })
    .await;
    let wanted = |name: &str| name.starts_with("application.provision.user.");
    let expected = org.api.log().entries().iter().filter(|entry| wanted(&entry.event_type)).count();
    org.wait_for(&gateway.database.pool, expected).await;
    wait_until("a second request", async || org.polls().count() > 2).await;
    assert_eq!(count(&gateway.database.pool).await, expected);
    let asked = org.requests().next().unwrap().query;
    for term in ["event_hook.delivery", "application.lifecycle.", "application.provision.user."] {
        assert!(asked.contains(term), "{asked}");
    }
}

#[tokio::test]
async fn a_refused_link_costs_no_more_than_the_overlap() {
    let mut org = OktaOrg::start().await;
    org.have_history(1500, 48);
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 1500).await;
    let before = org.api.log().entries();
    for _ in 0..3 {
        org.happen(20);
        let expected = org.api.log().len();
        org.wait_for(&gateway.database.pool, expected).await;
        org.api.expire_links();
        wait_until("a request by a new link", async || org.polls().last().is_some_and(|last| last.status == 200)).await;
    }
    org.happen(5);
    let expected = org.api.log().len();
    org.wait_for(&gateway.database.pool, expected).await;
    org.assert_stored(&gateway.database.pool).await;
    let starts: Vec<_> = org.polls().filter(|request| !request.query.contains("after=")).collect();
    assert!((2..=4).contains(&starts.len()), "{starts:?}");
    // Each start but the first is close to the end: what is read again happened in the last minutes.
    let oldest = before[0].published;
    assert!(since(&starts[0].query) < oldest);
    for start in &starts[1..] {
        // The last answer before the refusal was for a moment before this request.
        let back = start.at - since(&start.query);
        assert!((time::Duration::minutes(5)..time::Duration::minutes(7)).contains(&back), "{back}");
    }
}

#[tokio::test]
async fn the_link_of_an_empty_page_is_asked_again_until_there_is_more() {
    let mut org = OktaOrg::start().await;
    org.happen(3);
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 3).await;
    let queries = |org: &OktaOrg| org.polls().map(|request| request.query).collect::<Vec<_>>();
    let asked = queries(&org).len();
    wait_until("idle polls", async || queries(&org).len() >= asked + 4).await;
    // The first of these may have brought the events.
    let mut idle = queries(&org).split_off(asked + 1);
    idle.truncate(3);
    assert!(idle[0].contains("after=") && idle.iter().all(|query| *query == idle[0]), "{idle:?}");
    org.happen(2);
    org.wait_for(&gateway.database.pool, 5).await;
    org.assert_stored(&gateway.database.pool).await;
    wait_until("a poll by another link", async || queries(&org).last() != Some(&idle[0])).await;
}

#[tokio::test]
async fn other_event_types_have_what_okta_kept_read_again() {
    let mut org = OktaOrg::start().await;
    org.have_history(400, 24);
    let database = TestDatabase::new().await;
    let with = |types: &[&str]| {
        let mut settings = settings(&database);
        org.read_by(&mut settings);
        let types = types.iter().filter_map(|text| EventTypePattern::parse(text)).collect();
        settings.orgs.get_mut(ORG).unwrap().event_types = types;
        settings
    };
    let entries = org.api.log().entries();
    let number = |prefix: &str| entries.iter().filter(|entry| entry.event_type.starts_with(prefix)).count();
    let few = with(&["system.import.*"]);
    let gateway = Gateway::start_over(database.clone(), few).await;
    org.wait_for(&database.pool, number("system.import.")).await;
    gateway.stop().await;
    assert_eq!(count(&database.pool).await, number("system.import."));
    let gateway = Gateway::start_over(database.clone(), with(&["*"])).await;
    org.wait_for(&database.pool, 400).await;
    org.assert_stored(&database.pool).await;
    assert_eq!(org.starts(), 2);
    gateway.stop().await;
    // The same types again go on where they were.
    let gateway = Gateway::start_over(database.clone(), with(&["*"])).await;
    org.happen(7);
    org.wait_for(&database.pool, 407).await;
    assert_eq!(org.starts(), 2);
    gateway.stop().await;
}

#[tokio::test]
async fn of_two_gateways_one_reads_and_the_other_takes_over_within_seconds() {
    let mut org = OktaOrg::start().await;
    org.happen(5);
    let database = TestDatabase::new().await;
    let settings = || {
        let mut settings = settings(&database);
        org.read_by(&mut settings);
        settings
    };
    let (first_settings, second_settings) = (settings(), settings());
    let first = Gateway::start_over(database.clone(), first_settings).await;
    org.wait_for(&database.pool, 5).await;
    let second = Gateway::start_over(database.clone(), second_settings).await;
    // The second has tried to lead, and its connection goes on trying.
    let tries = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND query LIKE 'SELECT pg_try_advisory_lock%' \
                 AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)";
    wait_until("the second tries", async || database.number(tries).await > 0).await;
    let leaders = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                   WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.granted";
    assert_eq!(database.number(leaders).await, 1);
    first.stop().await;
    org.happen(5);
    org.wait_for(&database.pool, 10).await;
    org.assert_stored(&database.pool).await;
    assert_eq!(org.starts(), 1, "the second one goes on by the link");
    second.stop().await;
}

#[tokio::test]
async fn requests_stay_within_the_share_of_the_limit() {
    const WINDOW: i64 = 3;
    let mut org = OktaOrg::start_with(|options| {
        options.rate = okta_sim::RateLimit { requests: 12, window: Duration::from_secs(3) };
    })
    .await;
    org.have_history(9500, 48);
    let gateway = Gateway::start_with(|settings| {
        org.read_by(settings);
        let api = settings.orgs.get_mut(ORG).unwrap().api.as_mut().unwrap();
        (api.options.rate_share, api.options.poll_interval) = (0.5, Duration::from_millis(1));
    })
    .await;
    org.wait_for(&gateway.database.pool, 9500).await;
    // Requests of more than one whole window.
    wait_until("requests", async || org.requests().count() > 18).await;
    let requests: Vec<_> = org.requests().collect();
    assert!(requests.iter().all(|request| request.status == 200), "{requests:?}");
    // Windows begin with their first request, as the limit has it.
    let (mut ends, mut in_window, mut most) = (0, 0, 0);
    for request in &requests {
        let second = request.at.unix_timestamp();
        if second >= ends {
            (ends, in_window) = (second + WINDOW, 0);
        }
        in_window += 1;
        most = most.max(in_window);
    }
    assert!((5..=6).contains(&most), "{most} of 6 in a window: {requests:?}");
}

/// A full page does not end the log: while more may follow, the history counts as being read.
#[tokio::test]
async fn after_a_full_page_the_log_is_not_read_to_its_end() {
    // Okta answers a single request.
    let rate = okta_sim::RateLimit { requests: 1, window: Duration::from_hours(1) };
    let mut org = OktaOrg::start_with(|options| options.rate = rate).await;
    org.have_history(1500, 48);
    let gateway = read(&org).await;
    org.wait_for(&gateway.database.pool, 1000).await;
    let cursor = gateway.database.store().ledger().poll_cursor(ORG).await.unwrap().unwrap();
    assert_eq!(cursor.caught_up_at, None);
    let source = system_log(&gateway).await;
    assert_eq!(source["state"], "BACKFILLING");
    let backfill = &source["backfill"];
    let progress = backfill["progress"].as_f64().unwrap();
    assert!(progress > 0.0 && progress < 1.0, "{source}");
    let [from, through, until] = ["from", "through", "until"].map(|edge| backfill[edge].as_str().unwrap());
    assert!(from < through && through < until, "{source}");
}

/// The status of the source SYSTEM_LOG, as the graph has it.
async fn system_log(gateway: &Gateway) -> Value {
    let query = "{ ingestion { sources { state backfill { from through until progress } lastError { message } } } }";
    let sources = gateway.query(query).await["ingestion"]["sources"].take();
    sources.get(1).cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_error_does_not_hide_how_far_the_first_reading_is() {
    let mut org = OktaOrg::start().await;
    org.have_history(30, 48);
    org.api.fail_logs(okta_sim::Fault::Status(500), 1000);
    let gateway = read(&org).await;
    wait_until("the failure", async || system_log(&gateway).await["state"] == "FAILING").await;
    let source = system_log(&gateway).await;
    assert!(source["lastError"]["message"].is_string() && source["backfill"]["progress"].is_number(), "{source}");
}

#[tokio::test]
async fn an_org_that_has_moved_is_read_on_from_a_little_before_and_not_from_its_beginning() {
    let mut org = OktaOrg::start().await;
    org.have_history(30, 48);
    let database = TestDatabase::new().await;
    let with = |org: &OktaOrg| {
        let mut settings = settings(&database);
        org.read_by(&mut settings);
        settings
    };
    let gateway = Gateway::start_over(database.clone(), with(&org)).await;
    org.wait_for(&database.pool, 30).await;
    wait_until("a second request", async || org.polls().count() > 1).await;
    gateway.stop().await;
    // The same System Log at another address: the link that was kept is of no use.
    let moved = OktaOrg::start_over(org.api.log().clone()).await;
    org.happen(5);
    let gateway = Gateway::start_over(database.clone(), with(&moved)).await;
    moved.wait_for(&database.pool, 35).await;
    moved.assert_stored(&database.pool).await;
    let first = moved.requests().find(|request| !request.query.contains("until=")).unwrap();
    let back = first.at - since(&first.query);
    assert!((time::Duration::minutes(5)..time::Duration::minutes(7)).contains(&back), "{back}");
    gateway.stop().await;
}

/// The time from which a request asks for events.
fn since(query: &str) -> OffsetDateTime {
    let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    let text = url.query_pairs().find(|(name, _)| name == "since").unwrap().1.into_owned();
    OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).unwrap()
}
