//! The event as Okta sent it, where it was read along with its columns.

use std::sync::Arc;

/// The raw JSON of an event: read from the log only when somebody wants it, as it is by far the largest part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Not read; the log has it.
    #[default]
    NotRead,
    /// The bytes that Okta sent.
    Read(Arc<str>),
}

impl Details {
    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::NotRead => 0,
            Self::Read(raw) => raw.len(),
        }
    }
}
