//! Pages that are read while partitions of new months appear: a page and what follows its head are everything.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::events::{sync_event, uuid};
use crate::gateway::{Gateway, settings};

const MONTHS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_holds_everything_up_to_its_head_though_partitions_appear_meanwhile() {
    let one = Gateway::start().await;
    let other = Gateway::start_over(one.database.clone(), settings(&one.database)).await;
    let stop = CancellationToken::new();
    let readers = [one.url("/graphql"), other.url("/graphql")]
        .map(|url| tokio::spawn(read_pages(one.client.clone(), url, stop.clone())));
    let mut follower = other.socket().await;
    follower.subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }", json!({})).await;
    for month in 0..MONTHS {
        let mut event = sync_event("one");
        event["published"] = format!("{}-{:02}-01T00:00:00.000Z", 2012 + month / 12, 1 + month % 12).into();
        one.deliver(std::slice::from_ref(&event)).await;
        assert_eq!(follower.event("1").await, json!({"uuid": uuid(&event)}), "a subscriber misses nothing, too");
    }
    stop.cancel();
    for reader in readers {
        let (pages, heads) = reader.await.unwrap();
        assert!(heads > 1, "{pages} pages had {heads} heads: nothing appeared meanwhile");
    }
}

/// Reads pages until it is told to stop, and checks that each holds every position through its head. Gives how many it
/// read, and how many heads they had.
async fn read_pages(client: reqwest::Client, url: String, stop: CancellationToken) -> (usize, usize) {
    let body = json!({"query": "{ syncEvents(first: 1000) { head nodes { position } } }"}).to_string();
    let (mut pages, mut heads, mut last) = (0, 0, String::new());
    while !stop.is_cancelled() {
        let request = client.post(&url).header("content-type", "application/json").body(body.clone());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let page = &answer["data"]["syncEvents"];
        let head = page["head"].as_str().unwrap();
        // Every month is later than those before it, so the newest event has the highest position.
        let nodes: Vec<_> = page["nodes"].as_array().unwrap().iter().map(|node| node["position"].clone()).collect();
        let expected: Vec<_> =
            (1..=head.parse::<usize>().unwrap()).rev().map(|position| position.to_string()).collect();
        assert_eq!(nodes, expected, "the page misses events that its head counts");
        pages += 1;
        heads += usize::from(last != head);
        head.clone_into(&mut last);
    }
    (pages, heads)
}
