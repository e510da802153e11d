//! The transaction and the client of an event: the same by every way in, and by every way on.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::events::{lines, sync_event, uuid};
use crate::gateway::HOOK_SECRET;
use crate::nats_server::NatsServer;
use crate::process::GatewayProcess;
use crate::socket::Socket;
use crate::traffic::Traffic;

const FIELDS: &str =
    "uuid transaction { __typename oktaId type } client { __typename ipAddress userAgent city country }";

/// The parts of an event as the System Log has them, and the fields that are expected of it.
fn cases() -> Vec<(Value, Value)> {
    let transaction =
        |okta_id: Value, kind: Value| json!({"__typename": "Transaction", "oktaId": okta_id, "type": kind});
    let client = |ip_address: Value, user_agent: Value, city: Value, country: Value| json!({"__typename": "Client", "ipAddress": ip_address, "userAgent": user_agent, "city": city, "country": country});
    vec![
        (
            json!({
                "transaction": {"type": "WEB", "id": "trs-web", "detail": {"requestApiTokenId": "00T1"}},
                "client": {
                    "userAgent": {"rawUserAgent": "Mozilla/5.0 \"q\"", "os": "Linux", "browser": "FIREFOX"},
                    "zone": "null", "device": "Computer", "id": null, "ipAddress": "203.0.113.9",
                    "geographicalContext": {
                        "city": "Zürich", "state": "Zurich", "country": "Switzerland", "postalCode": "8001",
                        "geolocation": {"lat": 47.3, "lon": 8.5},
                    },
                },
            }),
            json!({
                "transaction": transaction(json!("trs-web"), json!("WEB")),
                "client": client(json!("203.0.113.9"), json!("Mozilla/5.0 \"q\""), json!("Zürich"), json!("Switzerland")),
            }),
        ),
        (
            json!({
                "transaction": {"type": "JOB", "id": "trs-job", "detail": {}},
                "client": {
                    "userAgent": null, "zone": null, "device": null, "id": null, "ipAddress": null,
                    "geographicalContext": null,
                },
            }),
            json!({"transaction": transaction(json!("trs-job"), json!("JOB")), "client": null}),
        ),
        (
            json!({
                "transaction": {"type": "WEB"},
                "client": {"geographicalContext": {"country": "Norway"}},
            }),
            json!({
                "transaction": transaction(json!(null), json!("WEB")),
                "client": client(json!(null), json!(null), json!(null), json!("Norway")),
            }),
        ),
        (json!({"transaction": {"detail": {}}, "client": 7}), json!({"transaction": null, "client": null})),
        (json!({}), json!({"transaction": null, "client": null})),
    ]
}

async fn ask(gateway: &GatewayProcess, query: &str, variables: Value) -> Value {
    let question = Client::builder().no_proxy().build().unwrap().post(format!("http://{}/graphql", gateway.address));
    let answer = question.json(&json!({"query": query, "variables": variables})).send().await.unwrap();
    let mut answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    answer["data"]["syncEvents"]["nodes"].take()
}

async fn subscribe(gateway: &GatewayProcess, filter: Value) -> Socket {
    let mut socket = Socket::open(gateway.address).await;
    let query = format!(
        "subscription ($filter: SyncEventFilter) {{ syncEvents(filter: $filter, from: {{after: \"0\"}}) {{ events {{ {FIELDS} }} }} }}"
    );
    socket.subscribe("1", &query, json!({"filter": filter})).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_the_same_by_every_way_in_and_on() {
    let (nats, database) = (NatsServer::start(), TestDatabase::new().await);
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let mut gateway = GatewayProcess::prepare_over(&database.url, &nats.url());
        gateway.start_again().await;
        gateways.push(gateway);
    }
    for gateway in &mut gateways {
        gateway.wait_until(async |gateway| gateway.metric("sluice_nats_connected").await == Some(1)).await;
    }
    while gateways[0].metric("sluice_nats_publishing").await != Some(1)
        && gateways[1].metric("sluice_nats_publishing").await != Some(1)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut sockets = Vec::new();
    for gateway in &gateways {
        sockets.push(subscribe(gateway, json!({})).await);
    }
    let mut of_one = subscribe(&gateways[1], json!({"transactions": ["trs-job", "none"]})).await;
    let mut expected = Vec::new();
    let traffic = Traffic::new();
    for (parts, mut fields) in cases() {
        for is_import in [false, true] {
            let mut event = sync_event("one");
            event.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
            if is_import {
                let import = format!("http://{}/okta/acme/import", gateways[0].address);
                let request = Client::builder().no_proxy().build().unwrap().post(import);
                let body = lines(std::slice::from_ref(&event));
                let answer = request.header("authorization", HOOK_SECRET).body(body).send().await.unwrap();
                assert_eq!(answer.status(), 200);
            } else {
                traffic.deliver(gateways[0].address, std::slice::from_ref(&event)).await.unwrap();
            }
            fields["uuid"] = uuid(&event).into();
            expected.push(fields.clone());
        }
    }
    for socket in &mut sockets {
        for fields in &expected {
            assert_eq!(socket.event("1").await, *fields);
        }
    }
    let of_job: Vec<_> =
        expected.iter().filter(|fields| fields["transaction"]["oktaId"] == "trs-job").cloned().collect();
    assert_eq!(of_job.len(), 2);
    for fields in &of_job {
        assert_eq!(of_one.event("1").await, *fields);
    }
    let heard = gateways[0]
        .metric("sluice_nats_received_total")
        .await
        .max(gateways[1].metric("sluice_nats_received_total").await);
    assert!(heard.unwrap_or(0) > 0, "no event came by NATS");
    // How an event arrived is not in its row: such a selection takes the other way to an answer.
    for more in ["", "receivedVia"] {
        let query = format!(
            "query ($filter: SyncEventFilter) {{ syncEvents(filter: $filter, orderBy: {{field: POSITION, direction: ASC}}) \
             {{ nodes {{ {FIELDS} {more} }} }} }}"
        );
        for (filter, expected) in [(json!({}), &expected), (json!({"transactions": ["trs-job"]}), &of_job)] {
            let mut nodes = ask(&gateways[1], &query, json!({"filter": filter})).await;
            for node in nodes.as_array_mut().unwrap() {
                node.as_object_mut().unwrap().remove("receivedVia");
            }
            assert_eq!(nodes, Value::from(expected.clone()), "{filter}");
        }
    }
}
