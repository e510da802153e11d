//! Lenient JSON parsing: a member of the wrong type counts as missing, so that one odd member does not break an event.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::broken_event::BrokenEvent;

/// JSON text with the bytes from which it was parsed. The text has a `?` for each invalid UTF-8 byte, so that an
/// invalid byte breaks only the event in which it stands.
#[derive(Clone, Copy, Debug)]
pub struct RawJson<'a> {
    text: &'a RawValue,
    bytes: &'a [u8],
}

impl<'a> RawJson<'a> {
    /// Wraps JSON that is valid UTF-8.
    pub fn of(text: &'a RawValue) -> Self {
        Self { text, bytes: text.get().as_bytes() }
    }

    /// Wraps JSON whose invalid bytes were masked. `bytes` are the original bytes, as many as the text has.
    pub(super) const fn masked(text: &'a RawValue, bytes: &'a [u8]) -> Self {
        Self { text, bytes }
    }

    /// Returns the original bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the JSON text, with its invalid bytes masked.
    pub const fn text(self) -> &'a RawValue {
        self.text
    }

    /// Returns the JSON text, identical to the original bytes.
    ///
    /// # Errors
    /// The bytes are not UTF-8.
    pub fn exact(self) -> Result<&'a RawValue, BrokenEvent> {
        let is_exact =
            std::ptr::eq(self.text.get().as_ptr(), self.bytes.as_ptr()) || self.text.get().as_bytes() == self.bytes;
        if is_exact { Ok(self.text) } else { Err(BrokenEvent::NotUtf8) }
    }

    /// Returns a part of this JSON's text with its original bytes.
    pub(super) fn part(self, part: &'a RawValue) -> Self {
        let start = part.get().as_ptr().addr() - self.text.get().as_ptr().addr();
        let bytes = self.bytes.get(start..start + part.get().len());
        Self { text: part, bytes: bytes.unwrap_or_default() }
    }

    /// Returns the elements of a list; None if the JSON is not a list.
    pub(super) fn items(self) -> Option<Vec<Self>> {
        if !self.text.get().starts_with('[') {
            return None;
        }
        let items = serde_json::from_str::<Vec<&RawValue>>(self.text.get()).ok()?;
        Some(items.into_iter().map(|item| self.part(item)).collect())
    }

    /// Returns true for an object.
    pub(super) fn is_object(self) -> bool {
        self.text.get().starts_with('{')
    }
}

/// A request body with one JSON value, without the byte order mark and the white space around it.
#[derive(Debug)]
pub struct JsonBody<'a> {
    text: Cow<'a, str>,
    bytes: &'a [u8],
}

impl<'a> JsonBody<'a> {
    /// Prepares a body for parsing.
    pub fn new(body: &'a [u8]) -> Self {
        let bytes = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(with_bad_bytes_masked(bytes)),
        };
        Self { text, bytes }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// The error names the place where the body stops being JSON.
    pub fn json(&self) -> Result<RawJson<'_>, serde_json::Error> {
        Ok(RawJson { text: serde_json::from_str(&self.text)?, bytes: self.bytes })
    }
}

/// UTF-8's byte order mark, with which some programs begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Replaces each invalid UTF-8 byte with a `?`. The length stays, so that parts of the text and of the bytes have equal
/// offsets.
pub(super) fn with_bad_bytes_masked(bytes: &[u8]) -> String {
    let mut masked = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        masked.push_str(chunk.valid());
        masked.extend(chunk.invalid().iter().map(|_| '?'));
    }
    masked
}

/// The members of a JSON object in order, with unparsed values. The last member wins if a key occurs twice.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; None if the JSON is not an object.
    pub(super) fn read(json: &'a RawValue) -> Option<Self> {
        if !json.get().starts_with('{') {
            return None;
        }
        serde_json::Deserializer::from_str(json.get()).deserialize_map(MembersVisitor).ok()
    }

    /// Returns the value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Returns the members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// Returns the value of a key unless it is `null`.
    pub(super) fn get_non_null(&self, key: &str) -> Option<&'a RawValue> {
        self.get(key).filter(|value| value.get() != "null")
    }

    /// Returns the value of a key, ignoring the key's case.
    pub(super) fn get_ignore_case(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    /// Returns the members of the object under a key; no members if there is no such object.
    pub(super) fn object(&self, key: &str) -> Self {
        self.get(key).and_then(Self::read).unwrap_or_default()
    }

    /// Returns the value of a key as text.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(text)
    }

    /// Returns the value of a key as text, unless the text is empty.
    pub(super) fn non_empty_text(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
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

/// A key. None for a key that is not valid Unicode (a lone surrogate), since no member that is read has such a key.
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

/// Returns a string, number or boolean as text; None for any other value. U+0000, which PostgreSQL's text type cannot
/// store, and lone surrogates, which are not characters, become U+FFFD.
pub(super) fn text(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => {
            let decoded = match serde_json::from_str::<String>(json.get()) {
                Ok(text) => text,
                Err(_) => serde_json::from_str::<LossyText>(json.get()).ok()?.0,
            };
            Some(if decoded.contains('\0') { decoded.replace('\0', "\u{fffd}") } else { decoded })
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(json.get().to_owned()),
    }
}

/// Text in which invalid Unicode has been replaced by U+FFFD.
struct LossyText(String);

impl<'de> Deserialize<'de> for LossyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;
        impl Visitor<'_> for LossyVisitor {
            type Value = LossyText;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<LossyText, E> {
                Ok(LossyText(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(LossyVisitor)
    }
}
