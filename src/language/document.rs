//! A document as it is read: operations and fragments, with the place of each part.

use super::fault::Location;
use super::types::{RootKind, TypeReference};

/// A document.
#[derive(Debug, Default)]
pub(crate) struct Document<'t> {
    pub(crate) operations: Vec<DocumentOperation<'t>>,
    pub(crate) fragments: Vec<Fragment<'t>>,
}

/// An operation of a document.
#[derive(Debug)]
pub(crate) struct DocumentOperation<'t> {
    pub(crate) kind: RootKind,
    pub(crate) name: Option<Name<'t>>,
    pub(crate) variables: Vec<VariableDefinition<'t>>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) selection: SelectionSet<'t>,
    pub(crate) at: Location,
}

/// A fragment that has a name.
#[derive(Debug)]
pub(crate) struct Fragment<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) condition: Name<'t>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) selection: SelectionSet<'t>,
    pub(crate) at: Location,
}

/// A name, and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'t> {
    pub(crate) text: &'t str,
    pub(crate) at: Location,
}

/// The definition of a variable.
#[derive(Debug)]
pub(crate) struct VariableDefinition<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) of: TypeReference,
    pub(crate) type_at: Location,
    pub(crate) default: Option<Literal<'t>>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) at: Location,
}

/// A selection: the items between braces. A field without braces has an empty one.
#[derive(Debug, Default)]
pub(crate) struct SelectionSet<'t> {
    pub(crate) items: Vec<Item<'t>>,
    pub(crate) at: Location,
}

/// An item of a selection.
#[derive(Debug)]
pub(crate) enum Item<'t> {
    Field(Field<'t>),
    Spread(Spread<'t>),
    Inline(InlineFragment<'t>),
}

/// A field, as it is selected.
#[derive(Debug)]
pub(crate) struct Field<'t> {
    pub(crate) alias: Option<Name<'t>>,
    pub(crate) name: Name<'t>,
    pub(crate) arguments: Vec<NamedLiteral<'t>>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) selection: SelectionSet<'t>,
}

/// The use of a fragment by its name.
#[derive(Debug)]
pub(crate) struct Spread<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) at: Location,
}

/// A fragment without a name, at the place where it is used.
#[derive(Debug)]
pub(crate) struct InlineFragment<'t> {
    pub(crate) condition: Option<Name<'t>>,
    pub(crate) directives: Vec<Directive<'t>>,
    pub(crate) selection: SelectionSet<'t>,
    pub(crate) at: Location,
}

/// A directive, as it is applied.
#[derive(Debug)]
pub(crate) struct Directive<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) arguments: Vec<NamedLiteral<'t>>,
    pub(crate) at: Location,
}

/// An argument, or a field of an object.
#[derive(Debug)]
pub(crate) struct NamedLiteral<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) value: Literal<'t>,
}

/// A value of a document, and its place.
#[derive(Debug)]
pub(crate) struct Literal<'t> {
    pub(crate) value: LiteralValue<'t>,
    pub(crate) at: Location,
}

/// The value of a literal. Numbers are kept as they are written, since their types are not known yet.
#[derive(Debug)]
pub(crate) enum LiteralValue<'t> {
    Null,
    Boolean(bool),
    Int(&'t str),
    Float(&'t str),
    Text(String),
    Enum(&'t str),
    List(Vec<Literal<'t>>),
    Object(Vec<NamedLiteral<'t>>),
    Variable(&'t str),
}

impl<'t> Field<'t> {
    /// The key of the field in an answer.
    pub(crate) fn response_key(&self) -> Name<'t> {
        self.alias.unwrap_or(self.name)
    }
}

impl LiteralValue<'_> {
    /// The value as it may be shown in a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Int(text) | Self::Float(text) | Self::Enum(text) => (*text).to_owned(),
            Self::Text(text) if text.len() > 100 => "a long string".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
            Self::Variable(name) => format!("${name}"),
        }
    }

    /// True if two values are equal. The order of an object's fields means nothing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::Int(one), Self::Int(other))
            | (Self::Float(one), Self::Float(other))
            | (Self::Enum(one), Self::Enum(other))
            | (Self::Variable(one), Self::Variable(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.value.is_same(&other.value))
            }
            (Self::Object(one), Self::Object(other)) => are_same(one, other),
            _ => false,
        }
    }
}

/// True if two lists of arguments, or of an object's fields, are equal in some order. Names must be unique in each.
pub(crate) fn are_same(one: &[NamedLiteral<'_>], other: &[NamedLiteral<'_>]) -> bool {
    let same = |field: &NamedLiteral<'_>| {
        let found = other.iter().find(|known| known.name.text == field.name.text);
        found.is_some_and(|found| field.value.value.is_same(&found.value.value))
    };
    one.len() == other.len() && one.iter().all(same)
}
