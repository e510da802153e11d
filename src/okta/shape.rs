//! The shapes of JSON objects that hold events: an event, a delivery, a card, and the wrappers that other programs add.

use serde_json::value::RawValue;

use super::broken_event::BrokenEvent;
use super::card::{Card, card_of, is_card};
use super::delivery::{Delivery, delivery_of};
use super::json::{Members, RawJson, text};
use super::log_event::event_of;
use super::unknown_shape::UnknownShape;
use crate::event::{Occurrence, Timestamp};

/// The kind of a JSON object, with its parsed content.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a shape is taken apart at once, and most are events")]
pub enum Shape<'a> {
    /// An event of the System Log, or the reason why it cannot be stored.
    Event(Result<Occurrence, BrokenEvent>),
    /// A delivery of an event hook.
    Delivery(Delivery<'a>),
    /// The output of a card of Okta Workflows.
    Card(Card),
    /// Something else.
    Unknown(UnknownShape),
}

/// The maximum depth of nested wrappers. Elastic's response to a search has six.
const MAX_WRAPPERS: usize = 8;

/// Keys of lists of wrapped events: Workflows, Elastic, Splunk, Amazon S3.
const LISTS: [&str; 6] = ["events", "list", "hits", "results", "Records", "records"];

/// Passes each event, delivery and card in a JSON object to `each`, together with its JSON. Anything else is passed as
/// unknown.
///
/// Some programs wrap an event: Amazon EventBridge in `detail`, Splunk's HTTP Event Collector in `event`, its exports in
/// `result._raw`, Elastic in `event.original` or `message`, Workflows in `Output`, and many in lists.
pub fn read_shapes(json: RawJson<'_>, now: Timestamp, each: &mut dyn FnMut(RawJson<'_>, Shape<'_>)) {
    visit(json, now, MAX_WRAPPERS, each);
}

/// Returns true for an envelope of Amazon EventBridge, in which Okta's Log Streaming sends an event.
pub fn is_event_bridge(json: RawJson<'_>) -> bool {
    Members::read(json.text())
        .is_some_and(|members| members.get("detail-type").is_some() && members.get("detail").is_some())
}

fn visit(json: RawJson<'_>, now: Timestamp, depth: usize, each: &mut dyn FnMut(RawJson<'_>, Shape<'_>)) {
    let Some(members) = Members::read(json.text()) else {
        match json.items().filter(|_| depth > 0) {
            Some(items) => items.into_iter().for_each(|item| visit(item, now, depth - 1, each)),
            None => each(json, Shape::Unknown(UnknownShape::Other(BrokenEvent::NotAnObject.to_string()))),
        }
        return;
    };
    match original(&members).or_else(|| wrapped(&members)).filter(|_| depth > 0) {
        Some(part) if is_text(part) => visit_text(json, part, now, depth - 1, each),
        Some(part) => visit(json.part(part), now, depth - 1, each),
        None => each(json, shape(json, &members, now)),
    }
}

/// Unwraps JSON in a quoted string.
fn visit_text(
    json: RawJson<'_>,
    part: &RawValue,
    now: Timestamp,
    depth: usize,
    each: &mut dyn FnMut(RawJson<'_>, Shape<'_>),
) {
    if json.exact().is_err() {
        return each(json, Shape::Event(Err(BrokenEvent::NotUtf8)));
    }
    match text(part).map(RawValue::from_string) {
        Some(Ok(inner)) => visit(RawJson::of(&inner), now, depth, each),
        Some(Err(error)) => {
            let what = format!("the quoted event in it is not JSON: {error}");
            each(json, Shape::Unknown(UnknownShape::Other(what)));
        }
        None => each(json, Shape::Unknown(unknown(&Members::default()))),
    }
}

/// Returns the shape of an object that is not a wrapper.
fn shape<'a>(json: RawJson<'a>, members: &Members<'a>, now: Timestamp) -> Shape<'a> {
    if let Err(broken) = json.exact()
        && !is_delivery(members)
    {
        return Shape::Event(Err(broken));
    }
    if is_event(members) {
        return Shape::Event(event_of(members, now));
    }
    if let Some(card) = card_of(members) {
        return Shape::Card(card);
    }
    match delivery_of(json, members) {
        Ok(delivery) => Shape::Delivery(delivery),
        Err(_) => Shape::Unknown(unknown(members)),
    }
}

/// Returns the event as Okta sent it, which some programs keep beside their own version of it.
fn original<'a>(members: &Members<'a>) -> Option<&'a RawValue> {
    let nested = || Members::read(members.get("event")?)?.get("original");
    let found = members.get("_raw").or_else(|| members.get("event.original")).or_else(nested);
    found.filter(|found| is_object(found) || is_quoted_object(found))
}

/// Returns the wrapped value; None for an event, a delivery, a card, and an unknown object.
fn wrapped<'a>(members: &Members<'a>) -> Option<&'a RawValue> {
    if is_event(members) || is_delivery(members) || is_card(members) {
        return None;
    }
    let objects = ["detail", "result", "_source", "Output"].iter().filter_map(|key| members.get(key));
    let events = members.get("event").filter(|event| is_quoted_object(event) || holds_event(event));
    let texts = members.get("message").filter(|message| is_quoted_object(message));
    let lists = LISTS.iter().filter_map(|key| members.get(key));
    let lists = lists.filter(|found| found.get().starts_with('[') || is_object(found));
    events.into_iter().chain(objects.filter(|found| is_object(found))).chain(texts).chain(lists).next()
}

fn is_event(members: &Members<'_>) -> bool {
    members.get("uuid").is_some() || (members.get("eventType").is_some() && members.get("data").is_none())
}

fn is_delivery(members: &Members<'_>) -> bool {
    members.get("data").and_then(Members::read).is_some_and(|data| data.get("events").is_some())
}

fn holds_event(json: &RawValue) -> bool {
    Members::read(json).is_some_and(|members| is_event(&members) || is_card(&members) || original(&members).is_some())
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

fn is_text(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

/// Returns true for a quoted string that contains a JSON object.
fn is_quoted_object(json: &RawValue) -> bool {
    let blanks = ["\\n", "\\r", "\\t", " "];
    let mut rest = json.get().strip_prefix('"').unwrap_or_default();
    while let Some(blank) = blanks.iter().find_map(|blank| rest.strip_prefix(blank)) {
        rest = blank;
    }
    rest.starts_with('{')
}

/// Describes an unknown object by its keys.
fn unknown(members: &Members<'_>) -> UnknownShape {
    UnknownShape::object(members.iter().map(|(key, _)| key))
}

#[cfg(test)]
mod tests;
