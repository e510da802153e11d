//! The original JSON of an event, if it was read.

use std::sync::Arc;

/// The original JSON of an event, which is by far its largest part and is read only on request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// The JSON was not read; the log has it.
    #[default]
    NotRead,
    /// The bytes that Okta sent.
    Read(Arc<str>),
}

impl Details {
    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::NotRead => 0,
            Self::Read(raw) => raw.len(),
        }
    }
}
