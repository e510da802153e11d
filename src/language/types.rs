//! The types of a schema, as far as documents depend on them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde_json::Value as Json;

/// A type by its name, or a list; with or without null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeReference {
    pub(crate) base: TypeBase,
    pub(crate) is_non_null: bool,
}

/// A type without regard to null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypeBase {
    Named(String),
    List(Box<TypeReference>),
}

impl TypeReference {
    /// The name of the type, or of the items of the list.
    pub(crate) fn named(&self) -> &str {
        match &self.base {
            TypeBase::Named(name) => name,
            TypeBase::List(item) => item.named(),
        }
    }

    /// True if each value of this type is one of another type, too. `ignoring_null` leaves out the null of the types
    /// themselves, but not that of their items.
    pub(crate) fn fits(&self, other: &Self, ignoring_null: bool) -> bool {
        let base = match (&self.base, &other.base) {
            (TypeBase::Named(one), TypeBase::Named(other)) => one == other,
            (TypeBase::List(one), TypeBase::List(other)) => one.fits(other, false),
            _ => false,
        };
        base && (ignoring_null || self.is_non_null || !other.is_non_null)
    }
}

impl fmt::Display for TypeReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            TypeBase::Named(name) => write!(formatter, "{name}")?,
            TypeBase::List(item) => write!(formatter, "[{item}]")?,
        }
        formatter.write_str(if self.is_non_null { "!" } else { "" })
    }
}

/// The keyword of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootKind {
    Query,
    Mutation,
    Subscription,
}

/// The types and directives of a schema.
pub(crate) struct SchemaTypes {
    pub(crate) types: HashMap<String, SchemaType>,
    pub(crate) directives: HashMap<String, SchemaDirective>,
    /// The check of the values of scalars that the specification does not have: says what is wrong with a value.
    pub(crate) scalar_fault: fn(&str, &Json) -> Option<String>,
    /// True if messages may name what a client may have meant.
    pub(crate) suggests: bool,
}

/// A type of a schema.
#[derive(Debug)]
pub(crate) struct SchemaType {
    pub(crate) name: String,
    pub(crate) shape: TypeShape,
}

/// The parts of a type.
#[derive(Debug)]
pub(crate) enum TypeShape {
    Scalar,
    Enum(Vec<String>),
    /// An object, with the names of its interfaces.
    Object {
        fields: BTreeMap<String, SchemaField>,
        interfaces: Vec<String>,
    },
    Interface {
        fields: BTreeMap<String, SchemaField>,
    },
    Union(Vec<String>),
    Input {
        fields: Vec<InputField>,
        is_one_of: bool,
    },
}

/// A field of a type.
#[derive(Debug)]
pub(crate) struct SchemaField {
    pub(crate) of: TypeReference,
    pub(crate) arguments: Vec<InputField>,
}

/// An argument, or a field of an input object.
#[derive(Debug)]
pub(crate) struct InputField {
    pub(crate) name: String,
    pub(crate) of: TypeReference,
    pub(crate) has_default: bool,
}

impl InputField {
    /// True if a value must be given.
    pub(crate) fn is_required(&self) -> bool {
        self.of.is_non_null && !self.has_default
    }
}

/// A directive of a schema.
#[derive(Debug)]
pub(crate) struct SchemaDirective {
    pub(crate) arguments: Vec<InputField>,
    pub(crate) is_repeatable: bool,
    /// The names of the places where it may stand, such as FIELD.
    pub(crate) locations: HashSet<String>,
}

impl SchemaTypes {
    /// The type of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&SchemaType> {
        self.types.get(name)
    }

    /// The type at the root of an operation.
    pub(crate) fn root(&self, kind: RootKind) -> Option<&SchemaType> {
        self.find(match kind {
            RootKind::Query => "Query",
            RootKind::Mutation => "Mutation",
            RootKind::Subscription => "Subscription",
        })
    }

    /// True if some object is of both types.
    pub(crate) fn overlap(&self, one: &SchemaType, other: &SchemaType) -> bool {
        one.name == other.name
            || self.types.values().any(|object| {
                matches!(object.shape, TypeShape::Object { .. }) && one.includes(object) && other.includes(object)
            })
    }
}

impl SchemaType {
    /// True for types whose values have fields.
    pub(crate) const fn is_composite(&self) -> bool {
        matches!(self.shape, TypeShape::Object { .. } | TypeShape::Interface { .. } | TypeShape::Union(_))
    }

    /// True for types whose values can be given.
    pub(crate) const fn is_input(&self) -> bool {
        matches!(self.shape, TypeShape::Scalar | TypeShape::Enum(_) | TypeShape::Input { .. })
    }

    pub(crate) const fn is_object(&self) -> bool {
        matches!(self.shape, TypeShape::Object { .. })
    }

    /// The fields of an object or an interface; None for other types.
    pub(crate) const fn fields(&self) -> Option<&BTreeMap<String, SchemaField>> {
        match &self.shape {
            TypeShape::Object { fields, .. } | TypeShape::Interface { fields } => Some(fields),
            _ => None,
        }
    }

    /// True if the objects of a type are of this one, too.
    fn includes(&self, object: &Self) -> bool {
        match &self.shape {
            TypeShape::Object { .. } => self.name == object.name,
            TypeShape::Interface { .. } => {
                matches!(&object.shape, TypeShape::Object { interfaces, .. } if interfaces.contains(&self.name))
            }
            TypeShape::Union(members) => members.contains(&object.name),
            _ => false,
        }
    }
}
