//! The plan of an event writer: the fields that a selection asks for, with fragments expanded and equal keys merged.

use async_graphql::parser::types::SelectionSet;

use crate::event::{COLUMNS, EventColumn, EventColumns, GraphKind, GraphObject, OBJECTS, ObjectSpec};
use crate::graphql::request::fragments::{self, Fragments};

/// A field of an answer.
#[derive(Debug)]
pub(super) enum PlannedField {
    /// The name of the object's type.
    Typename(&'static str),
    /// A value of the event.
    Scalar(PlannedScalar),
    /// An object and its fields, by their keys in the answer.
    Object(PlannedObject, Vec<(String, PlannedField)>),
}

/// A value of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlannedScalar {
    /// The event's global id.
    Id,
    /// The event's place in a list.
    Cursor,
    /// The value of a column.
    Column(EventColumn, GraphKind),
}

impl PlannedScalar {
    /// Returns the other columns and those that the value is printed from.
    pub(super) const fn columns(self, others: EventColumns) -> EventColumns {
        match self {
            Self::Id | Self::Cursor => others,
            Self::Column(column, _) => others.with(column),
        }
    }
}

/// An object of the graph whose values are columns of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlannedObject {
    Edge,
    Event,
    Below(&'static ObjectSpec),
}

impl PlannedObject {
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

    /// True if a fragment on a type applies to the object.
    fn is(self, type_name: &str) -> bool {
        self.type_name() == type_name || (matches!(self, Self::Event) && type_name == "Node")
    }

    /// Plans a field of the object, without the fields in it; None if no column of an event has its value.
    fn field(self, name: &str) -> Option<PlannedField> {
        let object = |shape| Some(PlannedField::Object(shape, Vec::new()));
        let object_below = |name: &str| OBJECTS.iter().find(|object| object.field == name);
        match (self, name) {
            (_, "__typename") => Some(PlannedField::Typename(self.type_name())),
            (Self::Edge, "cursor") => Some(PlannedField::Scalar(PlannedScalar::Cursor)),
            (Self::Edge, "node") => object(Self::Event),
            (Self::Edge, _) => None,
            (Self::Event, "id") => Some(PlannedField::Scalar(PlannedScalar::Id)),
            // The column of `eventDetails`, as text.
            (Self::Event, "raw") => {
                let raw = PlannedScalar::Column(EventColumn::Details, GraphKind::NonNullText);
                Some(PlannedField::Scalar(raw))
            }
            (Self::Event, name) => match object_below(name) {
                Some(below) => object(Self::Below(below)),
                None => scalar(GraphObject::Event, name),
            },
            (Self::Below(below), name) => scalar(below.object, name),
        }
    }
}

/// Returns the field of an object that has the values of a column.
fn scalar(object: GraphObject, name: &str) -> Option<PlannedField> {
    COLUMNS.iter().find_map(|spec| {
        let field = spec.graph.filter(|field| field.object == object && field.name == name)?;
        Some(PlannedField::Scalar(PlannedScalar::Column(spec.column, field.kind)))
    })
}

/// Plans the fields that a selection asks of an object, in the order of the answer; None if no column of an event has the
/// value of one of them.
pub(super) fn fields(
    fragments: &Fragments,
    selection: &SelectionSet,
    shape: PlannedObject,
) -> Option<Vec<(String, PlannedField)>> {
    let mut fields = Vec::new();
    collect(fragments, selection, shape, &mut fields)?;
    Some(fields)
}

/// Adds the fields that a selection asks of an object. The selections of a field that is there already are merged.
fn collect(
    fragments: &Fragments,
    selection: &SelectionSet,
    shape: PlannedObject,
    fields: &mut Vec<(String, PlannedField)>,
) -> Option<()> {
    for selected in fragments::fields(fragments, selection, |type_name| shape.is(type_name)) {
        let key = selected.response_key().node.as_str();
        let at = if let Some(at) = fields.iter().position(|(known, _)| known == key) {
            at
        } else {
            fields.push((key.to_owned(), shape.field(selected.name.node.as_str())?));
            fields.len() - 1
        };
        if let Some((_, PlannedField::Object(shape, inner))) = fields.get_mut(at) {
            collect(fragments, &selected.selection_set.node, *shape, inner)?;
        }
    }
    Some(())
}
