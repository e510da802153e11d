//! The reasons to close a socket, with the codes of the sub-protocols and of WebSocket itself.

use std::borrow::Cow;

use axum::extract::ws::CloseFrame;

use crate::auth::{Denied, RightsEnd};

/// A close: its code and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    reason: Cow<'static, str>,
}

/// The maximum length of a reason in a close frame, in bytes.
const LONGEST_REASON: usize = 123;

impl Close {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// The client has ended the connection.
    pub(super) const TERMINATED: Self = Self::new(1000, "Terminated");
    /// The client does not respond to pings.
    pub(super) const SILENT: Self = Self::new(1011, "No answer to a ping");
    /// The gateway stops; clients reconnect and resume.
    pub(super) const RESTARTING: Self = Self::new(1012, "The gateway is stopping: resume from the last position");
    /// The client reads too slowly (backpressure); clients reconnect and resume.
    pub(super) const TOO_SLOW: Self = Self::new(1013, "Too slow: resume from the last position");
    /// The client has subscribed before its connection was acknowledged.
    pub(super) const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    /// The client has sent a new token of another reader, or with other rights; it reconnects and resumes.
    pub(super) const RIGHTS_CHANGED: Self =
        Self::new(4403, "The new token is of another reader, or has other rights: connect again and resume");
    /// The client offers no supported sub-protocol.
    pub(super) const PROTOCOL: Self = Self::new(4406, "Subprotocol not acceptable");
    /// The client has not sent `connection_init` in time.
    pub(super) const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    /// The client has sent `connection_init` twice.
    pub(super) const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");

    /// The client's `connection_init` was refused. Browsers cannot read why a handshake was refused, so the close has the
    /// reason.
    pub(super) fn denied(denied: &Denied) -> Self {
        let reason = match denied {
            denied if denied.is_unavailable() => return Self::unavailable(denied),
            Denied::NoToken(accepted) => format!("Forbidden: {accepted} is required"),
            // Whatever is cut off here is in the answer to a request.
            Denied::Token(fault) | Denied::OfNoReader(fault) => format!("Forbidden: {fault}"),
            denied => format!("Forbidden: {denied}"),
        };
        Self { code: 4403, reason: Cow::Owned(reason) }
    }

    /// The client could not be identified for want of something that the gateway lacks. Clients reconnect after 1013 with the same
    /// token.
    fn unavailable(denied: &Denied) -> Self {
        Self { code: 1013, reason: Cow::Owned(format!("Unavailable: {denied}")) }
    }

    /// The client's rights have ended. Clients reconnect after 4403, get a new token, and resume.
    pub(super) const fn of_rights_end(end: RightsEnd) -> Self {
        match end {
            RightsEnd::Expired => Self::new(4403, "Token or session expired: connect again with a new one and resume"),
            RightsEnd::Revoked => Self::new(4403, "Rights revoked or changed: connect again and resume"),
        }
    }

    /// The client has sent an invalid message.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self { code: 4400, reason: Cow::Owned(reason.into()) }
    }

    /// The client has sent more than the limit before it was authenticated.
    pub(super) fn too_much_before_init(limit: usize) -> Self {
        Self::invalid(format!("More than {limit} bytes before connection_init was acknowledged"))
    }

    /// The client has started an operation with the id of a running one.
    pub(super) fn duplicate(id: &str) -> Self {
        Self { code: 4409, reason: Cow::Owned(format!("Subscriber for {id} already exists")) }
    }

    /// Returns the reason in words.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn frame(&self) -> CloseFrame {
        let mut reason = self.reason.to_string();
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        }
        CloseFrame { code: self.code, reason: reason.into() }
    }
}
