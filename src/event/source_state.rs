//! How a way in is doing.

use std::fmt;

/// How a way in is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Nothing has come yet.
    Waiting,
    /// Something has come.
    Receiving,
    /// The System Log is read to its end, again and again.
    Following,
    /// The System Log is read for the first time: through so many per cent of the time that Okta keeps.
    Backfilling(u8),
    /// It went wrong last.
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
