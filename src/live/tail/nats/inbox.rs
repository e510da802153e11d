//! The tail reader's inbox for news by NATS.

use tokio::sync::{mpsc, watch};

use crate::event::Position;
use crate::log::Commit;

/// News of the log's tail, by NATS.
#[derive(Debug)]
pub(in crate::live::tail) enum TailUpdate {
    /// Events, each right after the one before.
    Events(Commit),
    /// The log has an event at this position, which does not fit into a message.
    Through(Position),
}

/// The role of this gateway among those that use the same NATS servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live::tail) enum Role {
    /// The gateway has no connection.
    Disconnected,
    /// The gateway receives what the publisher sends, most of the time.
    Receiver,
    /// The gateway was elected leader: it publishes, and receives nothing.
    Publisher,
}

/// The tail reader's end.
#[derive(Debug)]
pub(in crate::live::tail) struct NatsInbox {
    pub(in crate::live::tail) updates: mpsc::Receiver<TailUpdate>,
    pub(in crate::live::tail) role: watch::Receiver<Role>,
}
