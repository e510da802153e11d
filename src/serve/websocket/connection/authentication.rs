//! The authentication of a connection's client: at `connection_init`, and again by a ping with a new token.

use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};

use super::super::super::{access, authorization};
use super::super::close::Close;
use super::super::protocol::Protocol;
use super::{Connection, Flow, MessageSocket, Write};
use crate::auth::{Denied, Viewer};

impl<S: MessageSocket> Connection<S> {
    pub(super) async fn init(&mut self, payload: &Map<String, Value>) -> Flow {
        if self.viewer.is_some() {
            return Flow::Break(Some(Close::TOO_MANY_INITS));
        }
        self.sender.take_names(payload);
        let by_header = std::mem::replace(&mut self.known, Err(Denied::KeysUnread));
        let viewer = match (authorization_of(payload), by_header) {
            (Some(value), _) => self.context.authenticator.identify(value.as_str()).await,
            (None, Ok(known)) => Ok(known),
            // A header that was refused is why the client is, if it sends nothing else.
            (None, Err(refused)) if refused.is_of_credential() => Err(refused),
            (None, Err(_)) => self.context.authenticator.identify(None).await,
        };
        let viewer = match viewer {
            Ok(viewer) => viewer,
            Err(denied) => {
                access::denied(&self.sender, &denied);
                let close = Close::denied(&denied);
                if let Some(message) = self.protocol.denied(&close) {
                    _ = self.send(message).await;
                }
                return Flow::Break(Some(close));
            }
        };
        let acknowledged = self.protocol.acknowledged(&viewer);
        self.take_viewer(viewer);
        self.held = None;
        if let Some(wire) = &self.wire {
            wire.lift_limit();
        }
        for message in acknowledged {
            if let gone @ Flow::Break(_) = self.feed(message).await {
                return gone;
            }
        }
        self.write(Write::Flush).await
    }

    fn take_viewer(&mut self, viewer: Viewer) {
        self.rights_end = viewer.rights_end().boxed();
        self.viewer = Some(viewer);
    }

    /// Responds to a client's ping. With a new token for the same rights in it, only the end of the rights moves, and
    /// subscriptions go on.
    pub(super) async fn answer_ping(&mut self, payload: &Map<String, Value>) -> Flow {
        // Rights that do not expire need no new token.
        let viewer = self.viewer.as_ref().filter(|viewer| viewer.expires.is_some());
        let (Some(viewer), Some(value)) = (viewer, authorization_of(payload)) else {
            return self.send(Protocol::pong(None)).await;
        };
        let told = match self.context.authenticator.identify(value.as_str()).await {
            Ok(fresh) if fresh.name.is_none() => {
                let message =
                    "a token that names nobody (by the claim sub, client_id or cid) renews no other: connect again";
                json!({ "code": "UNAUTHENTICATED", "message": message })
            }
            Ok(fresh) if is_same(&fresh, viewer) => {
                let told = json!({ "expiresAt": fresh.expires.map(|expires| expires.to_string()) });
                self.take_viewer(fresh);
                told
            }
            Ok(_) => return Flow::Break(Some(Close::RIGHTS_CHANGED)),
            // The old token goes on until it expires.
            Err(denied) => {
                access::denied(&self.sender, &denied);
                json!({ "code": authorization::status(&denied).1, "message": denied.to_string() })
            }
        };
        self.send(Protocol::pong(Some(told))).await
    }
}

/// Returns true if the same issuer vouches for the same subject with the same rights.
fn is_same(fresh: &Viewer, viewer: &Viewer) -> bool {
    (&fresh.name, fresh.kind, &fresh.credential, &fresh.rights, fresh.documents)
        == (&viewer.name, viewer.kind, &viewer.credential, &viewer.rights, viewer.documents)
}

/// Returns the value of `authorization` in a payload.
fn authorization_of(payload: &Map<String, Value>) -> Option<&Value> {
    payload.iter().find(|(key, _)| key.eq_ignore_ascii_case("authorization")).map(|(_, value)| value)
}
