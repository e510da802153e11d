//! Requests to append events, and their outcomes.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::event::{IngestSource, Position};
use crate::store::{CursorMove, DeliveryRecord, NewEvent};

/// Events that are appended together.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The source of the events.
    pub source: IngestSource,
    /// The events.
    pub events: Vec<NewEvent>,
    /// The deliveries with which they came.
    pub deliveries: Vec<DeliveryRecord>,
}

impl AppendRequest {
    pub(super) fn size(&self) -> usize {
        self.events.iter().map(NewEvent::size).sum()
    }
}

/// The outcome of an append for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The event was stored at this position.
    Stored(Position),
    /// The event was stored before, at this position.
    Duplicate(Position),
    /// The database refuses the event, and would do so again.
    Refused {
        /// The database's reason.
        reason: String,
        /// The event's JSON.
        raw: String,
    },
}

/// The reason why nothing was appended.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AppendError {
    /// The database is unavailable.
    #[error("the database is not available; send the events again")]
    Unavailable,
    /// Another gateway has taken over the System Log from which the events came.
    #[error("another gateway reads this System Log")]
    CursorMoved,
    /// The gateway is stopping.
    #[error("the gateway is stopping; send the events again")]
    Closed,
}

/// A request in the queue, which waits for its commit.
pub(super) struct QueuedRequest {
    pub(super) request: AppendRequest,
    /// A move of a System Log's cursor in the transaction of the events, which then is not shared with other requests.
    pub(super) cursor: Option<CursorMove>,
    pub(super) reply: oneshot::Sender<Result<Vec<AppendOutcome>, AppendError>>,
    pub(super) _permit: OwnedSemaphorePermit,
}
