//! The event writer: a selection on events, compiled once for an answer, that prints JSON straight from them.
//!
//! async-graphql resolves each field of each event by itself, which costs many times what an event is worth. What an
//! event holds itself is printed here instead. A selection that asks for more, such as the catalogue or how an event
//! arrived, has no writer: it takes async-graphql's ordinary way.

mod plan;

use std::sync::Arc;

use super::ids::{NodeId, encode_event_cursor};
use super::print;
use crate::event::{EventColumn, EventColumns, EventFields, EventOrderField, GraphKind, Timestamp};
use crate::live::ImmediateRenderer;
use crate::okta::SEVERITIES;
use async_graphql::context::ContextBase;
use async_graphql::parser::types::SelectionSet;
use plan::{Field, Scalar, Shape};

/// In the data of a request whose events all take the ordinary way: one that selects some list of events twice, as what
/// is printed cannot be merged any more.
pub(in crate::graphql) struct OrdinaryWay;

/// A compiled selection.
#[derive(Debug)]
pub(in crate::graphql) struct EventWriter {
    steps: Vec<Step>,
    columns: EventColumns,
    order: EventOrderField,
}

/// What is printed next.
#[derive(Debug)]
enum Step {
    /// This text.
    Text(String),
    /// A value of the event.
    Value(Scalar),
    /// These, or `null` where the event has nothing in these columns.
    Object(&'static [EventColumn], Vec<Step>),
}

impl EventWriter {
    /// A writer for a selection on events; None where it asks for what they do not hold.
    pub(in crate::graphql) fn of_events<T>(context: &ContextBase<'_, T>, selection: &SelectionSet) -> Option<Self> {
        Self::compile(context, selection, Shape::Event, EventOrderField::Published)
    }

    /// A writer for a selection on the edges of a list in some order.
    pub(in crate::graphql) fn of_edges<T>(
        context: &ContextBase<'_, T>,
        selection: &SelectionSet,
        order: EventOrderField,
    ) -> Option<Self> {
        Self::compile(context, selection, Shape::Edge, order)
    }

    fn compile<T>(
        context: &ContextBase<'_, T>,
        selection: &SelectionSet,
        shape: Shape,
        order: EventOrderField,
    ) -> Option<Self> {
        if context.data_opt::<OrdinaryWay>().is_some() {
            return None;
        }
        let fields = plan::fields(&context.query_env.fragments, selection, shape)?;
        let mut writer = Self { steps: Vec::new(), columns: EventColumns::KEYS, order };
        let mut steps = Vec::new();
        writer.add_fields(&mut steps, &fields);
        writer.steps = steps;
        Some(writer)
    }

    /// What must be read of events to print them.
    pub(in crate::graphql) const fn columns(&self) -> EventColumns {
        self.columns
    }

    fn add_fields(&mut self, steps: &mut Vec<Step>, fields: &[(String, Field)]) {
        for (index, (key, field)) in fields.iter().enumerate() {
            let mut text = String::from(if index == 0 { '{' } else { ',' });
            print::string(&mut text, key);
            text.push(':');
            if let Field::Typename(name) = field {
                print::string(&mut text, name);
            }
            push_text(steps, &text);
            match field {
                Field::Typename(_) => {}
                Field::Scalar(scalar) => {
                    self.columns = scalar.columns(self.columns);
                    steps.push(Step::Value(*scalar));
                }
                Field::Object(shape, fields) => match shape.presence() {
                    Some(presence) => {
                        self.columns = presence.iter().fold(self.columns, |columns, column| columns.with(*column));
                        let mut inner = Vec::new();
                        self.add_fields(&mut inner, fields);
                        steps.push(Step::Object(presence, inner));
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

    /// Renders events as the answers to a subscription whose field has this key in them.
    pub(in crate::graphql) fn into_renderer(self, key: &str) -> ImmediateRenderer {
        let mut start = String::from("{\"data\":{");
        print::string(&mut start, key);
        start.push(':');
        Arc::new(move |event| {
            let mut out = String::with_capacity(1024);
            out.push_str(&start);
            self.write(&mut out, event);
            out.push_str("}}");
            out.into()
        })
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

    fn write_steps(&self, out: &mut String, steps: &[Step], event: &impl EventFields) {
        for step in steps {
            match step {
                Step::Text(text) => out.push_str(text),
                Step::Value(scalar) => self.write_value(out, *scalar, event),
                Step::Object(presence, inner) if presence.iter().any(|column| event.has(*column)) => {
                    self.write_steps(out, inner, event);
                }
                Step::Object(..) => out.push_str("null"),
            }
        }
    }

    fn write_value(&self, out: &mut String, scalar: Scalar, event: &impl EventFields) {
        match scalar {
            Scalar::Id => print::string(out, &NodeId::SyncEvent(event.position()).encode()),
            Scalar::Cursor => print::string(out, &encode_event_cursor(self.order, event)),
            Scalar::Column(column, kind) => write_column(out, column, kind, event),
        }
    }
}

fn write_column(out: &mut String, column: EventColumn, kind: GraphKind, event: &impl EventFields) {
    match kind {
        GraphKind::Text => match event.text(column) {
            Some(text) => print::string(out, text),
            None => out.push_str("null"),
        },
        GraphKind::NonNullText => print::string(out, event.text(column).unwrap_or_default()),
        GraphKind::Json => out.push_str(event.text(column).unwrap_or("null")),
        GraphKind::Time => moment(out, event.time(column)),
        GraphKind::Position => print::string(out, &event.position().to_string()),
        GraphKind::Uuid => quoted(out, event.uuid().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
        GraphKind::Severity => match event.text(column).filter(|name| SEVERITIES.contains(name)) {
            Some(name) => quoted(out, name),
            None => out.push_str("null"),
        },
    }
}

fn push_text(steps: &mut Vec<Step>, text: &str) {
    match steps.last_mut() {
        Some(Step::Text(last)) => last.push_str(text),
        _ => steps.push(Step::Text(text.to_owned())),
    }
}

/// A text of which it is known that nothing in it needs an escape.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

fn moment(out: &mut String, moment: Timestamp) {
    quoted(out, moment.text().as_str());
}
