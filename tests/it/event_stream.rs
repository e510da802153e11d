//! A client of server-sent events that sees every line.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::Gateway;

/// The longest that anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What stands between two empty lines.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) event: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: Vec<String>,
    pub(crate) comments: usize,
}

/// The events of a response.
pub(crate) struct EventStream {
    pub(crate) response: Response,
    read: Vec<u8>,
    /// The events of the last payload that were not returned yet, with their ids.
    events: VecDeque<(String, Value)>,
}

impl Gateway {
    /// A POST of a request whose answers are wanted as events.
    pub(crate) fn event_stream(&self, query: &str, variables: &Value) -> RequestBuilder {
        let body = json!({"query": query, "variables": variables});
        self.client.post(self.url("/graphql")).header("accept", "text/event-stream").json(&body)
    }
}

impl EventStream {
    /// Sends a request, which must be answered with events.
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        Self::of(request.send().await.unwrap())
    }

    /// Takes a response, which must be of events.
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(content_type.split(';').next(), Some("text/event-stream"));
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, read: Vec::new(), events: VecDeque::new() }
    }

    /// The next frame; None at the end, and an error where the stream breaks off.
    pub(crate) async fn try_frame(&mut self) -> Result<Option<Frame>, reqwest::Error> {
        let end = loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                break end;
            }
            match timeout(PATIENCE, self.response.chunk()).await.expect("something is told in time")? {
                Some(bytes) => self.read.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        };
        let text: Vec<u8> = self.read.drain(..end + 2).collect();
        let mut frame = Frame::default();
        for line in String::from_utf8(text).unwrap().lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "" => frame.comments += 1,
                "event" => frame.event = Some(value),
                "id" => frame.id = Some(value),
                "data" => frame.data.push(value),
                other => panic!("a field that nobody knows: {other}"),
            }
        }
        Ok(Some(frame))
    }

    /// The next frame; the stream must go on.
    pub(crate) async fn frame(&mut self) -> Frame {
        self.try_frame().await.unwrap().expect("the stream goes on")
    }

    /// The next frame with an event; what only shows that the stream lives is passed over.
    pub(crate) async fn dispatched(&mut self) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.event.is_some() {
                return frame;
            }
            assert!(frame.data.is_empty(), "data of no event: {frame:?}");
        }
    }

    /// The id and the answer of the next event, which must be `next`.
    pub(crate) async fn answer(&mut self) -> (Option<String>, Value) {
        let frame = self.dispatched().await;
        assert_eq!(frame.event.as_deref(), Some("next"), "{frame:?}");
        (frame.id, serde_json::from_str(&frame.data.join("\n")).unwrap())
    }

    /// The id of the next payload and its batch of events.
    pub(crate) async fn batch(&mut self) -> (String, Value) {
        assert!(self.events.is_empty(), "single events were asked for before");
        let (id, answer) = self.answer().await;
        assert!(answer.get("errors").is_none(), "{answer}");
        (id.expect("a payload has an id"), answer["data"]["syncEvents"].clone())
    }

    /// The next event. The last one of a payload comes with the payload's id, the others with their own positions.
    pub(crate) async fn sync_event(&mut self) -> (String, Value) {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let (id, batch) = self.batch().await;
            let events = batch["events"].as_array().unwrap();
            let position = |event: &Value| event["position"].as_str().unwrap_or_default().to_owned();
            self.events = events.iter().map(|event| (position(event), event.clone())).collect();
            if let Some((last, _)) = self.events.back_mut() {
                *last = id;
            }
        }
    }

    /// The answer that ends the operation, which must come after payloads without events alone.
    pub(crate) async fn last_answer(&mut self) -> Value {
        loop {
            let (_, answer) = self.answer().await;
            if answer["data"]["syncEvents"]["events"] != json!([]) {
                return answer;
            }
        }
    }

    /// The stream is complete, and ends.
    pub(crate) async fn completes(&mut self) {
        let frame = self.dispatched().await;
        assert_eq!((frame.event.as_deref(), &frame.data[..]), (Some("complete"), &[String::new()][..]));
        assert_eq!(self.try_frame().await.unwrap(), None);
    }
}
