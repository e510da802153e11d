//! What a selection asks of an event: fragments taken apart, fields of one name merged.

use std::collections::HashMap;

use async_graphql::parser::types::{self as parser, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

use crate::event::{EntityColumn, EventColumn, EventColumns};

/// A field of an answer.
#[derive(Debug)]
pub(super) enum Field {
    /// The name of the type around it.
    Typename(&'static str),
    /// A value of the event.
    Scalar(Scalar),
    /// An object and its fields, by their keys in the answer.
    Object(Shape, Vec<(String, Field)>),
}

/// A value of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar {
    Id,
    Position,
    Uuid,
    Published,
    ReceivedAt,
    Severity,
    /// Its place in a list.
    Cursor,
    /// A text, or null.
    Text(EventColumn),
    /// A text that is always there.
    NonNullText(EventColumn),
    /// A text that is JSON already, or null.
    Json(EventColumn),
}

impl Scalar {
    /// These columns and those that it is printed from.
    pub(super) const fn columns(self, others: EventColumns) -> EventColumns {
        match self {
            Self::Id | Self::Position | Self::Published | Self::Cursor => others,
            Self::Uuid => others.with(EventColumn::Uuid),
            Self::ReceivedAt => others.with(EventColumn::ReceivedAt),
            Self::Severity => others.with(EventColumn::Severity),
            Self::Text(column) | Self::NonNullText(column) | Self::Json(column) => others.with(column),
        }
    }
}

/// An object in the graph that an event fills.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Edge,
    Event,
    Outcome,
    DebugContext,
    Entity(fn(EntityColumn) -> EventColumn),
}

impl Shape {
    /// The column without which there is no such object; None where there always is one.
    pub(super) fn presence(self) -> Option<EventColumn> {
        match self {
            Self::Edge | Self::Event => None,
            Self::Outcome => Some(EventColumn::OutcomeResult),
            Self::DebugContext => Some(EventColumn::DebugData),
            Self::Entity(of) => Some(of(EntityColumn::Id)),
        }
    }

    const fn type_name(self) -> &'static str {
        match self {
            Self::Edge => "SyncEventEdge",
            Self::Event => "SyncEvent",
            Self::Outcome => "Outcome",
            Self::DebugContext => "DebugContext",
            Self::Entity(_) => "Entity",
        }
    }

    /// Whether a fragment on a type applies.
    fn is(self, type_name: &str) -> bool {
        self.type_name() == type_name || (matches!(self, Self::Event) && type_name == "Node")
    }

    /// What one of its fields is, still without fields of its own; None for what an event does not hold.
    fn field(self, name: &str) -> Option<Field> {
        if name == "__typename" {
            return Some(Field::Typename(self.type_name()));
        }
        let object = |shape| Field::Object(shape, Vec::new());
        Some(match (self, name) {
            (Self::Edge, "cursor") => Field::Scalar(Scalar::Cursor),
            (Self::Edge, "node") => object(Self::Event),
            (Self::Event, "outcome") => object(Self::Outcome),
            (Self::Event, "admin") => object(Self::Entity(EventColumn::Admin)),
            (Self::Event, "user") => object(Self::Entity(EventColumn::User)),
            (Self::Event, "applicationUser") => object(Self::Entity(EventColumn::ApplicationUser)),
            (Self::Event, "application") => object(Self::Entity(EventColumn::Application)),
            (Self::Event, "debugContext") => object(Self::DebugContext),
            _ => Field::Scalar(self.scalar(name)?),
        })
    }

    fn scalar(self, name: &str) -> Option<Scalar> {
        Some(match (self, name) {
            (Self::Event, "id") => Scalar::Id,
            (Self::Event, "position") => Scalar::Position,
            (Self::Event, "org") => Scalar::NonNullText(EventColumn::Org),
            (Self::Event, "uuid") => Scalar::Uuid,
            (Self::Event, "eventType") => Scalar::NonNullText(EventColumn::EventType),
            (Self::Event, "published") => Scalar::Published,
            (Self::Event, "message") => Scalar::Text(EventColumn::Message),
            (Self::Event, "version") => Scalar::Text(EventColumn::Version),
            (Self::Event, "severity") => Scalar::Severity,
            (Self::Event, "eventDetails") => Scalar::Json(EventColumn::Details),
            (Self::Event, "receivedAt") => Scalar::ReceivedAt,
            (Self::Outcome, "result") => Scalar::NonNullText(EventColumn::OutcomeResult),
            (Self::Outcome, "reason") => Scalar::Text(EventColumn::OutcomeReason),
            (Self::DebugContext, "debugData") => Scalar::Json(EventColumn::DebugData),
            (Self::Entity(of), "id") => Scalar::NonNullText(of(EntityColumn::Id)),
            (Self::Entity(of), "alternateId") => Scalar::Text(of(EntityColumn::AlternateId)),
            (Self::Entity(of), "displayName") => Scalar::Text(of(EntityColumn::DisplayName)),
            (Self::Entity(of), "type") => Scalar::NonNullText(of(EntityColumn::Kind)),
            _ => return None,
        })
    }
}

/// A document's fragments.
pub(super) type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The fields that a selection asks of an object, in the order of the answer; None where it asks for what an event does
/// not hold.
pub(super) fn fields(fragments: &Fragments, selection: &SelectionSet, shape: Shape) -> Option<Vec<(String, Field)>> {
    let mut fields = Vec::new();
    let mut is_held = true;
    visit(fragments, selection, &|type_name| shape.is(type_name), &mut |selected| {
        is_held = is_held && collect(fragments, selected, shape, &mut fields).is_some();
    });
    is_held.then_some(fields)
}

/// Adds a field, or what it asks of an object that is there already.
fn collect(
    fragments: &Fragments,
    selected: &parser::Field,
    shape: Shape,
    fields: &mut Vec<(String, Field)>,
) -> Option<()> {
    let key = selected.response_key().node.as_str();
    let at = if let Some(at) = fields.iter().position(|(known, _)| known == key) {
        at
    } else {
        fields.push((key.to_owned(), shape.field(selected.name.node.as_str())?));
        fields.len() - 1
    };
    let Some((_, Field::Object(shape, inner))) = fields.get_mut(at) else { return Some(()) };
    let mut is_held = true;
    visit(fragments, &selected.selection_set.node, &|type_name| shape.is(type_name), &mut |selected| {
        is_held = is_held && collect(fragments, selected, *shape, inner).is_some();
    });
    is_held.then_some(())
}

/// Visits the fields of a selection, those of its fragments included where their types apply.
pub(super) fn visit<'s>(
    fragments: &'s Fragments,
    selection: &'s SelectionSet,
    applies: &dyn Fn(&str) -> bool,
    visitor: &mut dyn FnMut(&'s parser::Field),
) {
    for item in &selection.items {
        let (condition, inner) = match &item.node {
            Selection::Field(field) => {
                visitor(&field.node);
                continue;
            }
            Selection::InlineFragment(fragment) => {
                (fragment.node.type_condition.as_ref(), &fragment.node.selection_set)
            }
            Selection::FragmentSpread(spread) => {
                let Some(fragment) = fragments.get(&spread.node.fragment_name.node) else { continue };
                (Some(&fragment.node.type_condition), &fragment.node.selection_set)
            }
        };
        if condition.is_none_or(|condition| applies(condition.node.on.node.as_str())) {
            visit(fragments, &inner.node, applies, visitor);
        }
    }
}
