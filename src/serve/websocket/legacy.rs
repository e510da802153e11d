//! The messages of `graphql-ws`, the older sub-protocol, which subscriptions-transport-ws speaks: see
//! <https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md>.

use serde_json::json;
use serde_json::value::RawValue;

use super::close::Close;
use super::message::{ClientMessage, RawMessage, around_payload, of_operation, with_payload};

/// The message that accepts the connection.
pub(super) const ACK: &str = r#"{"type":"connection_ack"}"#;

/// The heartbeat, which clients expect after the acknowledgement and at intervals from then on.
pub(super) const KEEP_ALIVE: &str = r#"{"type":"ka"}"#;

/// Parses a message.
///
/// # Errors
/// The fault of the message. This protocol reports it, and the connection goes on.
pub(super) fn read(text: &str) -> Result<ClientMessage, Close> {
    let message = RawMessage::read(text)?;
    match message.kind.as_str() {
        "connection_init" => message.object().map(ClientMessage::ConnectionInit),
        "start" => message.subscribe(),
        "stop" => message.id().map(ClientMessage::Complete),
        "connection_terminate" => Ok(ClientMessage::Terminate),
        _ => Err(message.unknown()),
    }
}

/// Returns the message that refuses the connection, or reports an invalid message.
pub(super) fn connection_error(close: &Close) -> String {
    json!({ "type": "connection_error", "payload": { "message": close.reason() } }).to_string()
}

/// Returns the message with an operation's answer, which is JSON.
pub(super) fn data(id: &str, answer: &str) -> String {
    with_payload("data", id, answer)
}

/// Returns the text before and after the answer in that message.
pub(super) fn around_data(id: &str) -> (String, &'static str) {
    around_payload("data", id)
}

/// Returns the message that refuses an operation or ends it with errors, which are a JSON list. This protocol reports
/// one of them.
pub(super) fn error(id: &str, errors: &str) -> String {
    let errors: Vec<&RawValue> = serde_json::from_str(errors).unwrap_or_default();
    with_payload("error", id, errors.first().map_or("{}", |error| error.get()))
}

/// Returns the message that an operation is complete.
pub(super) fn complete(id: &str) -> String {
    of_operation("complete", id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Denied;

    #[test]
    fn its_own_messages_are_read_and_no_others() {
        assert_eq!(read(r#"{"type":"stop","id":"1"}"#), Ok(ClientMessage::Complete("1".to_owned())));
        assert_eq!(read(r#"{"type":"connection_terminate","id":null}"#), Ok(ClientMessage::Terminate));
        for other in ["ping", "pong", "subscribe", "complete", "next"] {
            assert!(read(&format!(r#"{{"type":"{other}","id":"1"}}"#)).is_err(), "{other}");
        }
    }

    #[test]
    fn an_error_is_an_object() {
        assert_eq!(
            error("1", r#"[{"message":"a"},{"message":"b"}]"#),
            with_payload("error", "1", r#"{"message":"a"}"#)
        );
        let denied: serde_json::Value =
            serde_json::from_str(&connection_error(&Close::denied(&Denied::KeysUnread))).unwrap();
        let message = format!("Unavailable: {}", Denied::KeysUnread);
        assert_eq!(denied, json!({"type": "connection_error", "payload": {"message": message}}));
    }
}
