//! JSON text that may be shared, since many subscribers get the same text.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A JSON text.
#[derive(Clone, Debug)]
pub enum JsonText {
    /// A text with one owner.
    Owned(String),
    /// A text that several owners share.
    Shared(Arc<str>),
}

impl JsonText {
    /// Returns the bytes of the text.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Owned(text) => text.into(),
            Self::Shared(text) => Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    /// Returns the text so that it can be shared.
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
