//! The output of Okta Workflows' event cards, such as *Sync User in External Application*, as a flow posts it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::json::Members;
use crate::event::Timestamp;

/// The fields of a card.
#[derive(Debug)]
pub struct Card {
    /// The event's JSON: the card's *Event Details* if they are a whole event, otherwise an event built from the other
    /// fields.
    pub event: String,
    /// *Event ID*: the id of the event hook delivery that started the flow.
    pub event_id: Option<String>,
    /// *Event Time*: the time at which Okta sent the delivery.
    pub event_time: Option<Timestamp>,
    /// *Source*: the address of the event hook in the Okta API.
    pub source: Option<String>,
    /// *Headers* of the delivery, unredacted: they may contain secrets.
    pub headers: Vec<(String, String)>,
}

impl Card {
    /// Returns true if the card names an event hook delivery.
    pub fn has_delivery(&self) -> bool {
        self.event_id.is_some() || self.event_time.is_some() || self.source.is_some() || !self.headers.is_empty()
    }
}

/// The card's entities that become targets of the event, and the types that Okta gives them.
const TARGETS: [(&str, &str); 3] =
    [("Application User", "AppUser"), ("Application", "AppInstance"), ("Okta User", "User")];

/// The card's fields that become members of the event.
const FIELDS: [(&str, &str); 5] = [
    ("UUID", "uuid"),
    ("Date and Time", "published"),
    ("Event Type", "eventType"),
    ("Version", "version"),
    ("Message", "displayMessage"),
];

/// Reads a card; None if the object has neither *UUID* nor *Event Type*.
pub(super) fn card_of(card: &Members<'_>) -> Option<Card> {
    if !is_card(card) {
        return None;
    }
    let headers = card.object("Headers");
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), super::json::text(value).unwrap_or_else(|| value.get().to_owned())));
    Some(Card {
        event: event(card),
        event_id: card.non_empty_text("Event ID"),
        event_time: card.text("Event Time").as_deref().and_then(Timestamp::parse),
        source: card.non_empty_text("Source"),
        headers: headers.collect(),
    })
}

/// Returns true for an object with the fields of a card.
pub(super) fn is_card(members: &Members<'_>) -> bool {
    members.get("UUID").is_some() || members.get("Event Type").is_some()
}

/// Returns the event's JSON. *Event Details* are the event if they are complete and have the card's uuid; otherwise the
/// card's fields fill the gaps. Details of another event are ignored.
fn event(card: &Members<'_>) -> String {
    let quoted = card.get("Event Details").filter(|details| details.get().starts_with('"'));
    // A flow that composes a text sends the object as a quoted string.
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
                (_, false) if details.text("uuid").is_some() => event_from_fields(card, &Members::default()),
                _ => event_from_fields(card, &details),
            }
        }
        None => event_from_fields(card, &Members::default()),
    }
}

/// Builds an event in Okta's format. Members of the details take precedence over the card's fields.
fn event_from_fields(card: &Members<'_>, details: &Members<'_>) -> String {
    let mut parts: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let given = |key: &str| details.get_non_null(key).is_some();
    for (field, key) in FIELDS {
        if let Some(value) = card.get_non_null(field).filter(|_| !given(key)) {
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
    let debug_context = card.object("Debug Context");
    if let Some(debug_data) = debug_context.get_non_null("Debug Data").filter(|_| !given("debugContext")) {
        parts.push(("debugContext", format!("{{\"debugData\":{}}}", debug_data.get()).into()));
    }
    let added: Vec<_> = parts.iter().map(|(key, _)| *key).collect();
    let kept: Vec<_> = details.iter().filter(|(key, _)| !added.contains(key)).collect();
    let parts = parts.iter().map(|(key, value)| (*key, &**value));
    object(parts.chain(kept.iter().map(|(key, value)| (*key, value.get()))))
}

/// Returns an entity of the card in Okta's format; None if the card left it empty.
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
