//! Privacy at the door: what an org drops is nowhere in the database, by whatever way in it came, and hashes are the same by all.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sluice::config::Settings;
use sluice::okta::{EventPointer, Privacy};
use sqlx::{AssertSqlSafe, PgPool};

use crate::events::{delivery, lines, sync_event, uuid};
use crate::gateway::{Gateway, ORG};
use crate::log_stream::envelope;
use crate::okta_org::OktaOrg;
use crate::workflows::card;

/// Values that stand in every event below, and must be nowhere.
const PRIVATE: [&str; 4] = ["198.51.100.77", "Grace Canary", "canary-admin@acme.example", "canary-user@acme.example"];

fn privacy() -> Privacy {
    let pointers = |texts: &[&str]| texts.iter().map(|text| EventPointer::parse(text).unwrap()).collect();
    let drop =
        pointers(&["/client/ipAddress", "/target/*/displayName", "/debugContext/debugData/ip", "/actor/displayName"]);
    Privacy::new(drop, pointers(&["/actor/alternateId", "/target/*/alternateId"]), Some("the key of the hashes".into()))
}

fn private(settings: &mut Settings) {
    settings.orgs.get_mut(ORG).unwrap().privacy = Some(privacy());
}

/// An event with every private value.
fn event() -> Value {
    let [address, name, admin, user] = PRIVATE;
    let mut event = sync_event("one");
    event["client"] = json!({"ipAddress": address, "zone": "kept"});
    event["debugContext"]["debugData"]["ip"] = json!(address);
    event["actor"]["displayName"] = json!(name);
    event["actor"]["alternateId"] = json!(admin);
    for target in 1..3 {
        event["target"][target]["displayName"] = json!(name);
        event["target"][target]["alternateId"] = json!(user);
    }
    event
}

/// Everything that the tables have, as text, with bytes as they are and in hexadecimal digits.
async fn dump(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(pool)
        .await
        .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{table}\" t");
        let text: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        all.push_str(&text);
    }
    all
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn what_an_org_drops_is_nowhere_by_no_way_in() {
    let gateway = Gateway::start_with(private).await;
    let events: Vec<_> = std::iter::repeat_with(event).take(6).collect();
    gateway.deliver(&events[..1]).await;
    for (way, body) in [
        ("log-stream", envelope(&events[1]).to_string()),
        ("import", lines(&events[2..3])),
        ("import", delivery(&events[3..4]).to_string()),
        ("workflows", card(&events[4], false).to_string()),
        ("workflows", card(&events[5], true).to_string()),
    ] {
        let (status, receipt) = gateway.post(way, body).await;
        assert_eq!((status, &receipt["stored"]), (StatusCode::OK, &json!(1)), "{way}: {receipt}");
    }
    // Again by another way: all are duplicates.
    let (_, receipt) = gateway.post("import", lines(&events)).await;
    assert_eq!(receipt["duplicates"], 6, "{receipt}");

    let mut broken = event();
    broken["published"] = json!("yesterday");
    let mut unknown = event();
    unknown["uuid"] = json!(null);
    for (way, body) in [
        ("hooks", delivery(&[broken.clone()]).to_string()),
        ("hooks", format!("not JSON {}", event())),
        ("hooks", json!({"private": event()}).to_string()),
        ("log-stream", delivery(&[event()]).to_string()),
        ("import", format!("{}\nnot JSON {}\n[{}", json!({"surprise": unknown}), event(), event())),
        ("workflows", json!({"Event Type": "application.provision", "Admin": event()["actor"]}).to_string()),
    ] {
        gateway.post(way, body).await;
    }
    let dump = dump(&gateway.database.pool).await;
    for canary in PRIVATE {
        assert!(!dump.contains(canary) && !dump.contains(&hex(canary)), "{canary} is stored");
    }
    assert!(dump.contains(&hex("withheld because of orgs.privacy")), "it is told that bytes were withheld");
    assert!(dump.contains(&hex("\"published\":\"yesterday\"")), "a broken event is kept without what is private");

    for event in &events {
        let details = gateway.event_details(uuid(event)).await;
        assert!(PRIVATE.iter().all(|canary| !details.contains(canary)), "{details}");
        assert!(details.contains(&privacy().hash(PRIVATE[2])), "{details}");
    }
    let filter = json!({"admin": {"alternateIds": [privacy().hash(PRIVATE[2])]}, "user": {"alternateIds": [privacy().hash(PRIVATE[3])]}});
    let query = "query($filter: SyncEventFilter) { syncEvents(filter: $filter) { totalCount { value } nodes { admin { displayName } } } }";
    let found = gateway.query_with(query, json!({ "filter": filter })).await;
    // The event that came whole in a list that was never closed is the seventh.
    assert_eq!(found["syncEvents"]["totalCount"]["value"], 7, "hashes are the same by all ways in: {found}");
    assert_eq!(found["syncEvents"]["nodes"][0]["admin"]["displayName"], json!(null));
}

#[tokio::test]
async fn what_the_system_log_brings_is_private_too() {
    let mut org = OktaOrg::start().await;
    let actors: Vec<_> = org.happen(20).into_iter().map(|event| event.actor.alternate_id).collect();
    let gateway = Gateway::start_with(|settings| {
        org.read_by(settings);
        private(settings);
    })
    .await;
    org.wait_for(&gateway.database.pool, 20).await;
    let dump = dump(&gateway.database.pool).await;
    for actor in actors.iter().filter(|actor| actor.contains('@')) {
        assert!(!dump.contains(actor), "{actor} is stored");
        assert!(dump.contains(&privacy().hash(actor)), "{actor} is not hashed");
    }
    let named = "SELECT count(*) FROM sync_event WHERE admin_display_name IS NOT NULL";
    assert_eq!(gateway.database.number(named).await, 0);
}
