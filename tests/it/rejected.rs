//! What was rejected: listed in the graph, and read again or forgotten by the command.

use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};

use crate::events::{delivery, delivery_of, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::process::GatewayProcess;

const PAGE: &str = "
    query ($first: Int, $after: String, $last: Int, $before: String) {
        ingestion {
            rejected(first: $first, after: $after, last: $last, before: $before) {
                edges { cursor node { id raw } }
                nodes { __typename org source reason receivedAt }
                pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
            }
        }
    }
";

async fn page(gateway: &Gateway, variables: Value) -> (Vec<String>, Value, Value) {
    let mut page = gateway.query_with(PAGE, variables).await["ingestion"]["rejected"].take();
    let raws = page["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["raw"].as_str().unwrap().to_owned());
    (raws.collect(), page["pageInfo"].take(), page)
}

#[tokio::test]
async fn operators_page_through_it_newest_first() {
    let gateway = Gateway::start().await;
    for number in 0..5 {
        gateway.post_hook(delivery_of(&[format!("{{\"n\":{number}}}")])).await;
    }
    gateway.post("import", &b"\xffbytes"[..]).await;
    let (raws, info, whole) = page(&gateway, json!({})).await;
    assert_eq!(raws, ["\u{fffd}bytes", "{\"n\":4}", "{\"n\":3}", "{\"n\":2}", "{\"n\":1}", "{\"n\":0}"]);
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(false), &json!(false)));
    let newest = &whole["nodes"][0];
    assert_eq!(
        (&newest["org"], &newest["source"], &newest["__typename"]),
        (&json!("acme"), &json!("IMPORT"), &json!("RejectedRecord"))
    );
    assert!(whole["nodes"][1]["reason"].as_str().unwrap().contains("no `uuid`"), "{whole}");
    let (raws, info, _) = page(&gateway, json!({"first": 2})).await;
    assert_eq!((raws.len(), &info["hasNextPage"]), (2, &json!(true)));
    let (raws, info, _) = page(&gateway, json!({"first": 2, "after": info["endCursor"]})).await;
    assert_eq!((raws, &info["hasPreviousPage"]), (vec!["{\"n\":3}".to_owned(), "{\"n\":2}".to_owned()], &json!(true)));
    let (raws, info, _) = page(&gateway, json!({"last": 2, "before": info["startCursor"]})).await;
    assert_eq!((raws.len(), &info["hasPreviousPage"], &info["hasNextPage"]), (2, &json!(false), &json!(true)));
    let (raws, info, _) = page(&gateway, json!({"last": 1})).await;
    assert_eq!((raws, &info["hasPreviousPage"]), (vec!["{\"n\":0}".to_owned()], &json!(true)));
    let ids: Vec<_> = whole["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["id"].clone()).collect();
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on RejectedRecord { raw } } }";
    let found = gateway.query_with(query, json!({"ids": [ids[2], "RejectedRecord:999", ids[0]]})).await;
    assert_eq!(found["nodes"][0], json!({"id": ids[2], "raw": "{\"n\":3}"}));
    assert_eq!((&found["nodes"][1], &found["nodes"][2]["id"]), (&Value::Null, &ids[0]));
    let answer = gateway.ask(PAGE, json!({"after": "e1.2"})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

#[tokio::test]
async fn large_ones_make_short_pages_and_none_is_left_out() {
    let gateway = Gateway::start().await;
    let insert = "INSERT INTO rejected (org, source, reason, raw, digest) \
                  SELECT 'acme', 0, 'large', convert_to(n || repeat('x', 12000000), 'UTF8'), sha256(n::text::bytea) \
                  FROM generate_series(1, 5) n";
    sqlx::query(insert).execute(&gateway.database.pool).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let (raws, info, _) = page(&gateway, json!({"first": 10, "after": after})).await;
        assert!((1..=2).contains(&raws.len()), "{}", raws.len());
        seen.extend(raws.iter().map(|raw| raw[..1].to_owned()));
        after = info["endCursor"].clone();
        if info["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
    let ids: Vec<_> = (1..=5).map(|id| format!("RejectedRecord:{id}")).collect();
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on RejectedRecord { raw } } }";
    let answer = gateway.ask(query, json!({"ids": ids})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "they are too large together");
}

/// Runs `sluice rejected`: its exit status, and what it said.
async fn rejected(place: &GatewayProcess, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = place.command_of(&[&["rejected"], arguments].concat());
    let output = command.stdout(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn what_can_be_read_now_is_taken_in_and_what_is_of_no_use_forgotten() {
    let gateway = GatewayProcess::start().await;
    let pool = gateway.pool();
    let event = sync_event("one");
    let card = json!({"UUID": uuid(&sync_event("two")), "Event Type": event["eventType"], "Date and Time": event["published"]});
    let mixed = delivery(&[sync_event("three"), json!({"uuid": "none"})]);
    let mut unwanted = sync_event("four");
    unwanted["eventType"] = json!("user.session.start");
    // As an earlier version would have left them, that could not read them.
    let kept = [
        ("acme", 0_i16, event.to_string()),
        ("acme", 2, card.to_string()),
        ("acme", 0, mixed.to_string()),
        ("acme", 3, unwanted.to_string()),
        ("acme", 3, "broken".to_owned()),
        ("gone", 0, sync_event("five").to_string()),
    ];
    for (org, source, raw) in &kept {
        let insert = "INSERT INTO rejected (org, source, reason, raw, digest) VALUES ($1, $2, 'old', $3, sha256($3))";
        sqlx::query(insert).bind(org).bind(source).bind(raw.as_bytes()).execute(&pool).await.unwrap();
    }
    let (code, said) = rejected(&gateway, &["list"]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 12), "{said}");
    assert!(said.starts_with("6  ") && said.contains("gone  event_hook"), "{said}");
    let (_, said) = rejected(&gateway, &["list", "--raw", "--org", "acme", "--limit", "1"]).await;
    assert!(said.starts_with("5  ") && said.contains("\nbroken\n") && said.contains("there are more"), "{said}");
    let (code, said) = rejected(&gateway, &["retry", "1"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "1 read: 1 events stored, 0 duplicate; 0 left\n"));
    let (code, said) = rejected(&gateway, &["retry"]).await;
    assert_eq!(code, Some(3), "{said}");
    for told in [
        "4: it can be read, but",
        "5: not a JSON object",
        "6: there is no org \"gone\"",
        "2 read: 2 events stored",
        "3 left",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let left: Vec<i64> = sqlx::query_scalar("SELECT id FROM rejected ORDER BY id").fetch_all(&pool).await.unwrap();
    assert_eq!(left, [4, 5, 6, 7], "the broken part of the delivery stands by itself now");
    let sources: Vec<i16> =
        sqlx::query_scalar("SELECT first_source FROM sync_event ORDER BY position").fetch_all(&pool).await.unwrap();
    assert_eq!(sources, [0, 2, 0], "each came by its own way");
    assert_eq!(rejected(&gateway, &["drop"]).await.0, Some(2), "nothing is forgotten by mistake");
    assert_eq!(rejected(&gateway, &["drop", "5"]).await, (Some(0), "1 dropped\n".to_owned()));
    assert_eq!(rejected(&gateway, &["drop", "--org", "gone"]).await, (Some(0), "1 dropped\n".to_owned()));
    assert_eq!(rejected(&gateway, &["drop", "--all"]).await, (Some(0), "2 dropped\n".to_owned()));
    assert_eq!(rejected(&gateway, &["list"]).await, (Some(0), "nothing was rejected\n".to_owned()));
    let hook =
        Client::builder().no_proxy().build().unwrap().post(format!("http://{}/okta/acme/hooks", gateway.address));
    let answer = hook.header("authorization", HOOK_SECRET).body(delivery(&[event]).to_string()).send().await.unwrap();
    let receipt: Value = answer.json().await.unwrap();
    assert_eq!(receipt["duplicates"], 1, "{receipt}");
}
