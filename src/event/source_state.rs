//! The state of a source of events.

use std::fmt;

/// The state of a source of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// No event was received yet.
    Waiting,
    /// Events have been received.
    Receiving,
    /// The poller has reached the end of the System Log and polls for more.
    Following,
    /// The poller reads the System Log for the first time, and has read this percentage of the time that Okta keeps.
    Backfilling(u8),
    /// The last attempt failed.
    Failing,
}

impl fmt::Display for SourceState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => formatter.write_str("WAITING"),
            Self::Receiving => formatter.write_str("RECEIVING"),
            Self::Following => formatter.write_str("FOLLOWING"),
            Self::Backfilling(percent) => write!(formatter, "BACKFILLING {percent} %"),
            Self::Failing => formatter.write_str("FAILING"),
        }
    }
}
