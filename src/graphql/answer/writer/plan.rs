//! What a selection asks of an event: fragments taken apart, fields of one name merged.

use async_graphql::parser::types::SelectionSet;

use crate::event::{COLUMNS, EventColumn, EventColumns, GraphKind, GraphObject, OBJECTS, ObjectSpec};
use crate::graphql::request::fragments::{self, Fragments};

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
    /// The event's global id.
    Id,
    /// The event's place in a list.
    Cursor,
    /// The value of a column.
    Column(EventColumn, GraphKind),
}

impl Scalar {
    /// Returns the other columns and those that the value is printed from.
    pub(super) const fn columns(self, others: EventColumns) -> EventColumns {
        match self {
            Self::Id | Self::Cursor => others,
            Self::Column(column, _) => others.with(column),
        }
    }
}

/// An object in the graph that an event fills.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Edge,
    Event,
    Below(&'static ObjectSpec),
}

impl Shape {
    /// Returns columns of which an event has at least one if it has the object; None for an object that is always there.
    pub(super) const fn presence(self) -> Option<&'static [EventColumn]> {
        match self {
            Self::Edge | Self::Event => None,
            Self::Below(object) => Some(object.presence),
        }
    }

    const fn type_name(self) -> &'static str {
        match self {
            Self::Edge => "SyncEventEdge",
            Self::Event => "SyncEvent",
            Self::Below(object) => object.type_name,
        }
    }

    /// Whether a fragment on a type applies.
    fn is(self, type_name: &str) -> bool {
        self.type_name() == type_name || (matches!(self, Self::Event) && type_name == "Node")
    }

    /// What one of its fields is, still without fields of its own; None for what an event does not hold.
    fn field(self, name: &str) -> Option<Field> {
        let object = |shape| Some(Field::Object(shape, Vec::new()));
        let object_below = |name: &str| OBJECTS.iter().find(|object| object.field == name);
        match (self, name) {
            (_, "__typename") => Some(Field::Typename(self.type_name())),
            (Self::Edge, "cursor") => Some(Field::Scalar(Scalar::Cursor)),
            (Self::Edge, "node") => object(Self::Event),
            (Self::Edge, _) => None,
            (Self::Event, "id") => Some(Field::Scalar(Scalar::Id)),
            (Self::Event, name) => match object_below(name) {
                Some(below) => object(Self::Below(below)),
                None => scalar(GraphObject::Event, name),
            },
            (Self::Below(below), name) => scalar(below.object, name),
        }
    }
}

/// Returns the field of an object that has the values of a column.
fn scalar(object: GraphObject, name: &str) -> Option<Field> {
    COLUMNS.iter().find_map(|spec| {
        let field = spec.graph.filter(|field| field.object == object && field.name == name)?;
        Some(Field::Scalar(Scalar::Column(spec.column, field.kind)))
    })
}

/// The fields that a selection asks of an object, in the order of the answer; None where it asks for what an event does
/// not hold.
pub(super) fn fields(fragments: &Fragments, selection: &SelectionSet, shape: Shape) -> Option<Vec<(String, Field)>> {
    let mut fields = Vec::new();
    collect(fragments, selection, shape, &mut fields)?;
    Some(fields)
}

/// Adds the fields that a selection asks of an object. A field that is there already gets what is asked of it, too.
fn collect(
    fragments: &Fragments,
    selection: &SelectionSet,
    shape: Shape,
    fields: &mut Vec<(String, Field)>,
) -> Option<()> {
    for selected in fragments::fields(fragments, selection, |type_name| shape.is(type_name)) {
        let key = selected.response_key().node.as_str();
        let at = if let Some(at) = fields.iter().position(|(known, _)| known == key) {
            at
        } else {
            fields.push((key.to_owned(), shape.field(selected.name.node.as_str())?));
            fields.len() - 1
        };
        if let Some((_, Field::Object(shape, inner))) = fields.get_mut(at) {
            collect(fragments, &selected.selection_set.node, *shape, inner)?;
        }
    }
    Some(())
}
