//! Reading JSON that may be odd: a value of the wrong type is missing, not an error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object, in order, values unread. A key that comes twice counts as its last.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of an object; None where the JSON is no object.
    pub(super) fn read(json: &'a RawValue) -> Option<Self> {
        if !json.get().starts_with('{') {
            return None;
        }
        serde_json::Deserializer::from_str(json.get()).deserialize_map(MembersVisitor).ok()
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Its members, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// The value under a key that may be written in any case.
    pub(super) fn get_in_any_case(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    /// The object under a key; empty where there is none.
    pub(super) fn object(&self, key: &str) -> Self {
        self.get(key).and_then(Self::read).unwrap_or_default()
    }

    /// The text under a key.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(text)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::with_capacity(20);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match key.0 {
                Some(name) => members.push((name, map.next_value()?)),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(Members(members))
    }
}

/// A key; None where its escapes are no text (a lone surrogate), which no key of Okta's is.
struct Key<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Key<'de>, E> {
                Ok(Key(std::str::from_utf8(bytes).ok().map(Cow::Borrowed)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key<'de>, E> {
                Ok(Key(String::from_utf8(bytes.to_vec()).ok().map(Cow::Owned)))
            }
        }
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

/// A string, number or boolean as text; None for anything else. U+0000, which Postgres's text cannot hold, and lone
/// surrogates, which are no characters, become U+FFFD.
pub(super) fn text(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => {
            let decoded = match serde_json::from_str::<String>(json.get()) {
                Ok(text) => text,
                Err(_) => serde_json::from_str::<Lossy>(json.get()).ok()?.0,
            };
            Some(if decoded.contains('\0') { decoded.replace('\0', "\u{fffd}") } else { decoded })
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(json.get().to_owned()),
    }
}

struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;
        impl Visitor<'_> for LossyVisitor {
            type Value = Lossy;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(LossyVisitor)
    }
}
