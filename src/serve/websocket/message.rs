//! The messages of clients in both sub-protocols, and the format that both have in common.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::close::Close;
use crate::graphql::GraphRequest;

/// The maximum length of an operation's id in bytes, since the gateway keeps it.
const LONGEST_ID: usize = 256;

/// A message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage {
    /// Opens the connection.
    ConnectionInit(Map<String, Value>),
    /// Requests a pong. Its payload may have a new token.
    Ping(Map<String, Value>),
    /// Responds to a ping.
    Pong,
    /// Starts an operation.
    Subscribe(String, GraphRequest),
    /// Ends an operation.
    Complete(String),
    /// Ends the connection.
    Terminate,
}

/// A message in the format of both sub-protocols.
#[derive(Deserialize)]
pub(super) struct RawMessage {
    #[serde(rename = "type")]
    pub(super) kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl RawMessage {
    pub(super) fn read(text: &str) -> Result<Self, Close> {
        serde_json::from_str(text).map_err(|error| Close::invalid(format!("Invalid message: {error}")))
    }

    /// Returns the operation's id, which is required.
    pub(super) fn id(&self) -> Result<String, Close> {
        match &self.id {
            Some(id) if (1..=LONGEST_ID).contains(&id.len()) => Ok(id.clone()),
            _ => Err(Close::invalid(format!("{} needs an id of 1 to {LONGEST_ID} bytes", self.kind))),
        }
    }

    /// Returns the payload, which must be an object or omitted.
    pub(super) fn object(self) -> Result<Map<String, Value>, Close> {
        match self.payload {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(Close::invalid(format!("the payload of {} must be an object", self.kind))),
        }
    }

    /// Returns the message that starts an operation.
    pub(super) fn subscribe(self) -> Result<ClientMessage, Close> {
        let id = self.id()?;
        let request = serde_json::from_value(self.payload.unwrap_or_default())
            .map_err(|error| Close::invalid(format!("the payload of {} is not a request: {error}", self.kind)))?;
        Ok(ClientMessage::Subscribe(id, request))
    }

    pub(super) fn unknown(&self) -> Close {
        Close::invalid(format!("Unknown message type {:?}", self.kind))
    }
}

/// Returns a message with an operation's id.
pub(super) fn of_operation(kind: &str, id: &str) -> String {
    [r#"{"type":""#, kind, r#"","id":"#, &quoted(id), "}"].concat()
}

/// Returns a message with an operation's id and a payload, which is JSON.
pub(super) fn with_payload(kind: &str, id: &str, payload: &str) -> String {
    let (before, after) = around_payload(kind, id);
    before + payload + after
}

/// Returns the text before and after the payload in that message.
pub(super) fn around_payload(kind: &str, id: &str) -> (String, &'static str) {
    ([r#"{"type":""#, kind, r#"","id":"#, &quoted(id), r#","payload":"#].concat(), "}")
}

fn quoted(id: &str) -> String {
    Value::from(id).to_string()
}
