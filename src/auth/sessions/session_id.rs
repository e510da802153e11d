//! Random texts that nobody can guess, such as the ids of sessions, and their hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

/// The number of random bytes.
const BYTES: usize = 32;

/// A text of 256 random bits, in base64 for URLs.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::auth) struct RandomText(String);

impl std::fmt::Debug for RandomText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RandomText")
    }
}

impl RandomText {
    /// Creates a text.
    pub(in crate::auth) fn new() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; BYTES]>()))
    }

    /// Returns a text that was created before; None if it has another form.
    pub(in crate::auth) fn known(text: &str) -> Option<Self> {
        let is_random = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == BYTES);
        is_random.then(|| Self(text.to_owned()))
    }

    pub(in crate::auth) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::auth) fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// Returns the SHA-256 of a text.
pub(in crate::auth) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Returns the hash by which the session with an id is stored; None if the text is no id.
pub(super) fn hash(id: &str) -> Option<[u8; 32]> {
    RandomText::known(id).map(|id| id.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_and_have_one_form() {
        let (one, other) = (RandomText::new(), RandomText::new());
        assert_ne!(one, other);
        assert_eq!(RandomText::known(one.as_str()), Some(one.clone()));
        for text in ["", "a", &one.as_str()[1..], &format!("{}a", one.as_str()), &one.as_str().replace(|_| true, "!")] {
            assert_eq!(RandomText::known(text), None, "{text}");
        }
        assert_eq!(format!("{one:?}"), "RandomText");
    }
}
