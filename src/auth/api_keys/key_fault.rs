//! The reasons why an API key is refused.

use crate::event::Timestamp;

/// The reason why an API key is refused. Whoever has only the public part of a key learns nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The text begins like a key.
    #[error("the API key is incomplete or altered: it has 64 characters, slk_, 10 of its id, _, and 49 more")]
    Malformed,
    /// A part of the text was changed.
    #[error("the API key is altered: its checksum is wrong; copy it again")]
    Checksum,
    /// No key has this id and secret.
    #[error("there is no such API key: sluice keys list shows those that there are")]
    Unknown,
    /// The key has expired.
    #[error("the API key expired at {0}: add another one (sluice keys add)")]
    Expired(Timestamp),
    /// The key was revoked.
    #[error("the API key was revoked at {0}: add another one (sluice keys add)")]
    Revoked(Timestamp),
}

impl KeyFault {
    /// Returns the name of the reason in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::Unknown => "unknown",
            Self::Expired(_) => "expired",
            Self::Revoked(_) => "revoked",
        }
    }
}
