//! The reasons to close a socket, with the codes of the sub-protocols and of WebSocket itself.

use std::borrow::Cow;

use axum::extract::ws::CloseFrame;

/// A close: its code and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    reason: Cow<'static, str>,
}

/// The longest reason that fits into a close frame.
const LONGEST_REASON: usize = 123;

impl Close {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// The client has ended the connection.
    pub(super) const TERMINATED: Self = Self::new(1000, "Terminated");
    /// The client does not answer.
    pub(super) const SILENT: Self = Self::new(1011, "No answer to a ping");
    /// The gateway stops; clients connect again, and resume.
    pub(super) const RESTARTING: Self = Self::new(1012, "The gateway is stopping: resume from the last position");
    /// The client reads too slowly (backpressure); clients connect again, and resume.
    pub(super) const TOO_SLOW: Self = Self::new(1013, "Too slow: resume from the last position");
    /// A `subscribe` before the acknowledgement.
    pub(super) const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    /// `connection_init` was refused.
    pub(super) const FORBIDDEN: Self = Self::new(4403, "Forbidden");
    /// None of the client's sub-protocols is spoken here.
    pub(super) const PROTOCOL: Self = Self::new(4406, "Subprotocol not acceptable");
    /// `connection_init` did not come.
    pub(super) const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    /// `connection_init` came twice.
    pub(super) const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");

    /// The client has sent an invalid message.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self { code: 4400, reason: Cow::Owned(reason.into()) }
    }

    /// The client has sent more than is read before a client is known.
    pub(super) fn too_much_before_init(limit: usize) -> Self {
        Self::invalid(format!("More than {limit} bytes before connection_init was acknowledged"))
    }

    /// An operation with the id of one that runs.
    pub(super) fn duplicate(id: &str) -> Self {
        Self { code: 4409, reason: Cow::Owned(format!("Subscriber for {id} already exists")) }
    }

    /// The reason, in words.
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
