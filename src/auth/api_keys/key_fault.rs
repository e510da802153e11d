//! The reasons why an API key is refused.

use crate::event::Timestamp;

/// The reason why an API key is refused. Whoever has only the public part of a key learns nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error("the API key expired at {at}: add another one (sluice keys add)")]
    Expired {
        /// The key's name.
        key: String,
        /// The time at which the key has expired.
        at: Timestamp,
    },
    /// The key was revoked.
    #[error("the API key was revoked at {at}: add another one (sluice keys add)")]
    Revoked {
        /// The key's name.
        key: String,
        /// The time at which the key was revoked.
        at: Timestamp,
    },
}

impl KeyFault {
    /// Returns the name of the reason in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::Unknown => "unknown",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Returns the name of the refused key, if the request has its secret.
    pub(in crate::auth) fn key(&self) -> Option<&str> {
        match self {
            Self::Malformed | Self::Checksum | Self::Unknown => None,
            Self::Expired { key, .. } | Self::Revoked { key, .. } => Some(key),
        }
    }
}
