//! The messages of `graphql-transport-ws`, see <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.

use serde_json::{Value, json};

use super::close::Close;
use super::message::{ClientMessage, RawMessage, around_payload, of_operation, with_payload};
use crate::auth::Viewer;
use crate::event::Position;

/// The message that accepts the connection.
pub(super) const ACK: &str = r#"{"type":"connection_ack"}"#;

/// Returns the message that accepts the connection. A viewer whose rights expire is told when.
pub(super) fn ack(viewer: &Viewer) -> String {
    let Some(expires) = viewer.expires else { return ACK.to_owned() };
    let payload = json!({ "expiresAt": expires.to_string(), "name": viewer.name });
    json!({ "type": "connection_ack", "payload": payload }).to_string()
}

/// Returns the response to a ping. It never repeats the ping's payload, which may be a secret.
pub(super) fn pong(payload: Option<Value>) -> String {
    match payload {
        None => r#"{"type":"pong"}"#.to_owned(),
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
    }
}

/// Parses a message.
///
/// # Errors
/// The close that ends the socket.
pub(super) fn read(text: &str) -> Result<ClientMessage, Close> {
    let message = RawMessage::read(text)?;
    match message.kind.as_str() {
        "connection_init" => message.object().map(ClientMessage::ConnectionInit),
        "ping" => message.object().map(ClientMessage::Ping),
        "pong" => message.object().map(|_| ClientMessage::Pong),
        "subscribe" => message.subscribe(),
        "complete" => message.id().map(ClientMessage::Complete),
        _ => Err(message.unknown()),
    }
}

/// Returns a ping, which also reports the progress of the client's subscriptions.
pub(super) fn ping(progress: Option<(Position, Vec<&str>)>) -> String {
    let Some((position, mut ids)) = progress else { return r#"{"type":"ping"}"#.to_owned() };
    ids.sort_unstable();
    json!({ "type": "ping", "payload": { "position": position.to_string(), "operations": ids } }).to_string()
}

/// Returns the message with an operation's answer, which is JSON.
pub(super) fn next(id: &str, answer: &str) -> String {
    with_payload("next", id, answer)
}

/// Returns the text before and after the answer in that message.
pub(super) fn around_next(id: &str) -> (String, &'static str) {
    around_payload("next", id)
}

/// Returns the message that refuses an operation or ends it with errors, which are a JSON list.
pub(super) fn error(id: &str, errors: &str) -> String {
    with_payload("error", id, errors)
}

/// Returns the message that an operation is complete.
pub(super) fn complete(id: &str) -> String {
    of_operation("complete", id)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
            assert_eq!(read(bad).unwrap_err().code, 4400, "{bad}");
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(257));
        assert_eq!(read(&long).unwrap_err().code, 4400);
    }

    #[test]
    fn frames_are_json() {
        assert_eq!(next("a\"b", r#"{"data":null}"#), r#"{"type":"next","id":"a\"b","payload":{"data":null}}"#);
        assert_eq!(error("1", "[]"), r#"{"type":"error","id":"1","payload":[]}"#);
        assert_eq!(complete("1"), r#"{"type":"complete","id":"1"}"#);
        assert_eq!(ping(None), r#"{"type":"ping"}"#);
        let told: Value = serde_json::from_str(&ping(Some((Position::new(7), vec!["b", "a"])))).unwrap();
        assert_eq!(told, json!({"type": "ping", "payload": {"position": "7", "operations": ["a", "b"]}}));
    }
}
