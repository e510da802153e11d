//! JSON text that may be shared: many subscribers are sent the same bytes.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// A JSON text. Clones share its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonText(Bytes);

impl JsonText {
    /// Bytes of which it is known that they are UTF-8.
    pub(super) const fn from_utf8(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<String> for JsonText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Deref for JsonText {
    type Target = str;

    fn deref(&self) -> &str {
        // It is only made of text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}
