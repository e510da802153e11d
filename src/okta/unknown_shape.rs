//! Descriptions of records that are neither an event nor anything else that holds events.

use std::fmt;

/// The maximum number of keys that a description names, and of the characters of each.
const NAMED_KEYS: usize = 12;
const NAMED_CHARACTERS: usize = 40;

/// The description of a record of an unknown shape. It has no values of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownShape {
    /// An object.
    Object {
        /// The first of those keys that look like names of members. Other keys may be values, such as addresses of people.
        named: Vec<String>,
        /// The number of all keys.
        keys: usize,
    },
    /// Anything else, in words.
    Other(String),
}

impl UnknownShape {
    /// Describes an object by its keys.
    pub(super) fn object<'k>(keys: impl Iterator<Item = &'k str>) -> Self {
        let (mut named, mut number) = (Vec::new(), 0);
        for key in keys {
            number += 1;
            if named.len() < NAMED_KEYS && is_name(key) {
                named.push(key.chars().take(NAMED_CHARACTERS).collect());
            }
        }
        Self::Object { named, keys: number }
    }

    /// Returns the same description, which names no keys.
    #[must_use]
    pub fn without_keys(self) -> Self {
        match self {
            Self::Object { keys, .. } => Self::Object { named: Vec::new(), keys },
            other @ Self::Other(_) => other,
        }
    }
}

impl fmt::Display for UnknownShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (named, keys) = match self {
            Self::Other(what) => return formatter.write_str(what),
            Self::Object { named, keys } => (named, *keys),
        };
        match (&named[..], keys.saturating_sub(named.len())) {
            (_, _) if keys == 0 => formatter.write_str("an object without keys")?,
            ([], 1) => formatter.write_str("an object with 1 key")?,
            ([], _) => write!(formatter, "an object with {keys} keys")?,
            (named, 0) => write!(formatter, "an object with the keys {}", named.join(", "))?,
            (named, more) => write!(formatter, "an object with the keys {} and {more} more", named.join(", "))?,
        }
        formatter.write_str(": neither an event (which has `uuid`), a delivery, a card, nor a known wrapper of these")
    }
}

/// Returns true for a key that looks like the name of a member.
fn is_name(key: &str) -> bool {
    let mut letters = key.bytes();
    let is_start = |first: u8| first.is_ascii_alphabetic() || matches!(first, b'_' | b'$');
    letters.next().is_some_and(is_start)
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(keys: &[&str]) -> String {
        let shape = UnknownShape::object(keys.iter().copied());
        let text = shape.to_string();
        text.strip_suffix(": neither an event (which has `uuid`), a delivery, a card, nor a known wrapper of these")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn keys_are_named_if_they_look_like_names() {
        assert_eq!(described(&[]), "an object without keys");
        assert_eq!(described(&["payload", "time"]), "an object with the keys payload, time");
        assert_eq!(
            described(&["log", "grace@acme.example", "Grace User", "007"]),
            "an object with the keys log and 3 more"
        );
        assert_eq!(described(&["grace@acme.example"]), "an object with 1 key");
        assert_eq!(described(&["", "é"]), "an object with 2 keys");
        let many: Vec<_> = (0..20).map(|number| format!("k{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(described(&many).ends_with("k10, k11 and 8 more"));
    }

    #[test]
    fn keys_are_left_out_where_they_may_be_private() {
        let shape = UnknownShape::object(["payload", "time"].into_iter()).without_keys();
        assert!(shape.to_string().starts_with("an object with 2 keys: neither"), "{shape}");
    }
}
