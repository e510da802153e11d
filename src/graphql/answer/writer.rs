//! The event writer: a selection on events that is compiled once for an answer, and prints JSON straight from the events.
//!
//! async-graphql resolves each field of each event by itself, which takes many times longer. A selection that needs more
//! than an event's own columns, such as the catalogue or the arrivals, has no writer: async-graphql resolves it.

mod plan;

use super::ids::{NodeId, encode_event_cursor};
use super::print;
use crate::event::{EventColumn, EventColumns, EventFields, EventOrderField, GraphKind, Timestamp};
use crate::graphql::request::fragments::Fragments;
use crate::okta::SEVERITIES;
use async_graphql::context::ContextBase;
use async_graphql::parser::types::SelectionSet;
use plan::{PlannedField, PlannedObject, PlannedScalar};

/// Data of a request whose lists async-graphql resolves. Such a request selects some list twice, and printed lists cannot be
/// merged.
pub(in crate::graphql) struct WithoutWriter;

/// A compiled selection on events.
#[derive(Debug)]
pub(in crate::graphql) struct EventWriter {
    steps: Vec<PrintStep>,
    columns: EventColumns,
    order: EventOrderField,
}

/// A step of printing an event.
#[derive(Debug)]
enum PrintStep {
    /// A text that is the same for all events.
    Text(String),
    /// A value of the event.
    Value(PlannedScalar),
    /// The steps of an object, or `null` if the event has no value in any of the columns.
    Object(&'static [EventColumn], Vec<PrintStep>),
}

impl EventWriter {
    /// Compiles a selection on events; None if it needs more than their columns.
    pub(in crate::graphql) fn of_events<T>(context: &ContextBase<'_, T>, selection: &SelectionSet) -> Option<Self> {
        Self::compile(context, selection, PlannedObject::Event, EventOrderField::Published)
    }

    /// Compiles a selection on the edges of a list in some order; None if it needs more than the columns of events.
    pub(in crate::graphql) fn of_edges<T>(
        context: &ContextBase<'_, T>,
        selection: &SelectionSet,
        order: EventOrderField,
    ) -> Option<Self> {
        Self::compile(context, selection, PlannedObject::Edge, order)
    }

    fn compile<T>(
        context: &ContextBase<'_, T>,
        selection: &SelectionSet,
        shape: PlannedObject,
        order: EventOrderField,
    ) -> Option<Self> {
        if context.data_opt::<WithoutWriter>().is_some() {
            return None;
        }
        Self::of(&context.query_env.fragments, selection, shape, order)
    }

    fn of(
        fragments: &Fragments,
        selection: &SelectionSet,
        shape: PlannedObject,
        order: EventOrderField,
    ) -> Option<Self> {
        let fields = plan::fields(fragments, selection, shape)?;
        let mut writer = Self { steps: Vec::new(), columns: EventColumns::KEYS, order };
        let mut steps = Vec::new();
        writer.add_fields(&mut steps, &fields);
        writer.steps = steps;
        Some(writer)
    }

    /// Compiles a selection on events, and one on edges, for the fuzzer.
    #[cfg(any(test, fuzzing))]
    pub(in crate::graphql) fn each(fragments: &Fragments, selection: &SelectionSet) -> impl Iterator<Item = Self> {
        let shapes = [PlannedObject::Event, PlannedObject::Edge];
        shapes.into_iter().filter_map(|shape| Self::of(fragments, selection, shape, EventOrderField::Published))
    }

    /// The columns that must be read of events to print them.
    pub(in crate::graphql) const fn columns(&self) -> EventColumns {
        self.columns
    }

    fn add_fields(&mut self, steps: &mut Vec<PrintStep>, fields: &[(String, PlannedField)]) {
        for (index, (key, field)) in fields.iter().enumerate() {
            let mut text = String::from(if index == 0 { '{' } else { ',' });
            print::string(&mut text, key);
            text.push(':');
            if let PlannedField::Typename(name) = field {
                print::string(&mut text, name);
            }
            push_text(steps, &text);
            match field {
                PlannedField::Typename(_) => {}
                PlannedField::Scalar(scalar) => {
                    self.columns = scalar.columns(self.columns);
                    steps.push(PrintStep::Value(*scalar));
                }
                PlannedField::Object(shape, fields) => match shape.presence() {
                    Some(presence) => {
                        self.columns = presence.iter().fold(self.columns, |columns, column| columns.with(*column));
                        let mut inner = Vec::new();
                        self.add_fields(&mut inner, fields);
                        steps.push(PrintStep::Object(presence, inner));
                    }
                    None => self.add_fields(steps, fields),
                },
            }
        }
        push_text(steps, if fields.is_empty() { "{}" } else { "}" });
    }

    /// Prints an event.
    pub(in crate::graphql) fn write(&self, out: &mut String, event: &impl EventFields) {
        self.write_steps(out, &self.steps, event);
    }

    /// Prints a list of events.
    pub(in crate::graphql) fn write_list<E: EventFields>(&self, events: &[E]) -> String {
        let mut out = String::with_capacity(64 + events.len() * 1024);
        out.push('[');
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.write(&mut out, event);
        }
        out.push(']');
        out
    }

    fn write_steps(&self, out: &mut String, steps: &[PrintStep], event: &impl EventFields) {
        for step in steps {
            match step {
                PrintStep::Text(text) => out.push_str(text),
                PrintStep::Value(scalar) => self.write_value(out, *scalar, event),
                PrintStep::Object(presence, inner) if presence.iter().any(|column| event.has(*column)) => {
                    self.write_steps(out, inner, event);
                }
                PrintStep::Object(..) => out.push_str("null"),
            }
        }
    }

    fn write_value(&self, out: &mut String, scalar: PlannedScalar, event: &impl EventFields) {
        match scalar {
            PlannedScalar::Id => print::string(out, &NodeId::SyncEvent(event.position()).encode()),
            PlannedScalar::Cursor => print::string(out, &encode_event_cursor(self.order, event)),
            PlannedScalar::Column(column, kind) => write_column(out, column, kind, event),
        }
    }
}

fn write_column(out: &mut String, column: EventColumn, kind: GraphKind, event: &impl EventFields) {
    match kind {
        GraphKind::Text => match event.text(column) {
            Some(text) => print::string(out, text),
            None => out.push_str("null"),
        },
        GraphKind::FilledText => match event.text(column).filter(|text| !text.is_empty()) {
            Some(text) => print::string(out, text),
            None => out.push_str("null"),
        },
        GraphKind::NonNullText => print::string(out, event.text(column).unwrap_or_default()),
        GraphKind::Json => out.push_str(event.text(column).unwrap_or("null")),
        GraphKind::Time => moment(out, event.time(column)),
        GraphKind::Position => print::string(out, &event.position().to_string()),
        GraphKind::Uuid => quoted(out, event.uuid().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
        GraphKind::Source => quoted(out, &event.first_source().name().to_ascii_uppercase()),
        GraphKind::Severity => match event.text(column).filter(|name| SEVERITIES.contains(name)) {
            Some(name) => quoted(out, name),
            None => out.push_str("null"),
        },
    }
}

fn push_text(steps: &mut Vec<PrintStep>, text: &str) {
    match steps.last_mut() {
        Some(PrintStep::Text(last)) => last.push_str(text),
        _ => steps.push(PrintStep::Text(text.to_owned())),
    }
}

/// Prints a text that needs no escapes.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

fn moment(out: &mut String, moment: Timestamp) {
    quoted(out, moment.text().as_str());
}
