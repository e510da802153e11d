//! The two sub-protocols: their negotiation, and the parsing and formatting of their messages.

use axum::http::{HeaderMap, HeaderValue, header};

use serde_json::Value;

use super::close::Close;
use super::message::ClientMessage;
use super::operations::ReportedProgress;
use super::{legacy, transport};
use crate::auth::Viewer;

/// A sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `graphql-transport-ws`, of graphql-ws.
    Transport,
    /// `graphql-ws`, of subscriptions-transport-ws.
    Legacy,
}

impl Protocol {
    /// Returns the name in the handshake.
    pub(super) const fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Transport => "graphql-transport-ws",
            Self::Legacy => "graphql-ws",
        })
    }

    /// Returns the first supported sub-protocol that a client offers.
    pub(super) fn chosen(headers: &HeaderMap) -> Option<Self> {
        let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let mut offers = offers.flat_map(|value| value.split(',')).map(str::trim);
        offers.find_map(|offer| [Self::Transport, Self::Legacy].into_iter().find(|known| known.name() == offer))
    }

    /// Parses a message.
    ///
    /// # Errors
    /// The close that ends the socket, unless [`Self::complaint`] reports the fault.
    pub(super) fn read(self, text: &str) -> Result<ClientMessage, Close> {
        match self {
            Self::Transport => transport::read(text),
            Self::Legacy => legacy::read(text),
        }
    }

    /// Returns the message that reports an invalid message, if the protocol does not close the connection for it.
    pub(super) fn complaint(self, fault: &Close) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::connection_error(fault))
    }

    /// Returns the message that refuses the connection, if the protocol has one before the close.
    pub(super) fn denied(self, close: &Close) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::connection_error(close))
    }

    /// Returns the messages that accept the connection.
    pub(super) fn acknowledged(self, viewer: &Viewer) -> Vec<String> {
        match self {
            Self::Transport => vec![transport::ack(viewer)],
            Self::Legacy => vec![legacy::ACK.to_owned(), legacy::KEEP_ALIVE.to_owned()],
        }
    }

    /// Returns a heartbeat, which reports the progress of the subscriptions if the protocol supports that.
    pub(super) fn heartbeat(self, progress: &ReportedProgress) -> String {
        match self {
            Self::Transport => transport::ping(progress.least()),
            Self::Legacy => legacy::KEEP_ALIVE.to_owned(),
        }
    }

    /// Returns true if clients respond to a heartbeat. Otherwise WebSocket's own ping requests a response.
    pub(super) fn is_heartbeat_answered(self) -> bool {
        self == Self::Transport
    }

    /// Returns the response to a ping.
    pub(super) fn pong(payload: Option<Value>) -> String {
        transport::pong(payload)
    }

    /// Returns the message with an operation's answer, which is JSON.
    pub(super) fn next(self, id: &str, answer: &str) -> String {
        match self {
            Self::Transport => transport::next(id, answer),
            Self::Legacy => legacy::data(id, answer),
        }
    }

    /// Returns the text before and after the answer in that message.
    pub(super) fn around_next(self, id: &str) -> (String, &'static str) {
        match self {
            Self::Transport => transport::around_next(id),
            Self::Legacy => legacy::around_data(id),
        }
    }

    /// Returns the message that refuses an operation or ends it with errors, which are a JSON list.
    pub(super) fn error(self, id: &str, errors: &str) -> String {
        match self {
            Self::Transport => transport::error(id, errors),
            Self::Legacy => legacy::error(id, errors),
        }
    }

    /// Returns the message that an operation is complete.
    pub(super) fn complete(self, id: &str) -> String {
        match self {
            Self::Transport => transport::complete(id),
            Self::Legacy => legacy::complete(id),
        }
    }

    /// Returns the message that confirms to a client the end of an operation that the client has ended, if the protocol
    /// has one.
    pub(super) fn stopped(self, id: &str) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::complete(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_offer_is_chosen() {
        let chosen = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (header::SEC_WEBSOCKET_PROTOCOL, line.parse().unwrap()));
            Protocol::chosen(&lines.collect::<HeaderMap>())
        };
        assert_eq!(chosen(&["graphql-ws, graphql-transport-ws"]), Some(Protocol::Legacy));
        assert_eq!(chosen(&["graphql-transport-ws,graphql-ws"]), Some(Protocol::Transport));
        assert_eq!(chosen(&["soap , graphql-transport-ws"]), Some(Protocol::Transport));
        assert_eq!(chosen(&["soap", "graphql-ws", "graphql-transport-ws"]), Some(Protocol::Legacy));
        for none in [&[][..], &[""], &["graphql-ws-next"], &["GRAPHQL-WS"]] {
            assert_eq!(chosen(none), None, "{none:?}");
        }
    }
}
