//! Event hooks as Okta speaks them: the challenge, the secret, deliveries stored once and whole.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sluice::auth::HookSecrets;
use sluice::event::EventTypePattern;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::events::{delivery, delivery_of, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, HOOK_SECRET, ORG, settings};

fn hook(gateway: &Gateway) -> RequestBuilder {
    gateway.client.post(gateway.url("/okta/acme/hooks"))
}

async fn refusal(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert!(!answer.to_string().contains(HOOK_SECRET), "{answer}");
    (status, answer["error"]["code"].clone())
}

fn receipt(stored: usize, duplicates: usize, dropped: usize) -> Value {
    json!({"stored": stored, "duplicates": duplicates, "rejected": 0, "dropped": dropped})
}

#[tokio::test]
async fn the_challenge_is_echoed_to_who_knows_the_org() {
    let gateway = Gateway::start().await;
    let get = |path: &str| gateway.client.get(gateway.url(path));
    let challenge = "x-okta-verification-challenge";
    let response = get("/okta/acme/hooks").header(challenge, "q\"8 ü").send().await.unwrap();
    assert_eq!(refusal(response).await, (StatusCode::BAD_REQUEST, json!("NO_CHALLENGE")), "a header is ASCII");
    let response = get("/okta/acme/hooks").header(challenge, "q\"8-~").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"verification": "q\"8-~"}));
    let response = get("/okta/acme/hooks").send().await.unwrap();
    assert_eq!(refusal(response).await, (StatusCode::BAD_REQUEST, json!("NO_CHALLENGE")));
    for unknown in ["/okta/other/hooks", "/okta/%ff/hooks"] {
        let response = get(unknown).header(challenge, "q").send().await.unwrap();
        assert_eq!(refusal(response).await, (StatusCode::NOT_FOUND, json!("UNKNOWN_ORG")), "{unknown}");
    }
    let delivered = gateway.client.post(gateway.url("/okta/ACME/hooks")).header("authorization", HOOK_SECRET);
    let response = delivered.body(delivery(&sync_events("one", 1)).to_string()).send().await.unwrap();
    assert_eq!(refusal(response).await, (StatusCode::NOT_FOUND, json!("UNKNOWN_ORG")));
}

#[tokio::test]
async fn a_delivery_without_the_secret_is_refused() {
    let gateway = Gateway::start().await;
    let wrong = ["", "the hook's secre", "the hook's secrets", "The hook's secret", "Bearer the hook's secret"];
    for value in std::iter::once(None).chain(wrong.map(Some)) {
        let request = hook(&gateway).body(delivery(&sync_events("one", 1)).to_string());
        let request = value.into_iter().fold(request, |request, value| request.header("authorization", value));
        let response = request.header("x-secret", HOOK_SECRET).send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"), "{value:?}");
        assert_eq!(refusal(response).await, (StatusCode::UNAUTHORIZED, json!("UNAUTHENTICATED")), "{value:?}");
    }
    assert_eq!(gateway.head().await, "0");
    assert_eq!(gateway.deliver(&sync_events("one", 1)).await, receipt(1, 0, 0));
}

#[tokio::test]
async fn both_secrets_are_accepted_while_one_is_rotated_in_the_header_of_the_org() {
    let gateway = Gateway::start_with(|settings| {
        settings.orgs.get_mut(ORG).unwrap().hook = HookSecrets::new("X-Hook-Key", vec!["old".into(), "new".into()]);
    })
    .await;
    let cases = [
        ("x-hook-key", "old", StatusCode::OK),
        ("X-HOOK-KEY", "new", StatusCode::OK),
        ("x-hook-key", "older", StatusCode::UNAUTHORIZED),
        ("authorization", "new", StatusCode::UNAUTHORIZED),
    ];
    for (header, value, status) in cases {
        let request = hook(&gateway).header(header, value).body(delivery(&sync_events("one", 1)).to_string());
        assert_eq!(request.send().await.unwrap().status(), status, "{header}: {value}");
    }
    assert_eq!(gateway.head().await, "2");
}

#[tokio::test]
async fn a_hook_takes_get_and_post_only() {
    let gateway = Gateway::start().await;
    for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let body = delivery(&sync_events("one", 1)).to_string();
        let request = gateway.client.request(method.clone(), gateway.url("/okta/acme/hooks"));
        let response = request.header("authorization", HOOK_SECRET).body(body).send().await.unwrap();
        let allowed = response.headers().get("allow").map(|allowed| allowed.to_str().unwrap().to_owned());
        assert_eq!(allowed.as_deref(), Some("GET,HEAD,POST"), "{method}");
        assert_eq!(refusal(response).await, (StatusCode::METHOD_NOT_ALLOWED, json!("METHOD_NOT_ALLOWED")), "{method}");
    }
    assert_eq!(gateway.head().await, "0");
}

#[tokio::test]
async fn event_types_that_are_not_wanted_are_counted_and_dropped() {
    let types = [
        "application.provision.user.sync",
        "application.provision.user",
        "application.provision.users.sync",
        "system.import.complete",
        "system.import.complete_batch",
        "user.session.start",
    ];
    let cases: [(&[&str], &[usize]); 4] = [
        (&["application.provision.user.*"], &[0]),
        (&["application.provision.user*", "system.import.complete"], &[0, 1, 2, 3]),
        (&["system.import.complete", "SYSTEM.IMPORT.*", "user.session"], &[3]),
        (&["*"], &[0, 1, 2, 3, 4, 5]),
    ];
    for (patterns, wanted) in cases {
        let gateway = Gateway::start_with(|settings| {
            let parsed = patterns.iter().filter_map(|pattern| EventTypePattern::parse(pattern));
            settings.orgs.get_mut(ORG).unwrap().event_types = parsed.collect();
        })
        .await;
        let events = types.map(|name| {
            let mut event = sync_event("one");
            event["eventType"] = json!(name);
            event
        });
        let dropped = types.len() - wanted.len();
        assert_eq!(gateway.deliver(&events).await, receipt(wanted.len(), 0, dropped), "{patterns:?}");
        let stored: Vec<String> = sqlx::query_scalar("SELECT event_type FROM sync_event ORDER BY position")
            .fetch_all(&gateway.database.pool)
            .await
            .unwrap();
        assert_eq!(stored, wanted.iter().map(|at| types[*at]).collect::<Vec<_>>(), "{patterns:?}");
        assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 0, "{patterns:?}");
    }
}

#[tokio::test]
async fn an_event_is_stored_once_however_often_it_comes() {
    let gateway = Gateway::start_with(|settings| {
        let twin = settings.orgs[ORG].clone();
        settings.orgs.insert("twin".to_owned(), twin);
    })
    .await;
    let [one, two] = [sync_event("one"), sync_event("two")];
    let repeated = [&one, &two, &one, &one].map(Clone::clone);
    assert_eq!(gateway.deliver(&repeated).await, receipt(2, 2, 0), "in one delivery");
    assert_eq!(gateway.deliver(&[two.clone(), sync_event("three")]).await, receipt(1, 1, 0), "across deliveries");
    let mut differing = one.clone();
    differing["displayMessage"] = json!("something else");
    differing["uuid"] = json!(uuid(&one).to_uppercase());
    assert_eq!(gateway.deliver(&[differing]).await, receipt(0, 1, 0), "with other content");
    assert_eq!(gateway.event_details(uuid(&one)).await, one.to_string(), "the first one stays");
    let twin = gateway.client.post(gateway.url("/okta/twin/hooks")).header("authorization", HOOK_SECRET);
    let response = twin.body(delivery(&[one]).to_string()).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), receipt(1, 0, 0), "in another org it is another event");
    assert_eq!(gateway.head().await, "4");
    assert_eq!(gateway.database.number("SELECT count(*) FROM delivery").await, 3, "those that brought something");
}

#[tokio::test]
async fn two_gateways_that_get_the_same_deliveries_at_once_store_each_event_once() {
    let one = Gateway::start().await;
    let other = Gateway::start_over(one.database.clone(), settings(&one.database)).await;
    let events = sync_events("one", 40);
    let deliver = |turn: usize| {
        let gateway = if turn.is_multiple_of(2) { &one } else { &other };
        // Overlapping windows, in both directions.
        let mut told: Vec<_> = events.iter().cycle().skip(turn * 5).take(25).cloned().collect();
        if turn % 4 > 1 {
            told.reverse();
        }
        async move { gateway.deliver(&told).await }
    };
    let receipts = join_all((0..16).map(deliver)).await;
    let sum = |what: &str| receipts.iter().map(|receipt| receipt[what].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("stored"), sum("duplicates")), (40, 16 * 25 - 40));
    assert_eq!(one.database.number("SELECT count(DISTINCT uuid) FROM sync_event").await, 40);
    assert_eq!(one.database.number("SELECT max(position) FROM sync_event").await, 40);
}

#[tokio::test]
async fn details_come_back_byte_for_byte() {
    let gateway = Gateway::start().await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let events = [
        format!(
            "{{ \"zeta\" : 1.10,\t\"published\":\"2026-03-04T05:06:07.8Z\" , \"alpha\":{{\"b\":1e2,\"a\":-0.0}},\r\n \
             \"eventType\":\"application.provision.user.sync\",\"uuid\" : \"{first}\",\"slash\":\"\\/\\u00e9é\" }}"
        ),
        format!(
            r#"{{"uuid":"{second}","eventType":"application.provision.user.sync","published":"2026-03-04T05:06:07Z",
                "new":{{"from":[12345678901234567890123, 0.1000]}},"client":{{"ipChain":[]}},"target":[ ]}}"#
        ),
    ];
    let (status, _) = gateway.post_hook(delivery_of(&events)).await;
    assert_eq!(status, StatusCode::OK);
    for (uuid, event) in [first, second].iter().zip(&events) {
        assert_eq!(gateway.event_details(&uuid.to_string()).await, *event);
    }
}

#[tokio::test]
async fn no_secret_of_a_delivery_is_kept_or_told() {
    let gateway = Gateway::start_with(|settings| {
        let org = settings.orgs.get_mut(ORG).unwrap();
        org.hook = HookSecrets::new("x-hook-key", vec![HOOK_SECRET.into()]);
        org.keep_headers = vec!["X-Note".to_owned()];
    })
    .await;
    let event = sync_event("one");
    let request = hook(&gateway).header("X-Hook-Key", HOOK_SECRET).header("authorization", "Bearer another-secret");
    let request = request.header("cookie", "session=another-secret").header("x-note", "kept").header("x-note", "too");
    let response = request.body(delivery(std::slice::from_ref(&event)).to_string()).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), receipt(1, 0, 0));
    let answer = gateway.query("{ syncEvents { nodes { eventDetails source headers } } }").await;
    let headers = &answer["syncEvents"]["nodes"][0]["headers"];
    for left_out in ["x-hook-key", "authorization", "cookie"] {
        assert_eq!(headers.get(left_out), None, "{left_out}");
    }
    assert_eq!(headers["x-note"], "kept, too");
    let kept: String =
        sqlx::query_scalar("SELECT d::text FROM delivery d").fetch_one(&gateway.database.pool).await.unwrap();
    let metrics = gateway.client.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for text in [answer.to_string(), kept, metrics] {
        assert!(!text.contains(HOOK_SECRET) && !text.contains("another-secret"), "{text}");
    }
}

#[tokio::test]
async fn while_the_database_is_away_the_answer_is_503_and_the_same_delivery_is_stored_later() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let body = delivery(&sync_events("one", 3)).to_string();
    gateway.database.close().await;
    for sent in [body.as_str(), "no delivery, which cannot be kept now", &delivery(&[json!(7)]).to_string()] {
        let response = hook(&gateway).header("authorization", HOOK_SECRET).body(sent.to_owned()).send().await.unwrap();
        assert!(response.headers().contains_key("retry-after"), "{sent}");
        assert_eq!(refusal(response).await, (StatusCode::SERVICE_UNAVAILABLE, json!("UNAVAILABLE")), "{sent}");
    }
    gateway.database.open().await;
    assert_eq!(gateway.post_hook(body.clone()).await, (StatusCode::OK, receipt(3, 0, 0)));
    assert_eq!(gateway.post_hook(body).await, (StatusCode::OK, receipt(0, 3, 0)));
    assert_eq!(gateway.database.number("SELECT position FROM log_head").await, 5);
}

#[tokio::test]
async fn what_is_acknowledged_is_committed() {
    let gateway = Gateway::start().await;
    let deliver = |_| async {
        let mut apart = PgConnection::connect(&gateway.database.url).await.unwrap();
        for _ in 0..25 {
            let event = sync_event("one");
            assert_eq!(gateway.deliver(std::slice::from_ref(&event)).await, receipt(1, 0, 0));
            let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM sync_event WHERE uuid = $1::uuid")
                .bind(uuid(&event))
                .fetch_one(&mut apart)
                .await
                .unwrap();
            assert_eq!(seen, 1);
        }
    };
    join_all((0..8).map(deliver)).await;
    assert_eq!(gateway.head().await, "200");
}

#[tokio::test]
async fn a_large_delivery_is_stored_whole_and_in_order() {
    let gateway = Gateway::start().await;
    let events = sync_events("one", 2_500);
    assert_eq!(gateway.deliver(&events).await, receipt(2_500, 0, 0));
    let stored: Vec<String> = sqlx::query_scalar("SELECT uuid::text FROM sync_event ORDER BY position")
        .fetch_all(&gateway.database.pool)
        .await
        .unwrap();
    assert!(stored.iter().map(String::as_str).eq(events.iter().map(uuid)), "in the order of the delivery");
    assert_eq!(gateway.head().await, "2500");
    let deliveries: Vec<Uuid> =
        sqlx::query_scalar("SELECT delivery FROM arrival").fetch_all(&gateway.database.pool).await.unwrap();
    assert_eq!(deliveries.into_iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(gateway.database.number("SELECT count(*) FROM delivery").await, 1);
}

#[tokio::test]
async fn a_delivery_whose_last_event_is_appended_alone_is_kept_once() {
    let gateway = Gateway::start().await;
    // What an event is appended alone for must be known.
    gateway.deliver(&sync_events("one", 1)).await;
    assert_eq!(gateway.deliver(&sync_events("one", 1_001)).await, receipt(1_001, 0, 0));
    assert_eq!(gateway.head().await, "1002");
    assert_eq!(gateway.database.number("SELECT count(*) FROM delivery").await, 2);
    assert_eq!(gateway.database.number("SELECT count(DISTINCT delivery) FROM arrival").await, 2);
}
