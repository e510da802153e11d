//! Privacy at the door: members of events that are removed or hashed before anything of them is stored.

mod pointer;

pub use pointer::{EventPointer, PointerFault};

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::json::{Members, text};
use pointer::PointerStep;

/// The beginning of every hash.
const PREFIX: &str = "hmac-";

/// The number of bytes of a hash that are kept: few enough to read, and too many for two values to have the same.
const HASH_BYTES: usize = 16;

/// The members of an org's events that are removed or hashed.
#[derive(Clone)]
pub struct Privacy {
    rules: Vec<(EventPointer, PrivacyAction)>,
    /// The key of the hashes; None if nothing is hashed.
    key: Option<SecretString>,
}

/// The treatment of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PrivacyAction {
    Hash,
    Drop,
}

/// An event's JSON without what is private.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateEvent {
    /// The JSON.
    pub json: String,
    /// The number of members and items that were removed.
    pub dropped: u64,
    /// The number of values in whose place hashes stand now.
    pub hashed: u64,
}

/// The rules that apply in a part of an event: the steps that are left, and what happens after the last one.
type ActiveRules<'p> = Vec<(&'p [PointerStep], PrivacyAction)>;

impl fmt::Debug for Privacy {
    /// Writes the rules, and a hash by which another key shows.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Privacy").field("rules", &self.rules).field("key", &self.hash("")).finish()
    }
}

impl Privacy {
    /// Creates the rules of an org. Without a key, what should be hashed is removed.
    pub fn new(drop: Vec<EventPointer>, hash: Vec<EventPointer>, key: Option<SecretString>) -> Self {
        let drop = drop.into_iter().map(|pointer| (pointer, PrivacyAction::Drop));
        let hash = hash.into_iter().map(|pointer| (pointer, PrivacyAction::Hash));
        Self { rules: drop.chain(hash).collect(), key }
    }

    /// Returns an event's JSON without what is removed, and with hashes in place of what is hashed. Everything else stays as it
    /// is. The result of a second time is the same.
    pub fn apply(&self, event: &RawValue) -> PrivateEvent {
        let rules = self.rules.iter().map(|(pointer, action)| (pointer.steps(), *action)).collect();
        let mut out = PrivateEvent { json: String::with_capacity(event.get().len()), ..PrivateEvent::default() };
        self.write(event, &rules, false, &mut out);
        out
    }

    /// Writes a part of an event. If it is hashed, hashes stand in place of all texts, numbers and booleans in it. Null stays, since
    /// it says nothing.
    fn write(&self, json: &RawValue, rules: &ActiveRules<'_>, is_hashed: bool, out: &mut PrivateEvent) {
        let is_hashed = is_hashed || rules.iter().any(|(steps, _)| steps.is_empty());
        if rules.is_empty() && !is_hashed {
            return out.json.push_str(json.get());
        }
        if let Some(members) = Members::read(json) {
            // An object in the place of a list counts as a list of one, as it does where targets are read.
            let as_item = rules.iter().filter(|(steps, _)| steps.len() > 1).filter_map(|rule| step_into(rule, "0"));
            let as_item: ActiveRules<'_> = as_item.collect();
            let parts = members.iter().map(|(name, value)| {
                let own = rules.iter().chain(&as_item).filter_map(|rule| step_into(rule, name));
                (Some(name), value, own.collect())
            });
            return self.write_parts(['{', '}'], parts, is_hashed, out);
        }
        match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
            Ok(items) => {
                let parts = items.into_iter().enumerate().map(|(index, item)| {
                    let name = index.to_string();
                    (None, item, rules.iter().filter_map(|rule| step_into(rule, &name)).collect())
                });
                self.write_parts(['[', ']'], parts, is_hashed, out);
            }
            Err(_) if is_hashed => match text(json) {
                Some(text) if !is_hash(&text) => {
                    out.hashed += 1;
                    _ = write!(out.json, "\"{}\"", self.hash(&text));
                }
                _ => out.json.push_str(json.get()),
            },
            Err(_) => out.json.push_str(json.get()),
        }
    }

    /// Writes the members of an object or the items of a list, except those that are removed.
    fn write_parts<'j, 'p>(
        &self,
        [open, close]: [char; 2],
        parts: impl Iterator<Item = (Option<&'j str>, &'j RawValue, ActiveRules<'p>)>,
        is_hashed: bool,
        out: &mut PrivateEvent,
    ) {
        out.json.push(open);
        let mut is_first = true;
        for (name, value, rules) in parts {
            let is_removed = |action: PrivacyAction| action == PrivacyAction::Drop || self.key.is_none();
            if rules.iter().any(|(steps, action)| steps.is_empty() && is_removed(*action)) {
                out.dropped += 1;
                continue;
            }
            if !std::mem::take(&mut is_first) {
                out.json.push(',');
            }
            if let Some(name) = name {
                _ = write!(out.json, "{}:", Value::from(name));
            }
            self.write(value, &rules, is_hashed, out);
        }
        out.json.push(close);
    }

    /// Returns the hash of a text. Addresses that differ in case only have the same, as they are the same in filters.
    pub fn hash(&self, text: &str) -> String {
        let text = if text.contains('@') { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) };
        let key = self.key.as_ref().map(|key| key.expose_secret().as_bytes()).unwrap_or_default();
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(HASH_BYTES).fold(PREFIX.to_owned(), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Returns a rule as it applies to a member or an item; None if it is not about that one.
fn step_into<'p>(
    (steps, action): &(&'p [PointerStep], PrivacyAction),
    name: &str,
) -> Option<(&'p [PointerStep], PrivacyAction)> {
    let (step, rest) = steps.split_first()?;
    step.is(name).then_some((rest, *action))
}

/// Returns true for a text that a hash has made, so that an event that comes out of sluice and goes in again stays the same.
fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == 2 * HASH_BYTES && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
