//! Privacy at the door: what an org drops is nowhere in the database, by whatever way in it came, and hashes are the same by all.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Stdio;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sluice::config::Settings;
use sluice::okta::{EventPointer, Privacy};
use sqlx::{AssertSqlSafe, PgPool};

use crate::events::{delivery, lines, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET, ORG};
use crate::log_stream::envelope;
use crate::okta_org::OktaOrg;
use crate::process::GatewayProcess;
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

/// The settings that [`privacy`] makes.
const TABLE: &str = r#"
    [orgs.privacy]
    drop = ["/client/ipAddress", "/target/*/displayName", "/debugContext/debugData/ip", "/actor/displayName"]
    hash = ["/actor/alternateId", "/target/*/alternateId"]
    hash_key = "env:HASH_KEY"
"#;

/// Runs a command of the binary, and returns its exit status and what it said.
async fn run(place: &GatewayProcess, words: &[&str]) -> (Option<i32>, String) {
    let output = place.command_of(words).stdout(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A gateway as a process, whose org has private members.
async fn private_process() -> GatewayProcess {
    let mut gateway = GatewayProcess::prepare("data", "");
    let mut file = File::options().append(true).open(gateway.beside("sluice.toml")).unwrap();
    file.write_all(TABLE.as_bytes()).unwrap();
    gateway.variables.push(("HASH_KEY", "the key of the hashes".to_owned()));
    gateway.start_again().await;
    gateway
}

/// Records that were rejected before there was privacy, or by it, are read again; a hash is never hashed again.
#[tokio::test]
async fn retries_and_imports_by_the_command_are_private_too() {
    let mut gateway = private_process().await;
    let pool = gateway.pool();
    let mut broken = event();
    broken["published"] = json!("yesterday");
    let client = Client::builder().no_proxy().build().unwrap();
    let hook = client.post(format!("http://{}/okta/acme/hooks", gateway.address)).header("authorization", HOOK_SECRET);
    hook.body(delivery(&[broken]).to_string()).send().await.unwrap();
    // The rejected record is kept without its private members. A time that is read stands for a later version that can read it.
    let read = "UPDATE rejected SET raw = convert_to(replace(convert_from(raw, 'UTF8'), 'yesterday', '2026-03-04T05:06:07Z'), 'UTF8')";
    assert_eq!(sqlx::query(read).execute(&pool).await.unwrap().rows_affected(), 1);
    // Records that were rejected before the org had privacy.
    let before = "INSERT INTO rejected (org, source, reason, raw, digest) VALUES ('acme', 0, 'old', $1, sha256($1))";
    for raw in [event().to_string(), format!("not JSON {}", event())] {
        sqlx::query(before).bind(raw.as_bytes()).execute(&pool).await.unwrap();
    }
    let (code, said) = run(&gateway, &["rejected", "retry"]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("2 read: 2 events stored") && said.contains("1 left"), "{said}");
    assert!(PRIVATE.iter().all(|canary| !said.contains(canary)), "{said}");
    run(&gateway, &["rejected", "drop", "--all"]).await;

    let file = gateway.beside("events.ndjson");
    fs::write(&file, format!("{}not JSON {}\n{}", lines(&[event()]), event(), json!({PRIVATE[2]: event()}))).unwrap();
    let (_, said) = run(&gateway, &["import", file.to_str().unwrap()]).await;
    assert!(PRIVATE.iter().all(|canary| !said.contains(canary)), "{said}");
    let (_, list) = run(&gateway, &["rejected", "list", "--raw"]).await;
    assert!(list.contains("withheld because of orgs.privacy") && list.contains("an object with 1 key"), "{list}");

    let names = "SELECT DISTINCT admin_alternate_id FROM sync_event";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&pool).await.unwrap();
    assert_eq!(names, [privacy().hash(PRIVATE[2])], "each of the three is hashed once");
    let dump = dump(&pool).await;
    for canary in PRIVATE {
        assert!(!dump.contains(canary) && !dump.contains(&hex(canary)), "{canary} is stored");
        assert!(!gateway.output().contains(canary), "{canary} is logged");
    }
    let metrics = client.get(format!("http://{}/metrics", gateway.address)).send().await.unwrap().text().await.unwrap();
    for (action, count) in [("dropped", 6), ("hashed", 4)] {
        let mut found = metrics.lines().filter(|line| line.starts_with("sluice_private_members_total{"));
        let line = found.find(|line| line.contains("\"acme\"") && line.contains(action)).unwrap();
        assert!(line.ends_with(&format!(" {count}")), "of the event that came by the hook: {line}");
    }

    gateway.variables.clear();
    let (code, _) = run(&gateway, &["rejected", "retry"]).await;
    assert_ne!(code, Some(0));
    assert!(gateway.output().contains("HASH_KEY"), "a command without the key stores nothing: {}", gateway.output());
}

/// Reasons are for readers who may not see events, so they have no values of them, and no key that may be one.
#[tokio::test]
async fn reasons_of_rejections_quote_nothing() {
    let gateway = Gateway::start().await;
    let [_, name, address, _] = PRIVATE;
    let broken = |member: &str, value: Value| {
        let mut event = event();
        event[member] = value;
        event
    };
    let records = [
        broken("uuid", json!(address)),
        broken("published", json!(name)),
        broken("eventType", json!({"is": name})),
        json!({address: event(), name: 1, "wrapper": 2}),
        json!({"message": format!("{{\"uuid\": {name}")}),
        json!([name, address]),
    ];
    let (_, answer) = gateway.post("import", lines(&records)).await;
    assert!(answer["rejected"].as_u64() >= Some(6), "{answer}");
    let refused = gateway.post("log-stream", records[3].to_string()).await.1;
    let listed = gateway.query("{ ingestion { rejected(first: 20) { nodes { reason } } } }").await;
    for text in [answer, refused, listed].map(|told| told.to_string()) {
        assert!(PRIVATE.iter().all(|canary| !text.contains(canary)), "{text}");
        assert!(text.contains("wrapper and 2 more"), "{text}");
    }
}
