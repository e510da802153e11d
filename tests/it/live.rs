//! Subscriptions: history and live in one stream, without a seam.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sluice::event::{Filter, IngestSource, Position, Rights, SyncEvent};
use sluice::live::{
    FeedRequest, Live, LiveOptions, NewSubscriber, PayloadWriter, Progress, RenderedTexts, Renderer, Rendering,
};
use sluice::log::{AppendRequest, Log, LogOptions};
use sluice::store::Credential;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::append::new_event;
use crate::database::TestDatabase;
use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::{Gateway, settings};

#[tokio::test]
async fn an_event_is_pushed_as_it_arrives() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    gateway.deliver(&sync_events("before", 2)).await;
    let query = "subscription { syncEvents { position head events { uuid position user { displayName } } } }";
    socket.subscribe("1", query, json!({})).await;
    assert_eq!(socket.batch("1").await, json!({"position": "2", "head": "2", "events": []}), "the acknowledgement");
    for position in ["3", "4"] {
        let event = sync_event("one");
        gateway.deliver(std::slice::from_ref(&event)).await;
        let told = json!({"uuid": uuid(&event), "position": position, "user": {"displayName": "Grace User"}});
        assert_eq!(socket.batch("1").await, json!({"position": position, "head": position, "events": [told]}));
    }
}

#[tokio::test]
async fn history_comes_first_and_live_follows_without_a_seam() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 30)).await;
    let mut socket = gateway.socket().await;
    let query = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";
    socket.subscribe("1", query, json!({"after": "10"})).await;
    for position in 11..=40 {
        if position == 20 {
            gateway.deliver(&sync_events("two", 10)).await;
        }
        assert_eq!(socket.event("1").await, json!({"position": position.to_string()}));
    }
    assert!(socket.hears_nothing(Duration::from_millis(200)).await);
}

/// Where nothing of a long stretch of history matches, the subscriber reads past it.
#[tokio::test]
async fn history_is_read_on_past_a_long_stretch_in_which_nothing_matches() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    // More than a subscriber reads of the store at once.
    let mut events = sync_events("other", 2100);
    events.push(sync_event("wanted"));
    let events = events.iter().map(|event| new_event("acme", event, None)).collect();
    log.append(AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() }).await.unwrap();
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    let mut socket = gateway.socket().await;
    let query = "subscription { syncEvents(filter: {applicationInstances: [\"0oawanted\"]}, from: {after: \"0\"}) { events { position } } }";
    socket.subscribe("1", query, json!({})).await;
    assert_eq!(socket.event("1").await, json!({"position": "2101"}));
}

#[tokio::test]
async fn a_filter_lets_through_what_matches() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    let query = "subscription ($filter: SyncEventFilter, $after: Position!) \
                 { syncEvents(filter: $filter, from: {after: $after}) { events { position } } }";
    let url = "https://acme-admin.okta.example/admin/app/office365/instance/0oatwo/";
    let filters = [
        ("instance", json!({"applicationInstances": ["0oatwo"]})),
        ("url", json!({"applicationInstanceUrls": [url]})),
        ("both", json!({"applications": ["office365"], "applicationInstances": ["0oatwo", "0oanone"]})),
    ];
    for (id, filter) in &filters {
        socket.subscribe(id, query, json!({"filter": filter, "after": "0"})).await;
    }
    gateway.deliver(&[sync_event("one"), sync_event("two"), sync_event("one")]).await;
    let mut told = Vec::new();
    for _ in &filters {
        let message = socket.message().await;
        assert_eq!(message["payload"]["data"]["syncEvents"]["position"], "2", "{message}");
        told.push(message["id"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["both", "instance", "url"]);
    assert!(socket.hears_nothing(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn what_another_gateway_appends_is_pushed_too() {
    let one = Gateway::start().await;
    let other = Gateway::start_over(one.database.clone(), settings(&one.database)).await;
    let mut socket = other.socket().await;
    socket.subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }", json!({})).await;
    let event = sync_event("one");
    one.deliver(std::slice::from_ref(&event)).await;
    assert_eq!(socket.event("1").await, json!({"uuid": uuid(&event)}));
}

#[tokio::test]
async fn a_page_and_its_head_join_a_subscription_exactly() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 5)).await;
    let page = gateway.query("{ syncEvents { head nodes { position } } }").await;
    assert_eq!(page["syncEvents"]["nodes"].as_array().unwrap().len(), 5);
    gateway.deliver(&sync_events("one", 2)).await;
    let mut socket = gateway.socket().await;
    let query = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";
    socket.subscribe("1", query, json!({"after": page["syncEvents"]["head"]})).await;
    assert_eq!(socket.event("1").await, json!({"position": "6"}));
    assert_eq!(socket.event("1").await, json!({"position": "7"}));
}

#[tokio::test]
async fn a_position_that_does_not_exist_yet_is_refused() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    socket.subscribe("1", "subscription { syncEvents(from: {after: \"7\"}) { events { position } } }", json!({})).await;
    let message = socket.message().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("1")), "{message}");
    assert_eq!(message["payload"][0]["extensions"], json!({"code": "POSITION_AHEAD", "head": "0"}), "{message}");
}

#[tokio::test]
async fn a_position_that_a_restore_took_away_is_refused() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 4)).await;
    // What a restore of a backup after the second event looks like: the rest is gone, and a new era begins.
    for sql in [
        "DELETE FROM sync_event WHERE position > 2",
        "DELETE FROM arrival WHERE position > 2",
        "UPDATE log_head SET position = 2",
    ] {
        sqlx::query(sql).execute(&gateway.database.pool).await.unwrap();
    }
    let era = gateway.database.store().new_era("a test restored it").await.unwrap();
    let mut socket = gateway.socket().await;
    let query = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";
    socket.subscribe("seen", query, json!({"after": "4"})).await;
    let message = socket.message().await;
    let facts = json!({"code": "POSITION_LOST", "resumeAfter": "2", "lostFrom": "3", "lostThrough": "4"});
    assert_eq!(message["payload"][0]["extensions"], facts, "{message}");
    socket.subscribe("stands", query, json!({"after": "1"})).await;
    assert_eq!(socket.event("stands").await, json!({"position": "2"}));
    gateway.deliver(&sync_events("one", 1)).await;
    let event = socket.event("stands").await;
    let position: Position = event["position"].as_str().unwrap().parse().unwrap();
    assert_eq!((position.era_start(), position.number_in_era()), (era, 1));
}

#[tokio::test]
async fn a_gateway_hands_on_its_own_commits_without_a_poll() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    // No poll comes while this test runs.
    let options = LiveOptions { poll_interval: Duration::from_hours(1), ..LiveOptions::default() };
    let stop = CancellationToken::new();
    let live = Live::start(log.clone(), &options, stop.clone());
    let view = log.view(Rights::everything(), &Credential::Open);
    let renderer = Renderer::Immediate(Arc::new(|_: &SyncEvent| RenderedTexts::new()));
    let payload_writer: PayloadWriter = Arc::new(|_, _| Arc::from(""));
    let rendering = Rendering { key: "position".to_owned(), renderer, payload_writer, with_details: false };
    let request = FeedRequest::new(&view, Filter::default(), rendering);
    let new = NewSubscriber { after: None, batch: 100, progress: Progress::default(), outlet: None };
    let mut subscriber = live.join(request, new).await.unwrap();
    assert_eq!(subscriber.next().await.unwrap().len(), 1, "the first payload comes at once");
    for position in 1..=3 {
        let events = vec![new_event("acme", &sync_event("one"), None)];
        let request = AppendRequest { source: IngestSource::EventHook, events, deliveries: Vec::new() };
        let (told, appended) = tokio::join!(timeout(Duration::from_secs(20), subscriber.next()), log.append(request));
        appended.unwrap();
        let told = told.expect("it is pushed in time").unwrap();
        assert_eq!(told.iter().map(|payload| payload.position).collect::<Vec<_>>(), [Position::new(position)]);
    }
    stop.cancel();
}
