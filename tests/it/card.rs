//! Every output of Okta's card, with the value that Okta sent.

use std::collections::HashMap;
use std::sync::Arc;

use okta_sim::{Behaviour, DeliveryPlan, Organisation, OrganisationOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::events::{PUBLISHED, delivery, delivery_of, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET};

/// Everything that the graph tells of an event.
const CARD: &str = "id position org uuid eventType published message version severity outcome { result reason }
    admin { oktaId alternateId displayName type } user { oktaId alternateId displayName type }
    applicationUser { oktaId alternateId displayName type } application { oktaId alternateId displayName type }
    applicationInstance { org instanceId label status adminUrl eventCount lastEventAt
        application { org name displayName eventCount lastEventAt } }
    debugContext { debugData } eventDetails eventId eventTime source raw headers receivedAt firstReceivedVia receivedVia";

/// An event with all that the card shows.
fn full_event() -> Value {
    json!({
        "uuid": "7e628fc1-a0b1-11f1-bf59-8b5627020a34",
        "published": "2026-03-04T05:06:07.89Z",
        "eventType": "application.provision.user.sync",
        "version": "0",
        "severity": "WARN",
        "legacyEventType": "app.user_management.provision_user_failed",
        "displayMessage": "Sync user in external application",
        "actor": {"id": "0spsystem", "type": "SystemPrincipal", "alternateId": "system@okta.example",
                  "displayName": "Okta System", "detailEntry": null},
        "client": {"ipChain": []},
        "outcome": {"result": "FAILURE", "reason": null},
        "target": [
            {"id": "00gteam", "type": "UserGroup", "alternateId": "unknown", "displayName": "A team"},
            {"id": "00ugrace", "type": "User", "alternateId": "grace@acme.example", "displayName": "Grace Hopper"},
            {"id": "0oainstance", "type": "AppInstance", "alternateId": "Office of Europe",
             "displayName": "Microsoft Office 365", "detailEntry": {"signOnModeType": "SAML_2_0"}},
            {"id": "0uaper", "type": "AppUser", "alternateId": "grace@europe.example", "displayName": "G. Hopper"}
        ],
        "transaction": {"type": "JOB", "id": "opp1", "detail": {}},
        "debugContext": {"debugData": {"AppName": "office365", "jobId": "ppj1", "retries": 3, "steps": ["a", {"b": null}]}}
    })
}

async fn card(gateway: &Gateway, uuid: &Value) -> Value {
    let query = format!("query ($uuid: UUID!) {{ syncEvent(uuid: $uuid) {{ {CARD} }} }}");
    gateway.query_with(&query, json!({"uuid": uuid})).await["syncEvent"].clone()
}

#[tokio::test]
async fn every_output_of_the_card_has_the_value_that_was_sent() {
    let gateway = Gateway::start().await;
    let event = full_event();
    let body = delivery(std::slice::from_ref(&event));
    let request = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
    let request = request.header("user-agent", "Okta hooks").header("content-type", "application/json");
    assert_eq!(request.body(body.to_string()).send().await.unwrap().status(), StatusCode::OK);
    // Told again, by another delivery: the first one counts.
    assert_eq!(gateway.deliver(std::slice::from_ref(&event)).await["duplicates"], 1);

    let mut card = card(&gateway, &event["uuid"]).await;
    let id = card["id"].take();
    let same = gateway.query_with("query ($id: ID!) { node(id: $id) { id __typename } }", json!({"id": id})).await;
    assert_eq!(same, json!({"node": {"id": id, "__typename": "SyncEvent"}}));
    let stored = r#"SELECT to_char(received_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM sync_event"#;
    let mut connection = gateway.database.pool.acquire().await.unwrap();
    sqlx::query("SET timezone = 'UTC'").execute(&mut *connection).await.unwrap();
    let received_at: String = sqlx::query_scalar(stored).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(card["receivedAt"].take(), json!(received_at));
    let headers = card["headers"].take();
    assert_eq!([&headers["user-agent"], &headers["content-type"]], ["Okta hooks", "application/json"]);
    assert_eq!(headers.get("authorization"), None);
    let moment = "2026-03-04T05:06:07.890Z";
    let [admin, user, instance, application_user] =
        [&event["actor"], &event["target"][1], &event["target"][2], &event["target"][3]].map(entity);
    let expected = json!({
        "id": null,
        "receivedAt": null,
        "headers": null,
        "position": "1",
        "org": "acme",
        "uuid": "7e628fc1-a0b1-11f1-bf59-8b5627020a34",
        "eventType": "application.provision.user.sync",
        "published": moment,
        "message": "Sync user in external application",
        "version": "0",
        "severity": "WARN",
        "outcome": {"result": "FAILURE", "reason": null},
        "admin": admin,
        "user": user,
        "applicationUser": application_user,
        "application": instance,
        "applicationInstance": {
            "org": "acme", "instanceId": "0oainstance", "label": "Office of Europe", "status": null,
            "adminUrl": "https://acme.okta.example/admin/app/office365/instance/0oainstance/",
            "eventCount": 1, "lastEventAt": moment,
            "application": {"org": "acme", "name": "office365", "displayName": "Microsoft Office 365",
                            "eventCount": 1, "lastEventAt": moment},
        },
        "debugContext": event["debugContext"],
        "eventDetails": event,
        "raw": event.to_string(),
        "eventId": body["eventId"],
        "eventTime": "2026-03-04T05:06:10.000Z",
        "source": "https://acme.okta.example/api/v1/eventHooks/whoacme",
        "firstReceivedVia": "EVENT_HOOK",
        "receivedVia": ["EVENT_HOOK"],
    });
    assert_eq!(card, expected);
}

#[tokio::test]
async fn raw_has_the_bytes_that_a_json_parser_changes() {
    let gateway = Gateway::start().await;
    let raw = r#"{"uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34", "published":"2026-03-04T05:06:07.890Z",
        "eventType":"application.provision.user.sync", "n":12345678901234567890, "one":1.0, "e":"\u00e9\/\ud83d\ude00"}"#;
    gateway.post_hook(delivery_of(&[raw])).await;
    // By the writer, and by async-graphql: the arrivals are no columns of the event.
    for more in ["", "receivedVia"] {
        let page = gateway.query(&format!("{{ syncEvents {{ nodes {{ raw {more} }} }} }}")).await;
        assert_eq!(page["syncEvents"]["nodes"][0]["raw"], raw);
    }
}

#[tokio::test]
async fn what_okta_does_not_send_is_null() {
    let gateway = Gateway::start().await;
    let uuid = json!("7e628fc1-a0b1-11f1-bf59-8b5627020a34");
    let bare = json!({"uuid": uuid, "eventType": "application.lifecycle.update", "published": PUBLISHED});
    let nulls = ["version", "severity", "displayMessage", "actor", "outcome", "target", "debugContext"];
    let mut with_nulls = bare.clone();
    with_nulls["uuid"] = json!("7e628fc1-a0b1-11f1-bf59-8b5627020a35");
    for key in nulls {
        with_nulls[key] = Value::Null;
    }
    let body = format!(r#"{{"data":{{"events":[{bare},{with_nulls}]}},"eventTime":"soon","eventId":null}}"#);
    assert_eq!(gateway.post_hook(body).await.0, StatusCode::OK);
    for event in [bare, with_nulls] {
        let card = card(&gateway, &event["uuid"]).await;
        let told: Vec<_> = card.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).collect();
        let told: Vec<_> = told.into_iter().map(|(key, _)| key.as_str()).collect();
        let always = ["eventDetails", "eventType", "firstReceivedVia", "headers", "id", "org", "position", "published"];
        assert_eq!(told, [&always[..], &["raw", "receivedAt", "receivedVia", "uuid"]].concat());
        assert_eq!(card["eventDetails"], event);
    }
}

#[tokio::test]
async fn what_is_odd_is_told_as_far_as_it_goes() {
    let gateway = Gateway::start().await;
    let mut event = sync_event("one");
    event["severity"] = json!("NOTICE");
    event["outcome"] = json!({"result": "BRAND_NEW", "reason": "because"});
    event["debugContext"] = json!({"debugData": {}});
    event["target"] = json!([{"type": "AppInstance", "id": "0oaone"}, {"type": "User", "displayName": "No Id"},
                             {"type": "User", "id": "00usecond"}]);
    gateway.deliver(std::slice::from_ref(&event)).await;
    let card = card(&gateway, &event["uuid"]).await;
    assert_eq!(card["severity"], Value::Null);
    assert_eq!(card["outcome"], event["outcome"]);
    assert_eq!(card["debugContext"], json!({"debugData": {}}));
    let application = json!({"oktaId": "0oaone", "type": "AppInstance", "alternateId": null, "displayName": null});
    assert_eq!(card["application"], application);
    assert_eq!(card["user"], json!({"oktaId": null, "type": "User", "alternateId": null, "displayName": "No Id"}));
    let instance = &card["applicationInstance"];
    assert_eq!((&instance["instanceId"], &instance["label"]), (&json!("0oaone"), &Value::Null));
    assert_eq!((&instance["application"], &instance["adminUrl"]), (&Value::Null, &Value::Null));
}

/// The card's entity of an actor or a target.
fn entity(sent: &Value) -> Value {
    let members = [("oktaId", "id"), ("alternateId", "alternateId"), ("displayName", "displayName"), ("type", "type")];
    let members = members.map(|(field, key)| (field.to_owned(), sent[key].clone()));
    if sent.is_null() { Value::Null } else { Value::Object(members.into_iter().collect()) }
}

/// What the card shows of an event as a hook sent it, but for what its delivery and the catalogue tell.
fn shown(sent: &Value) -> Value {
    let target = |kind: &str| {
        let targets = sent["target"].as_array();
        targets.into_iter().flatten().find(|target| target["type"] == kind).map_or(Value::Null, entity)
    };
    json!({
        "uuid": sent["uuid"],
        "eventType": sent["eventType"],
        "published": sent["published"],
        "message": sent["displayMessage"],
        "version": sent["version"],
        "severity": sent["severity"],
        "outcome": {"result": sent["outcome"]["result"], "reason": sent["outcome"]["reason"]},
        "admin": entity(&sent["actor"]),
        "user": target("User"),
        "applicationUser": target("AppUser"),
        "application": target("AppInstance"),
        "debugContext": sent["debugContext"],
        "eventDetails": sent,
    })
}

#[tokio::test]
async fn events_of_an_organisation_come_back_as_they_were_sent() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut organisation = Organisation::new(OrganisationOptions { seed: 7, ..OrganisationOptions::default() });
    let history = organisation.history(200, datetime!(2026-10-01 00:00 UTC), datetime!(2026-11-15 00:00 UTC));
    let history: Vec<_> = history.into_iter().map(Arc::new).collect();
    // Told as on a bad day: twice, late, and in another order.
    let behaviour = Behaviour { batch: 9, duplicates: 0.1, repeated: 0.1, late: 0.1, reordered: 0.1 };
    let mut told_by = HashMap::new();
    for delivery in DeliveryPlan::new(Arc::clone(organisation.hook()), history.clone(), behaviour, 7) {
        assert_eq!(gateway.post_hook(delivery.json()).await.0, StatusCode::OK);
        for event in &delivery.events {
            told_by.entry(event.uuid).or_insert(delivery.event_id);
        }
    }
    let query = format!("{{ syncEvents(first: 300) {{ nodes {{ {CARD} }} }} }}");
    let page = gateway.query(&query).await["syncEvents"]["nodes"].take();
    let cards: HashMap<_, _> =
        page.as_array().unwrap().iter().map(|card| (card["uuid"].as_str().unwrap(), card)).collect();
    assert_eq!((cards.len(), page.as_array().unwrap().len()), (200, 200));
    for event in &history {
        let json = event.hook_json();
        let card = cards[event.uuid.to_string().as_str()];
        for (output, value) in shown(&serde_json::from_str(&json).unwrap()).as_object().unwrap() {
            assert_eq!(card[output], *value, "{output} of {json}");
        }
        assert_eq!(card["eventId"], json!(told_by[&event.uuid]), "{json}");
        assert_eq!(card["source"], json!(organisation.hook().source), "{json}");
        assert_eq!(card["applicationInstance"]["instanceId"].as_str(), event.instance_id(), "{json}");
        assert_eq!(gateway.event_details(&event.uuid.to_string()).await, json);
    }
    let mut socket = gateway.socket().await;
    socket
        .subscribe(
            "all",
            &format!("subscription {{ syncEvents(from: {{after: \"0\"}}) {{ events {{ {CARD} }} }} }}"),
            json!({}),
        )
        .await;
    for position in 1..=200 {
        let pushed = socket.event("all").await;
        assert_eq!(pushed["position"], position.to_string());
        assert_eq!(pushed, *cards[pushed["uuid"].as_str().unwrap()], "pushed as it is asked for");
    }
}
