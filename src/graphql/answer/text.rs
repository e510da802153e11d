//! JSON text that may be shared: many subscribers are sent the same.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A JSON text.
#[derive(Clone, Debug)]
pub enum JsonText {
    /// One's own.
    Owned(String),
    /// That of several; clones are the same one.
    Shared(Arc<str>),
}

impl JsonText {
    /// Its bytes.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Owned(text) => text.into(),
            Self::Shared(text) => Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    /// The text, to be shared.
    pub(super) fn into_shared(self) -> Arc<str> {
        match self {
            Self::Owned(text) => text.into(),
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for JsonText {}

impl From<String> for JsonText {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl Deref for JsonText {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}
