//! The messages of graphql-transport-ws.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::close::Close;
use crate::graphql::GraphRequest;

/// What a client says.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage {
    /// It introduces itself.
    ConnectionInit(Map<String, Value>),
    /// It wants an answer.
    Ping(Option<Value>),
    /// It answers.
    Pong,
    /// It starts an operation.
    Subscribe(String, GraphRequest),
    /// It ends an operation.
    Complete(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// With what to close the socket.
    pub(super) fn read(text: &str) -> Result<Self, Close> {
        let raw: Raw =
            serde_json::from_str(text).map_err(|error| Close::invalid(format!("Invalid message: {error}")))?;
        let id = || {
            raw.id
                .clone()
                .filter(|id| !id.is_empty())
                .ok_or_else(|| Close::invalid(format!("{} needs an id", raw.kind)))
        };
        let object = |payload: Option<Value>| match payload {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(Close::invalid(format!("the payload of {} must be an object", raw.kind))),
        };
        match raw.kind.as_str() {
            "connection_init" => Ok(Self::ConnectionInit(object(raw.payload)?)),
            "ping" => Ok(Self::Ping(Some(Value::Object(object(raw.payload)?)).filter(|payload| *payload != json!({})))),
            "pong" => object(raw.payload).map(|_| Self::Pong),
            "subscribe" => {
                let request = serde_json::from_value(raw.payload.clone().unwrap_or_default())
                    .map_err(|error| Close::invalid(format!("the payload of subscribe is not a request: {error}")))?;
                Ok(Self::Subscribe(id()?, request))
            }
            "complete" => Ok(Self::Complete(id()?)),
            unknown => Err(Close::invalid(format!("Unknown message type {unknown:?}"))),
        }
    }
}

/// The connection is accepted.
pub(super) const ACK: &str = r#"{"type":"connection_ack"}"#;

/// Asks the client for a sign of life.
pub(super) const PING: &str = r#"{"type":"ping"}"#;

/// Answers a ping, with what it brought.
pub(super) fn pong(payload: Option<Value>) -> String {
    payload.map_or_else(
        || r#"{"type":"pong"}"#.to_owned(),
        |payload| json!({ "type": "pong", "payload": payload }).to_string(),
    )
}

/// An operation's answer, which is JSON already.
pub(super) fn next(id: &str, answer: &str) -> String {
    let mut message = head("next", id);
    message.reserve(answer.len() + 12);
    message.push_str(",\"payload\":");
    message.push_str(answer);
    message.push('}');
    message
}

/// An operation is refused, or ends with errors, which are a JSON list already.
pub(super) fn error(id: &str, errors: &str) -> String {
    head("error", id) + ",\"payload\":" + errors + "}"
}

/// An operation is over.
pub(super) fn complete(id: &str) -> String {
    head("complete", id) + "}"
}

fn head(kind: &str, id: &str) -> String {
    format!(r#"{{"type":"{kind}","id":{}"#, Value::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_closes_with_4400() {
        for bad in [
            "",
            "{",
            "[]",
            "7",
            r#"{"id":"1"}"#,
            r#"{"type":"start"}"#,
            r#"{"type":7}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"ping","payload":[]}"#,
        ] {
            assert_eq!(ClientMessage::read(bad).unwrap_err().code, 4400, "{bad}");
        }
    }

    #[test]
    fn frames_are_json() {
        assert_eq!(next("a\"b", r#"{"data":null}"#), r#"{"type":"next","id":"a\"b","payload":{"data":null}}"#);
        assert_eq!(error("1", "[]"), r#"{"type":"error","id":"1","payload":[]}"#);
        assert_eq!(complete("1"), r#"{"type":"complete","id":"1"}"#);
        assert_eq!(pong(None), r#"{"type":"pong"}"#);
    }
}
