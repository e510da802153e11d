//! The state of a source of events.

/// The state of a source of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// No event was received yet.
    Waiting,
    /// Events have been received.
    Receiving,
    /// The poller has reached the end of the System Log and polls for more.
    Following,
    /// The poller reads the System Log for the first time.
    Backfilling,
    /// The last attempt failed.
    Failing,
}
