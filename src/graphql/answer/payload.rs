//! The plan of a subscription's payloads: a selection on a batch of events, into which rendered events are spliced.
//!
//! Events are rendered once for all subscribers. A payload is text that is the same for all payloads, with the events and
//! the two positions between.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::context::ContextBase;
use async_graphql::parser::types::{Field, SelectionSet};

use super::print;
use super::writer::EventWriter;
use crate::graphql::request::fragments::{Fragments, fields};
use crate::live::{ImmediateRenderer, PayloadEnds, PayloadWriter, RenderedEvent, RenderedTexts};

/// The name of the type that is selected on.
const TYPE: &str = "SyncEventBatch";

/// A plan of payloads.
pub(in crate::graphql) struct PayloadPlan<'d> {
    parts: Vec<PayloadPart>,
    /// The selections on events, in the order of their places in the payload.
    events: Vec<&'d SelectionSet>,
}

/// A part of a payload.
#[derive(Debug)]
enum PayloadPart {
    /// A text that is the same for all payloads.
    Text(String),
    /// The list of events, rendered for the selection with this index.
    Events(usize),
    /// The position from which a client resumes.
    Position,
    /// The log's end.
    Head,
}

impl<'d> PayloadPlan<'d> {
    /// Plans the payloads of a subscription's field.
    pub(in crate::graphql) fn new(fragments: &'d Fragments, field: &'d Field) -> Self {
        let mut text = String::from("{\"data\":{");
        print::string(&mut text, field.response_key().node.as_str());
        text.push_str(":{");
        let mut plan = Self { parts: Vec::new(), events: Vec::new() };
        let mut keys = Vec::new();
        for selected in fields(fragments, &field.selection_set.node, |name| name == TYPE) {
            let key = selected.response_key().node.as_str();
            if keys.contains(&key) {
                continue;
            }
            if !keys.is_empty() {
                text.push(',');
            }
            keys.push(key);
            print::string(&mut text, key);
            text.push(':');
            let part = match selected.name.node.as_str() {
                "events" => {
                    plan.events.push(&selected.selection_set.node);
                    PayloadPart::Events(plan.events.len() - 1)
                }
                "position" => PayloadPart::Position,
                "head" => PayloadPart::Head,
                _ => {
                    print::string(&mut text, TYPE);
                    continue;
                }
            };
            plan.parts.push(PayloadPart::Text(std::mem::take(&mut text)));
            plan.parts.push(part);
        }
        text.push_str("}}}");
        plan.parts.push(PayloadPart::Text(text));
        plan
    }

    /// The writers of events, one for each selection; None if a selection needs more than the events' own columns.
    pub(in crate::graphql) fn event_writers<T>(&self, context: &ContextBase<'_, T>) -> Option<Vec<EventWriter>> {
        self.events.iter().map(|selection| EventWriter::of_events(context, selection)).collect()
    }

    /// Returns a key that plans have in common if they write the same payloads of the same rendered events, and a writer.
    pub(in crate::graphql) fn into_writer(self) -> (String, PayloadWriter) {
        let (key, parts) = (format!("{:?}", self.parts), self.parts);
        (key, Arc::new(move |events, ends| write(&parts, events, ends).into()))
    }
}

fn write(parts: &[PayloadPart], events: &[RenderedEvent], ends: PayloadEnds) -> String {
    let texts = events.iter().flat_map(|event| &event.texts).map(|text| text.len() + 1);
    let mut out = String::with_capacity(256 + texts.sum::<usize>());
    for part in parts {
        match part {
            PayloadPart::Text(text) => out.push_str(text),
            PayloadPart::Position => print::string(&mut out, &ends.position.to_string()),
            PayloadPart::Head => print::string(&mut out, &ends.head.to_string()),
            PayloadPart::Events(index) => {
                out.push('[');
                for (at, text) in events.iter().filter_map(|event| event.texts.get(*index)).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(text);
                }
                out.push(']');
            }
        }
    }
    out
}

/// Returns a renderer that prints events with these writers.
pub(in crate::graphql) fn renderer(writers: Vec<EventWriter>) -> ImmediateRenderer {
    Arc::new(move |event| {
        let text = |writer: &EventWriter| {
            let mut out = String::with_capacity(1024);
            writer.write(&mut out, event);
            out.into()
        };
        writers.iter().map(text).collect()
    })
}

/// Returns the texts of the only event of an executed subscription, once for each selection on events.
pub(in crate::graphql) fn event_texts(data: &Value) -> RenderedTexts {
    let Value::Object(roots) = data else { return RenderedTexts::new() };
    let batches = roots.values().filter_map(|root| if let Value::Object(batch) = root { Some(batch) } else { None });
    let lists = batches.flat_map(|batch| batch.values()).filter_map(|value| {
        // Events are the only list in a batch.
        if let Value::List(events) = value { events.first() } else { None }
    });
    lists.map(|event| print::json(event).into()).collect()
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::parser::types::Selection;

    use super::*;
    use crate::event::{Position, Timestamp};

    fn event(position: u128, texts: &[&str]) -> RenderedEvent {
        let texts = texts.iter().copied().map(Arc::from).collect();
        RenderedEvent { position: Position::new(position), stored_at: Timestamp::now(), texts, errors: None }
    }

    #[test]
    fn events_and_positions_stand_where_the_selection_has_them() {
        let ends = PayloadEnds { position: Position::new(7), head: Position::new(9) };
        for (query, events, expected) in [
            (
                "{ syncEvents { events { a } position head } }",
                &[event(6, &["{1}"]), event(7, &["{2}"])][..],
                r#"{"data":{"syncEvents":{"events":[{1},{2}],"position":"7","head":"9"}}}"#,
            ),
            ("{ syncEvents { position } }", &[event(7, &[])], r#"{"data":{"syncEvents":{"position":"7"}}}"#),
            (
                "{ s: syncEvents { ... on SyncEventBatch { h: head ...F } ... on Other { x } head position } } \
                 fragment F on SyncEventBatch { __typename position events { a } b: events { c } position }",
                &[event(6, &["{1}", "{x}"]), event(7, &["{2}", "{y}"])],
                r#"{"data":{"s":{"h":"9","__typename":"SyncEventBatch","position":"7","events":[{1},{2}],"b":[{x},{y}],"head":"9"}}}"#,
            ),
            (
                "{ syncEvents { __typename e: events { a } } }",
                &[],
                r#"{"data":{"syncEvents":{"__typename":"SyncEventBatch","e":[]}}}"#,
            ),
        ] {
            let document = parse_query(query).unwrap();
            let operation = &document.operations.iter().next().unwrap().1.node;
            let Selection::Field(field) = &operation.selection_set.node.items[0].node else { panic!("{query}") };
            let (_, writer) = PayloadPlan::new(&document.fragments, &field.node).into_writer();
            assert_eq!(&*writer(events, ends), expected, "{query}");
        }
    }
}
