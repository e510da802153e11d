//! API keys over real sockets: what they show, why they are refused, and how fast a change reaches every gateway.

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sluice::access::NewApiKey;
use sluice::auth::{GeneratedKey, Readers};
use sluice::config::Settings;
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scope, Scopes};
use tokio::time::{Instant, sleep};

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::socket::{Heard, Socket, handshake};

/// An instance with 3 of the gateway's 5 events.
const INSTANCE: &str = "mine";

/// Time within which a change reaches every gateway, as promised; a slow machine gets as much again.
const PROMISED: Duration = Duration::from_secs(6);

const SUBSCRIPTION: &str = "subscription { syncEvents { events { applicationInstance { id } } } }";

/// Adds a key, and returns its text.
async fn add(database: &TestDatabase, name: &str, rights: Rights) -> String {
    let key = GeneratedKey::generate().unwrap();
    let new = NewApiKey { id: key.id, name: name.to_owned(), hash: key.hash, rights, days: 1 };
    database.store().access_records().add_api_key(&new).await.unwrap();
    key.text.expose_secret().to_owned()
}

fn of_one_instance() -> Rights {
    let grant = Grant { org: "acme".to_owned(), part: GrantedPart::Instances(vec![INSTANCE.to_owned()]) };
    Rights::new(Scopes::default().with(Scope::EventsRead), Rows::granted([grant]))
}

/// Settings of a gateway that nobody may use without a token or a key.
fn closed(database: &TestDatabase) -> Settings {
    let readers = Readers::new(vec![("other".to_owned(), "the other one's token".into())]);
    Settings { readers, ..settings(database) }
}

/// Starts such a gateway with 5 events.
async fn start() -> Gateway {
    let database = TestDatabase::new().await;
    let gateway = Gateway::start_over(database.clone(), closed(&database)).await;
    let mut events = sync_events("one", 5);
    for (index, event) in events.iter_mut().enumerate() {
        event["target"][0]["id"] = json!(if index < 3 { INSTANCE } else { "others" });
    }
    gateway.deliver(&events).await;
    gateway
}

async fn ask(gateway: &Gateway, key: &str) -> (StatusCode, Value) {
    let query = json!({"query": "{ viewer { name kind scopes sees { org applicationInstances } } syncEvents(first: 9) { nodes { \
                                 applicationInstance { id } admin { displayName } } } }"});
    let request = gateway.client.post(gateway.url("/graphql")).bearer_auth(key).json(&query);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Waits until a key has this status at a gateway, and returns the time that it took.
async fn wait_for(gateway: &Gateway, key: &str, status: StatusCode) -> Duration {
    let started = Instant::now();
    while ask(gateway, key).await.0 != status {
        assert!(started.elapsed() < PROMISED, "the status is not {status} in time");
        sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_key_shows_what_its_rights_allow_and_is_refused_at_once_when_it_is_revoked() {
    let gateway = start().await;
    let key = add(&gateway.database, "ci", of_one_instance()).await;
    wait_for(&gateway, &key, StatusCode::OK).await;
    let (_, answer) = ask(&gateway, &key).await;
    let viewer = json!({"name": "ci", "kind": "API_KEY", "scopes": ["EVENTS_READ"], "sees":
        [{"org": "acme", "applicationInstances": [INSTANCE]}]});
    assert_eq!(answer["data"]["viewer"], viewer);
    let node = json!({"applicationInstance": {"id": "ApplicationInstance:acme:mine"}, "admin": {"displayName": null}});
    assert_eq!(answer["data"]["syncEvents"]["nodes"], json!([node, node, node]));
    let access = gateway.database.store().access_records();
    assert!(access.revoke_api_key("ci").await.unwrap().is_some());
    assert_eq!(access.revoke_api_key("ci").await.unwrap(), None);
    wait_for(&gateway, &key, StatusCode::UNAUTHORIZED).await;
    let (_, answer) = ask(&gateway, &key).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("the API key was revoked at "), "{message}");
    gateway.stop().await;
}

/// Opens a socket with a key, and subscribes.
async fn subscribed_socket(gateway: &Gateway, key: &str) -> Socket {
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    let payload = json!({"authorization": format!("Bearer {key}")});
    socket.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    socket.subscribed("1", SUBSCRIPTION, json!({})).await;
    socket
}

async fn stream(gateway: &Gateway, key: &str) -> EventStream {
    EventStream::open(gateway.event_stream(SUBSCRIPTION, &json!({})).bearer_auth(key)).await
}

/// Waits for the end of a socket and a stream whose key was revoked.
async fn assert_revoked(socket: &mut Socket, stream: &mut EventStream) {
    let heard = socket.hear().await;
    assert_eq!(heard, Heard::Closed(Some(4403)));
    let answer = stream.last_answer().await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "REVOKED", "{answer}");
}

/// Makes the database lose all notifications of changed keys.
async fn lose_notifications(database: &TestDatabase) {
    let silent = "CREATE OR REPLACE FUNCTION access_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                  UPDATE access_change SET version = version + 1 WHERE kind = TG_TABLE_NAME; RETURN NULL; END $$";
    sqlx::raw_sql(silent).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_revocation_reaches_three_gateways_in_time_also_when_notifications_are_lost() {
    let first = start().await;
    let database = first.database.clone();
    let second = Gateway::start_over(database.clone(), closed(&database)).await;
    let third = Gateway::start_over(database.clone(), closed(&database)).await;
    let gateways = [first, second, third];
    for is_lost in [false, true] {
        if is_lost {
            lose_notifications(&database).await;
        }
        let name = format!("ci-{is_lost}");
        let (key, kept) = (add(&database, &name, of_one_instance()).await, format!("kept-{is_lost}"));
        let kept = add(&database, &kept, of_one_instance()).await;
        let (mut cut, mut running) = (Vec::new(), Vec::new());
        for gateway in &gateways {
            wait_for(gateway, &kept, StatusCode::OK).await;
            cut.push((subscribed_socket(gateway, &key).await, stream(gateway, &key).await));
            running.push(subscribed_socket(gateway, &kept).await);
        }
        let revoked = Instant::now();
        assert!(database.store().access_records().revoke_api_key(&name).await.unwrap().is_some());
        for (socket, stream) in &mut cut {
            assert_revoked(socket, stream).await;
        }
        let taken = revoked.elapsed();
        eprintln!("a revocation took {taken:?} (notifications lost: {is_lost})");
        assert!(taken < PROMISED, "{taken:?}");
        for (gateway, socket) in gateways.iter().zip(&mut running) {
            assert!(socket.hears_nothing(Duration::from_millis(50)).await, "another key goes on");
            assert_eq!(ask(gateway, &key).await.0, StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test]
async fn a_new_key_is_accepted_at_once_also_when_notifications_are_lost() {
    let gateway = start().await;
    lose_notifications(&gateway.database).await;
    for name in ["first", "second"] {
        // Unknown keys cause at most one look a second.
        sleep(Duration::from_millis(1100)).await;
        let key = add(&gateway.database, name, of_one_instance()).await;
        assert_eq!(ask(&gateway, &key).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn each_refusal_of_a_key_has_words_of_its_own() {
    let gateway = start().await;
    let key = add(&gateway.database, "ci", of_one_instance()).await;
    wait_for(&gateway, &key, StatusCode::OK).await;
    let (body, last) = key.split_at(63);
    let altered = format!("{body}{}", if last == "0" { "1" } else { "0" });
    let unknown = GeneratedKey::generate().unwrap();
    let cases = [
        (&key[..50], "the API key is incomplete or altered: it has 64 characters"),
        (&altered, "the API key is altered: its checksum is wrong"),
        (unknown.text.expose_secret(), "there is no such API key"),
    ];
    for (text, words) in cases {
        let (status, answer) = ask(&gateway, text).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "UNAUTHENTICATED");
        assert!(error["message"].as_str().unwrap().starts_with(words), "{answer}");
        let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
        let payload = json!({"authorization": format!("Bearer {text}")});
        socket.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    }
    sqlx::query("UPDATE api_key SET expires_at = now() - interval '1 s'")
        .execute(&gateway.database.pool)
        .await
        .unwrap();
    wait_for(&gateway, &key, StatusCode::UNAUTHORIZED).await;
    let (_, answer) = ask(&gateway, &key).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().starts_with("the API key expired at "), "{answer}");
    // Times that somebody has written by hand hide no other key.
    let by_hand = "UPDATE api_key SET expires_at = '-infinity', created_at = '-infinity', last_used_at = 'infinity', \
                   revoked_at = 'infinity'";
    sqlx::query(by_hand).execute(&gateway.database.pool).await.unwrap();
    let other = add(&gateway.database, "other", of_one_instance()).await;
    wait_for(&gateway, &other, StatusCode::OK).await;
    let (_, answer) = ask(&gateway, &key).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().starts_with("the API key was revoked at "), "{answer}");
}

#[tokio::test]
async fn a_key_that_expires_ends_its_socket() {
    let gateway = start().await;
    let key = add(&gateway.database, "ci", of_one_instance()).await;
    let soon = "UPDATE api_key SET expires_at = now() + interval '6 s'";
    sqlx::query(soon).execute(&gateway.database.pool).await.unwrap();
    wait_for(&gateway, &key, StatusCode::OK).await;
    let (mut socket, mut stream) = (subscribed_socket(&gateway, &key).await, stream(&gateway, &key).await);
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    assert_eq!(stream.last_answer().await["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED");
}

#[tokio::test]
async fn known_keys_go_on_while_the_database_is_away() {
    let gateway = start().await;
    let key = add(&gateway.database, "ci", of_one_instance()).await;
    wait_for(&gateway, &key, StatusCode::OK).await;
    let mut socket = subscribed_socket(&gateway, &key).await;
    gateway.database.close().await;
    let query = json!({"query": "{ viewer { name } }"});
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(5) {
        let request = gateway.client.post(gateway.url("/graphql")).bearer_auth(&key).json(&query);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["data"]["viewer"]["name"], "ci", "{answer}");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(socket.hears_nothing(Duration::from_millis(50)).await);
    gateway.database.open().await;
    // Connections of the pool were ended.
    while gateway.database.store().access_records().revoke_api_key("ci").await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
    let heard = socket.hear().await;
    assert_eq!(heard, Heard::Closed(Some(4403)));
}

#[tokio::test]
async fn an_open_gateway_closes_when_the_first_key_is_added_and_stays_closed() {
    let gateway = Gateway::start().await;
    let database = gateway.database.clone();
    let mut socket = gateway.socket().await;
    socket.subscribed("1", SUBSCRIPTION, json!({})).await;
    gateway.query("{ viewer { kind } }").await;
    let key = add(&database, "ci", of_one_instance()).await;
    let heard = socket.hear().await;
    assert_eq!(heard, Heard::Closed(Some(4403)));
    wait_for(&gateway, &key, StatusCode::OK).await;
    let anonymous = json!({"query": "{ viewer { kind } }"}).to_string();
    assert_eq!(gateway.post_graphql(anonymous.clone()).await.status(), StatusCode::UNAUTHORIZED);
    database.store().access_records().revoke_api_key("ci").await.unwrap();
    wait_for(&gateway, &key, StatusCode::UNAUTHORIZED).await;
    assert_eq!(gateway.post_graphql(anonymous.clone()).await.status(), StatusCode::UNAUTHORIZED);
    gateway.stop().await;
    let again = Gateway::start_over(database.clone(), settings(&database)).await;
    assert_eq!(
        again.post_graphql(anonymous).await.status(),
        StatusCode::UNAUTHORIZED,
        "a log that had keys stays closed"
    );
}

#[tokio::test]
async fn the_time_of_a_use_is_stored_soon_and_changes_no_version() {
    let gateway = start().await;
    let (key, database) = (add(&gateway.database, "ci", of_one_instance()).await, &gateway.database);
    let version = "SELECT version FROM access_change WHERE kind = 'api_key'";
    let before = database.number(version).await;
    wait_for(&gateway, &key, StatusCode::OK).await;
    let used =
        "SELECT count(*) FROM api_key WHERE last_used_at BETWEEN now() - interval '1 min' AND now() + interval '1 s'";
    let started = Instant::now();
    while database.number(used).await == 0 {
        assert!(started.elapsed() < PROMISED, "the use is not stored");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(database.number(version).await, before);
    let access = database.store().access_records();
    let stored = access.api_keys(10).await.unwrap()[0].clone();
    access.api_keys_used(&[&stored.id], &[stored.created_at]).await.unwrap();
    assert_eq!(access.api_keys(10).await.unwrap()[0], stored, "an earlier use changes nothing");
}
