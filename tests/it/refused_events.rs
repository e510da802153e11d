//! Events that the database refuses, whatever is done: each is kept in `rejected` with its bytes, and nothing else is
//! lost with it.

use std::process::Stdio;

use okta_sim::LogEvent;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::database::TestDatabase;
use crate::events::{delivery, lines, sync_event, sync_events};
use crate::gateway::{Gateway, ORG, settings};
use crate::okta_org::{OktaOrg, wait_until};
use crate::process::GatewayProcess;

/// Reason that is kept with a refused event.
const REASON: &str = "the database refuses it";

/// Returns an event type of the family that every org keeps, too long for an index.
fn refused_type() -> String {
    format!("application.provision.user.{}", "a.".repeat(500_000))
}

fn refused_event() -> Value {
    let mut event = sync_event("refused");
    event["eventType"] = json!(refused_type());
    event
}

fn refused_log_event(org: &mut OktaOrg) -> LogEvent {
    let mut event = org.organisation.event_at(OffsetDateTime::now_utc());
    event.event_type = refused_type().leak();
    event
}

#[tokio::test]
async fn a_page_of_the_system_log_is_stored_without_the_refused_event_and_not_read_again() {
    let mut org = OktaOrg::start().await;
    org.happen(5);
    let refused = refused_log_event(&mut org);
    org.api.log().record(&refused);
    org.happen(5);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 10).await;
    let rejections = "SELECT count(*) FROM rejected";
    wait_until("the rejection", async || gateway.database.number(rejections).await > 0).await;
    let rejected = gateway.database.newest_rejected().await;
    assert!(rejected.raw == refused.log_json().as_bytes(), "other bytes were kept");
    assert!(rejected.reason.contains(REASON), "{}", rejected.reason);
    // Later events come by the link of the page after the refused event.
    org.happen(3);
    org.wait_for(&gateway.database.pool, 13).await;
    assert_eq!(gateway.database.number(rejections).await, 1);
    assert_eq!(org.starts(), 1);
    let asked = org.polls().count();
    wait_until("another poll", async || org.polls().count() > asked).await;
    let links: Vec<_> = org.polls().map(|request| request.query).collect();
    assert_ne!(links.last(), links.first(), "the poller does not move past the page");
}

#[tokio::test]
async fn the_cursor_moves_past_a_refused_event_only_once_that_is_kept() {
    let mut org = OktaOrg::start().await;
    org.happen(2);
    let refused = refused_log_event(&mut org);
    org.api.log().record(&refused);
    let database = TestDatabase::new().await;
    // Nothing can be kept in `rejected` for now.
    sqlx::query("ALTER TABLE rejected ADD CONSTRAINT is_full CHECK (false)").execute(&database.pool).await.unwrap();
    let mut settings = settings(&database);
    org.read_by(&mut settings);
    let gateway = Gateway::start_over(database.clone(), settings).await;
    org.wait_for(&database.pool, 2).await;
    wait_until("another attempt", async || org.polls().count() > 1).await;
    let cursor = database.store().ledger().poll_cursor(ORG).await.unwrap().unwrap();
    assert_eq!((cursor.next_link, org.starts()), (None, org.polls().count()), "the page is read again and again");
    sqlx::query("ALTER TABLE rejected DROP CONSTRAINT is_full").execute(&database.pool).await.unwrap();
    wait_until("the rejection", async || database.number("SELECT count(*) FROM rejected").await > 0).await;
    assert!(database.newest_rejected().await.raw == refused.log_json().as_bytes());
    org.happen(3);
    org.wait_for(&database.pool, 5).await;
    gateway.stop().await;
}

#[tokio::test]
async fn deliveries_that_share_a_commit_with_a_refused_event_are_stored() {
    let gateway = Gateway::start_for_every_event_type().await;
    let deliveries: Vec<_> = (0..12)
        .map(|number| {
            let mut events = sync_events(&format!("shared{number}"), 3);
            if number % 4 == 1 {
                events.insert(number % 3, refused_event());
            }
            delivery(&events).to_string()
        })
        .collect();
    let answers = futures_util::future::join_all(deliveries.into_iter().map(|body| gateway.post_hook(body))).await;
    for (number, (status, receipt)) in answers.into_iter().enumerate() {
        let rejected = usize::from(number % 4 == 1);
        let expected = json!({"stored": 3, "duplicates": 0, "rejected": rejected, "dropped": 0});
        assert_eq!((status.as_u16(), receipt), (200, expected), "delivery {number}");
    }
    assert_eq!(gateway.head().await, "36");
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 3);
}

#[tokio::test]
async fn an_import_names_the_line_of_the_refused_event() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut events = sync_events("imported", 5);
    events.insert(2, refused_event());
    let (status, report) = gateway.post("import", lines(&events)).await;
    assert_eq!((status.as_u16(), &report["stored"], &report["rejected"]), (200, &json!(5), &json!(1)), "{report}");
    assert_eq!(report["rejections"][0]["line"], 3, "{report}");
    assert!(report["rejections"][0]["reason"].as_str().unwrap().contains(REASON), "{report}");
    assert!(gateway.database.newest_rejected().await.raw == events[2].to_string().as_bytes());
}

#[tokio::test]
async fn an_import_with_known_lines_names_the_line_of_the_refused_event() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut events = sync_events("imported", 6);
    let known: Vec<_> = [0, 1, 4].map(|line: usize| events[line].clone()).to_vec();
    let (_, report) = gateway.post("import", lines(&known)).await;
    assert_eq!(report["stored"], 3, "{report}");
    events.insert(3, refused_event());
    let (status, report) = gateway.post("import", lines(&events)).await;
    let counts = ["stored", "duplicates", "rejected"].map(|count| report[count].as_u64().unwrap());
    assert_eq!((status.as_u16(), counts), (200, [3, 3, 1]), "{report}");
    let told: Vec<_> = report["rejections"].as_array().unwrap().iter().map(|one| &one["line"]).collect();
    assert_eq!(told, [4], "{report}");
    assert!(gateway.database.newest_rejected().await.raw == events[3].to_string().as_bytes());
    let kept = "SELECT count(*) FROM rejected WHERE line = 4";
    assert_eq!(gateway.database.number(kept).await, 1);
    assert_eq!(gateway.head().await, "6");
}

#[tokio::test]
async fn a_refused_event_alone_is_rejected_and_the_next_one_stored() {
    let gateway = Gateway::start_for_every_event_type().await;
    // The first event makes its instance known, after which a lone event takes a statement of its own.
    gateway.deliver(&[sync_event("refused")]).await;
    for times in 1..=2 {
        let receipt = gateway.deliver(&[refused_event()]).await;
        assert_eq!(receipt, json!({"stored": 0, "duplicates": 0, "rejected": 1, "dropped": 0}));
        assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, times);
        gateway.deliver(&[sync_event("refused")]).await;
        assert_eq!(gateway.head().await, (times + 1).to_string());
    }
}

#[tokio::test]
async fn a_refused_event_stays_rejected_when_it_is_retried() {
    let gateway = GatewayProcess::start().await;
    let pool = gateway.pool();
    let raw = refused_event().to_string();
    let insert = "INSERT INTO rejected (org, source, reason, raw, digest) VALUES ('acme', 0, 'old', $1, sha256($1))";
    sqlx::query(insert).bind(raw.as_bytes()).execute(&pool).await.unwrap();
    let output = gateway.command_of(&["rejected", "retry"]).stdout(Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(REASON) && said.contains("1 left"), "{said}");
    let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT raw FROM rejected").fetch_all(&pool).await.unwrap();
    assert!(left == [raw.into_bytes()], "{} rejections are left", left.len());
}

#[tokio::test]
async fn of_a_delivery_that_is_retried_the_refused_event_stands_by_itself() {
    let gateway = GatewayProcess::start().await;
    let pool = gateway.pool();
    let (good, refused) = (sync_event("good"), refused_event());
    let raw = delivery(&[good, refused.clone()]).to_string();
    let insert = "INSERT INTO rejected (org, source, reason, raw, digest) VALUES ('acme', 0, 'old', $1, sha256($1))";
    sqlx::query(insert).bind(raw.as_bytes()).execute(&pool).await.unwrap();
    let output = gateway.command_of(&["rejected", "retry"]).stdout(Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 read: 1 events stored"), "{said}");
    let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT raw FROM rejected").fetch_all(&pool).await.unwrap();
    assert!(left == [refused.to_string().into_bytes()], "{} rejections are left", left.len());
}

#[tokio::test]
async fn an_import_of_several_commits_names_the_line_of_the_refused_event() {
    let gateway = Gateway::start_for_every_event_type().await;
    // One line has so many events that its batch is appended in two commits.
    let mut crowd = sync_events("crowd", 900);
    crowd.insert(800, refused_event());
    let body = format!("{}{}\n", lines(&sync_events("first", 500)), json!(crowd));
    let (status, report) = gateway.post("import", format!("{body}{}", delivery(&crowd))).await;
    assert_eq!((status.as_u16(), &report["stored"]), (200, &json!(1400)), "{report}");
    let told: Vec<_> =
        report["rejections"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(told, [501, 502], "{report}");
}
