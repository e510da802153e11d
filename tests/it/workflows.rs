//! The Workflows relay: the card's own output, as flows send it.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::{PUBLISHED, delivery, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};

/// What the card gives for an event.
pub(crate) fn card(event: &Value, with_details: bool) -> Value {
    let entity = |of: &Value| json!({"ID": of["id"], "Alternate ID": of["alternateId"], "Display Name": of["displayName"], "Type": of["type"]});
    let mut card = json!({
        "Date and Time": event["published"],
        "Message": event["displayMessage"],
        "Event ID": Uuid::new_v4(),
        "Event Type": event["eventType"],
        "Event Time": "2026-03-04T05:06:10.000Z",
        "Version": event["version"],
        "Admin": entity(&event["actor"]),
        "Okta User": entity(&event["target"][2]),
        "Application User": entity(&event["target"][1]),
        "Application": entity(&event["target"][0]),
        "UUID": event["uuid"],
        "Headers": {"authorization": "the flow's secret", "X-Okta-Request": "r1"},
        "Source": "https://acme.okta.example/api/v1/eventHooks/whoflow",
        "Debug Context": {"Debug Data": event["debugContext"]["debugData"]},
    });
    if with_details {
        card["Event Details"] = event.clone();
    }
    card
}

fn receipt(stored: usize, duplicates: usize) -> Value {
    json!({"stored": stored, "duplicates": duplicates, "rejected": 0, "dropped": 0})
}

const OUTPUTS: &str = "
    { syncEvents {
        nodes {
            uuid eventType published message version receivedVia eventId eventTime source headers
            admin { oktaId alternateId displayName type }
            user { oktaId alternateId displayName type }
            applicationUser { oktaId alternateId displayName type }
            application { oktaId alternateId displayName type }
            applicationInstance { label application { name } }
            debugContext { debugData }
        }
    } }
";

#[tokio::test]
async fn a_card_comes_out_as_it_went_in() {
    let gateway = Gateway::start().await;
    let event = sync_event("one");
    let sent = card(&event, false);
    assert_eq!(gateway.post("workflows", sent.to_string()).await, (StatusCode::OK, receipt(1, 0)));
    let answer = gateway.query(OUTPUTS).await;
    let node = &answer["syncEvents"]["nodes"][0];
    let entity = |of: &Value| json!({"oktaId": of["id"], "alternateId": of["alternateId"], "displayName": of["displayName"], "type": of["type"]});
    let wanted = json!({
        "uuid": event["uuid"], "eventType": event["eventType"], "published": PUBLISHED,
        "message": event["displayMessage"], "version": "0", "receivedVia": ["WORKFLOWS"],
        "eventId": sent["Event ID"], "eventTime": sent["Event Time"], "source": sent["Source"],
        "headers": {"x-okta-request": "r1"},
        "admin": entity(&event["actor"]), "user": entity(&event["target"][2]),
        "applicationUser": entity(&event["target"][1]), "application": entity(&event["target"][0]),
        "applicationInstance": {"label": "Label one", "application": {"name": "office365"}},
        "debugContext": {"debugData": {"appname": "office365"}},
    });
    assert_eq!(*node, wanted);
    let details: Value = serde_json::from_str(&gateway.event_details(uuid(&event)).await).unwrap();
    let missing = json!({"result": "SUCCESS"});
    assert_eq!((&event["outcome"], details.get("outcome")), (&missing, None), "the card does not tell how it ended");
    assert_eq!(details["target"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn cards_with_details_in_lists_are_the_events_themselves() {
    let gateway = Gateway::start().await;
    let events = [sync_event("one"), sync_event("two"), sync_event("three")];
    let cards = json!([card(&events[0], true), {"Output": card(&events[1], true)}]);
    assert_eq!(gateway.post("workflows", cards.to_string()).await, (StatusCode::OK, receipt(2, 0)));
    let streamed = json!({"list": [{"Output": card(&events[2], true)}, {"Output": card(&events[0], true)}]});
    assert_eq!(gateway.post("workflows", streamed.to_string()).await, (StatusCode::OK, receipt(1, 1)));
    for event in &events {
        assert_eq!(gateway.event_details(uuid(event)).await, event.to_string(), "byte for byte");
    }
    // A hook that comes later is another way, and the card's delivery stays the first.
    gateway.deliver(&events[..1]).await;
    let query = format!("{{ syncEvent(uuid: \"{}\") {{ receivedVia source }} }}", uuid(&events[0]));
    let answer = gateway.query(&query).await;
    assert_eq!(answer["syncEvent"]["receivedVia"], json!(["WORKFLOWS", "EVENT_HOOK"]));
    assert_eq!(answer["syncEvent"]["source"], "https://acme.okta.example/api/v1/eventHooks/whoflow");
}

#[tokio::test]
async fn broken_cards_are_kept_and_stop_no_other() {
    let gateway = Gateway::start().await;
    let mut other = card(&sync_event("one"), false);
    other["Event Type"] = json!("user.session.start");
    let mut nameless = card(&sync_event("one"), false);
    nameless["UUID"] = json!("");
    let cards = json!([7, nameless, card(&sync_event("one"), false), other, {"Message": "no card"}]);
    let (status, told) = gateway.post("workflows", cards.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told, json!({"stored": 1, "duplicates": 0, "rejected": 3, "dropped": 1}));
    let kept = "SELECT count(*) FROM rejected WHERE source = 2";
    assert_eq!(gateway.database.number(kept).await, 3);
    let text = "SELECT raw FROM rejected WHERE reason LIKE '%uuid%' ORDER BY length(raw) DESC LIMIT 1";
    let raw: Vec<u8> = sqlx::query_scalar(text).fetch_one(&gateway.database.pool).await.unwrap();
    assert_eq!(String::from_utf8(raw).unwrap(), nameless.to_string(), "the card, as it came");
    for body in ["{", "\"text\""] {
        let (status, answer) = gateway.post("workflows", body).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("NOT_A_CARD")), "{answer}");
    }
    assert_eq!(gateway.database.number(kept).await, 5);
}

#[tokio::test]
async fn who_has_no_secret_or_too_much_is_refused() {
    let gateway = Gateway::start_with(|settings| settings.limits.delivery_events = 2).await;
    let one = card(&sync_event("one"), false);
    let post = || gateway.client.post(gateway.url("/okta/acme/workflows")).body(one.to_string());
    for request in [post(), post().header("authorization", "wrong")] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let many = json!([one, one, one]).to_string();
    let (status, answer) = gateway.post("workflows", many).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"]["message"].as_str().unwrap().contains("limits.delivery_events"), "{answer}");
    assert_eq!(gateway.head().await, "0");
    let (status, answer) = gateway.post("workflows", delivery(&[sync_event("one")]).to_string()).await;
    assert_eq!((status, answer), (StatusCode::OK, receipt(1, 0)), "a flow that relays the delivery does well, too");
    let other = gateway.client.post(gateway.url("/okta/other/workflows")).header("authorization", HOOK_SECRET);
    assert_eq!(other.body("{}").send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
