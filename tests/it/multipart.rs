//! Apollo's subscriptions over multipart HTTP: parts, their payloads, and how they end.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::events::sync_events;
use crate::gateway::Gateway;

const ACCEPT: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";
const PATIENCE: Duration = Duration::from_secs(20);

/// The parts of a response.
struct Parts {
    response: Response,
    read: Vec<u8>,
}

/// What is found between two boundaries.
#[derive(Debug, PartialEq)]
enum Part {
    Json(Value),
    /// The last boundary.
    End,
}

impl Gateway {
    fn multipart(&self, accept: &str, query: &str) -> RequestBuilder {
        let request = self.client.post(self.url("/graphql")).header("accept", accept);
        request.json(&json!({"query": query}))
    }
}

impl Parts {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(content_type, "multipart/mixed; boundary=graphql; subscriptionSpec=1.0");
        let mut parts = Self { response, read: Vec::new() };
        assert_eq!(parts.until("--graphql").await, "\r\n", "nothing comes before the first boundary");
        parts
    }

    async fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|text| text == mark.as_bytes()) {
                let mut text: Vec<u8> = self.read.drain(..at + mark.len()).collect();
                text.truncate(at);
                return String::from_utf8(text).unwrap();
            }
            let bytes = timeout(PATIENCE, self.response.chunk()).await.expect("a part comes in time");
            self.read.extend_from_slice(&bytes.unwrap().expect("the response goes on"));
        }
    }

    /// The next part, which is whole with the boundary that follows it at once.
    async fn part(&mut self) -> Part {
        let head = self.until("\r\n").await;
        if head == "--" {
            assert_eq!(self.response.chunk().await.unwrap(), None, "nothing comes after the last boundary");
            return Part::End;
        }
        assert_eq!(head, "", "a boundary ends its line");
        let headers = self.until("\r\n\r\n").await;
        // The order matters: Apollo's client for iOS takes everything before the first `; ` for the content type.
        let before = "content-type: application/json; charset=utf-8\r\ncontent-length: ";
        let length = headers.strip_prefix(before).expect(&headers);
        let json = self.until("\r\n--graphql").await;
        assert_eq!(length.parse(), Ok(json.len()), "{json}");
        Part::Json(serde_json::from_str(&json).unwrap())
    }

    /// The next part with an event, with errors or with the end.
    async fn told(&mut self) -> Part {
        loop {
            let part = self.part().await;
            if part != payload(&[]) {
                return part;
            }
        }
    }
}

fn payload(positions: &[u64]) -> Part {
    let events: Vec<_> = positions.iter().map(|position| json!({"position": position.to_string()})).collect();
    Part::Json(json!({"payload": {"data": {"syncEvents": {"events": events}}}}))
}

#[tokio::test]
async fn each_answer_is_the_payload_of_a_part() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { events { position } } }";
    for accept in [
        ACCEPT,
        &format!("{ACCEPT}, application/json"),
        &format!("application/json, {ACCEPT}"),
        &format!("application/graphql-response+json, application/json;q=0.9, {ACCEPT}"),
        "multipart/mixed;subscriptionSpec=\"1.0\", */*",
    ] {
        let mut parts = Parts::open(gateway.multipart(accept, query)).await;
        assert_eq!(parts.part().await, payload(&[]), "{accept}");
        assert_eq!(parts.part().await, payload(&[1, 2]), "{accept}");
    }
    let mut parts = Parts::open(gateway.multipart(ACCEPT, query)).await;
    assert_eq!(parts.told().await, payload(&[1, 2]));
    gateway.deliver(&sync_events("one", 1)).await;
    assert_eq!(parts.told().await, payload(&[3]));
}

#[tokio::test]
async fn a_quiet_subscriber_gets_payloads_without_events() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await;
    let mut parts = Parts::open(gateway.multipart(ACCEPT, "subscription { syncEvents { events { position } } }")).await;
    for _ in 0..3 {
        assert_eq!(parts.part().await, payload(&[]));
    }
}

#[tokio::test]
async fn an_error_before_the_start_is_an_answer_by_itself() {
    let gateway = Gateway::start().await;
    let accept = format!("{ACCEPT}, application/graphql-response+json, application/json;q=0.9");
    for (query, status, code) in [
        ("subscription {", 400, "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { syncEvents(from: {after: \"7\"}) { events { position } } }", 200, "POSITION_AHEAD"),
    ] {
        let response = gateway.multipart(&accept, query).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/graphql-response+json; charset=utf-8");
        assert_eq!(response.status().as_u16(), status, "{query}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}");
        let mut parts = Parts::open(gateway.multipart(ACCEPT, query)).await;
        let Part::Json(part) = parts.told().await else { panic!("{query}") };
        assert_eq!(part["payload"]["errors"][0]["extensions"]["code"], code, "{query}: who takes nothing else");
        assert_eq!(parts.told().await, Part::End);
    }
}

#[tokio::test]
async fn a_query_is_json_where_that_is_accepted() {
    let gateway = Gateway::start().await;
    let accept = format!("{ACCEPT}, application/json;q=0.1");
    let response = gateway.multipart(&accept, "{ __typename }").send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"data": {"__typename": "Query"}}));
    let mut parts = Parts::open(gateway.multipart(ACCEPT, "{ __typename }")).await;
    assert_eq!(parts.told().await, Part::Json(json!({"payload": {"data": {"__typename": "Query"}}})));
    assert_eq!(parts.told().await, Part::End);
}

#[tokio::test]
async fn a_gateway_that_stops_tells_so_and_ends_the_parts() {
    let gateway = Gateway::start().await;
    let mut parts = Parts::open(gateway.multipart(ACCEPT, "subscription { syncEvents { events { position } } }")).await;
    let stopping = tokio::spawn(gateway.stop());
    let Part::Json(part) = parts.told().await else { panic!("expected a part") };
    assert_eq!((&part["payload"], &part["errors"][0]["extensions"]["code"]), (&json!(null), &json!("UNAVAILABLE")));
    assert_eq!(parts.told().await, Part::End);
    stopping.await.unwrap();
}
