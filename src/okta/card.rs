//! The output of Okta Workflows' event cards, *Sync User in External Application* and its kin, as a flow relays it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::json::Members;
use crate::event::Timestamp;

/// What a card says.
#[derive(Debug)]
pub struct Card {
    /// The event's JSON: the card's *Event Details* where they are the event, else what its fields make.
    pub event: String,
    /// *Event ID*: the id of the delivery that started the flow.
    pub event_id: Option<String>,
    /// *Event Time*: when Okta made that delivery.
    pub event_time: Option<Timestamp>,
    /// *Source*: the hook's own address at Okta.
    pub source: Option<String>,
    /// *Headers* of that delivery, as they are: they may bear secrets.
    pub headers: Vec<(String, String)>,
}

impl Card {
    /// Whether the card tells of a delivery.
    pub fn has_delivery(&self) -> bool {
        self.event_id.is_some() || self.event_time.is_some() || self.source.is_some() || !self.headers.is_empty()
    }
}

/// The card's entities, Okta's types of them, and whether each is a target of the event.
const TARGETS: [(&str, &str); 3] =
    [("Application User", "AppUser"), ("Application", "AppInstance"), ("Okta User", "User")];

/// Fields of the card that are fields of the event.
const FIELDS: [(&str, &str); 5] = [
    ("UUID", "uuid"),
    ("Date and Time", "published"),
    ("Event Type", "eventType"),
    ("Version", "version"),
    ("Message", "displayMessage"),
];

/// Reads the card that an object with these members is; None where it has neither *UUID* nor *Event Type*.
pub(super) fn card_of(card: &Members<'_>) -> Option<Card> {
    if card.get("UUID").is_none() && card.get("Event Type").is_none() {
        return None;
    }
    let headers = card.object("Headers");
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), super::json::text(value).unwrap_or_else(|| value.get().to_owned())));
    Some(Card {
        event: event(card),
        event_id: filled(card, "Event ID"),
        event_time: card.text("Event Time").as_deref().and_then(Timestamp::parse),
        source: filled(card, "Source"),
        headers: headers.collect(),
    })
}

/// A text that Workflows has not left empty.
fn filled(members: &Members<'_>, key: &str) -> Option<String> {
    members.text(key).filter(|text| !text.is_empty())
}

/// The event: the details as they are where they have what makes an event, and are of the card's uuid. Else they, with
/// what they lack from the card.
fn event(card: &Members<'_>) -> String {
    let quoted = card.get("Event Details").filter(|details| details.get().starts_with('"'));
    // A flow that composes a text has the object in quotes.
    let quoted = quoted.and_then(super::json::text).and_then(|text| RawValue::from_string(text).ok());
    let details = quoted.as_deref().or_else(|| card.get("Event Details"));
    let details = details.and_then(|details| Some((details, Members::read(details)?)));
    let uuid = card.text("UUID");
    match details {
        Some((json, details)) => {
            let is_event = ["uuid", "eventType", "published"].iter().all(|key| details.text(key).is_some());
            let is_same =
                uuid.is_none_or(|uuid| details.text("uuid").is_some_and(|its| its.eq_ignore_ascii_case(&uuid)));
            match (is_event, is_same) {
                (true, true) => json.get().to_owned(),
                (_, false) if details.text("uuid").is_some() => made(card, &Members::default()),
                _ => made(card, &details),
            }
        }
        None => made(card, &Members::default()),
    }
}

/// An event in Okta's form of the card's fields and of other details.
fn made(card: &Members<'_>, details: &Members<'_>) -> String {
    let mut parts: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let given = |key: &str| details.get(key).is_some_and(|value| value.get() != "null");
    for (field, key) in FIELDS {
        if let Some(value) = card.get(field).filter(|value| value.get() != "null" && !given(key)) {
            parts.push((key, value.get().into()));
        }
    }
    if !given("actor")
        && let Some(admin) = entity(&card.object("Admin"), "User")
    {
        parts.push(("actor", admin.into()));
    }
    let targets = TARGETS.iter().filter_map(|(field, kind)| entity(&card.object(field), kind)).collect::<Vec<_>>();
    if !given("target") && !targets.is_empty() {
        parts.push(("target", format!("[{}]", targets.join(",")).into()));
    }
    let debug_data = card.object("Debug Context").get("Debug Data").filter(|data| data.get() != "null");
    if let Some(debug_data) = debug_data.filter(|_| !given("debugContext")) {
        parts.push(("debugContext", format!("{{\"debugData\":{}}}", debug_data.get()).into()));
    }
    let made: Vec<_> = parts.iter().map(|(key, _)| *key).collect();
    let kept: Vec<_> = details.iter().filter(|(key, _)| !made.contains(key)).collect();
    let parts = parts.iter().map(|(key, value)| (*key, &**value));
    object(parts.chain(kept.iter().map(|(key, value)| (*key, value.get()))))
}

/// An entity of the card in Okta's form; None where the card has none.
fn entity(card: &Members<'_>, kind: &str) -> Option<String> {
    let fields = [("ID", "id"), ("Type", "type"), ("Alternate ID", "alternateId"), ("Display Name", "displayName")];
    let is_filled = |value: &&RawValue| value.get() != "null" && value.get() != "\"\"";
    let mut parts: Vec<_> =
        fields.iter().filter_map(|(field, key)| Some((*key, card.get(field).filter(is_filled)?.get()))).collect();
    if parts.iter().all(|(key, _)| *key == "type") {
        return None;
    }
    let kind = format!("\"{kind}\"");
    if !parts.iter().any(|(key, _)| *key == "type") {
        parts.push(("type", &kind));
    }
    Some(object(parts.into_iter()))
}

fn object<'p>(parts: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let mut text = String::from("{");
    for (key, value) in parts {
        if text.len() > 1 {
            text.push(',');
        }
        _ = write!(text, "{}:{value}", serde_json::Value::from(key));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
