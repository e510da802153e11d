//! The two sub-protocols: which one a client means, and how each says what there is to say.

use axum::http::{HeaderMap, HeaderValue, header};

use super::close::Close;
use super::message::ClientMessage;
use super::operations::Operations;
use super::{legacy, transport};

/// A sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `graphql-transport-ws`, of graphql-ws.
    Transport,
    /// `graphql-ws`, of subscriptions-transport-ws.
    Legacy,
}

impl Protocol {
    /// Its name in the handshake.
    pub(super) const fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Transport => "graphql-transport-ws",
            Self::Legacy => "graphql-ws",
        })
    }

    /// The first of those that a client offers which is spoken here.
    pub(super) fn chosen(headers: &HeaderMap) -> Option<Self> {
        let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let mut offers = offers.flat_map(|value| value.split(',')).map(str::trim);
        offers.find_map(|offer| [Self::Transport, Self::Legacy].into_iter().find(|known| known.name() == offer))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// With what to close the socket, unless [`Self::complaint`] tells it.
    pub(super) fn read(self, text: &str) -> Result<ClientMessage, Close> {
        match self {
            Self::Transport => transport::read(text),
            Self::Legacy => legacy::read(text),
        }
    }

    /// Tells what is wrong with a message, where this does not end the connection.
    pub(super) fn complaint(self, fault: &Close) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::connection_error(fault))
    }

    /// Tells why the connection is refused, where that is said before the close.
    pub(super) fn denied(self) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::connection_error(&Close::FORBIDDEN))
    }

    /// Accepts the connection.
    pub(super) const fn acknowledged(self) -> &'static [&'static str] {
        match self {
            Self::Transport => &[transport::ACK],
            Self::Legacy => &[legacy::ACK, legacy::KEEP_ALIVE],
        }
    }

    /// A sign of life, with how far the subscriptions are where the protocol has a place for that.
    pub(super) fn beat(self, operations: &Operations) -> String {
        match self {
            Self::Transport => transport::ping(operations.hold()),
            Self::Legacy => legacy::KEEP_ALIVE.to_owned(),
        }
    }

    /// Whether a beat is a question that every client answers. Else WebSocket's own ping asks.
    pub(super) fn beat_is_answered(self) -> bool {
        self == Self::Transport
    }

    /// Answers a ping.
    pub(super) fn pong() -> String {
        transport::PONG.to_owned()
    }

    /// An operation's answer, which is JSON already.
    pub(super) fn next(self, id: &str, answer: &str) -> String {
        match self {
            Self::Transport => transport::next(id, answer),
            Self::Legacy => legacy::data(id, answer),
        }
    }

    /// The same, without the answer: what is before it, and after it.
    pub(super) fn around_next(self, id: &str) -> (String, &'static str) {
        match self {
            Self::Transport => transport::around_next(id),
            Self::Legacy => legacy::around_data(id),
        }
    }

    /// An operation is refused, or ends with errors, which are a JSON list already.
    pub(super) fn error(self, id: &str, errors: &str) -> String {
        match self {
            Self::Transport => transport::error(id, errors),
            Self::Legacy => legacy::error(id, errors),
        }
    }

    /// An operation is over.
    pub(super) fn complete(self, id: &str) -> String {
        match self {
            Self::Transport => transport::complete(id),
            Self::Legacy => legacy::complete(id),
        }
    }

    /// Confirms that an operation is over as the client wished, where that is expected.
    pub(super) fn stopped(self, id: &str) -> Option<String> {
        (self == Self::Legacy).then(|| legacy::complete(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_first_that_is_spoken() {
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
