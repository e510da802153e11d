//! Values of arguments and defaults, by the types of their places.

use std::fmt;

use super::super::document::{Literal, LiteralValue, NamedLiteral};
use super::super::fault::Location;
use super::super::types::{InputField, SchemaType, TypeBase, TypeShape};
use super::super::values::{is_built_in, literal_fault};
use super::context::{PartUses, Rules, ValuePlace, VariableUsage};
use super::definitions::unique;
use super::suggestions::did_you_mean;

/// The way to a value from the argument or the default of which it is a part.
#[derive(Clone, Copy)]
pub(super) enum ValuePath<'p> {
    Argument(&'p str),
    Default(&'p str),
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl fmt::Display for ValuePath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => write!(formatter, "argument \"{name}"),
            Self::Default(name) => write!(formatter, "default of \"${name}"),
            Self::Field(before, name) => write!(formatter, "{before}.{name}"),
            Self::Item(before, index) => write!(formatter, "{before}.{index}"),
        }
    }
}

/// The check of the values of one operation or fragment.
pub(super) struct LiteralWalk<'w, 'd> {
    pub(super) rules: &'w mut Rules<'d>,
    pub(super) part: &'w mut PartUses<'d>,
}

impl<'d> LiteralWalk<'_, 'd> {
    /// Checks the arguments of a field or of a directive, which `owner` names. `known` is None if that is unknown.
    pub(super) fn arguments(
        &mut self,
        given: &'d [NamedLiteral<'d>],
        known: Option<&'d [InputField]>,
        owner: impl Fn() -> String,
        at: Location,
    ) {
        unique(self.rules, given.iter().map(|argument| argument.name), |name| {
            format!("the argument {name:?} is there twice")
        });
        for argument in given {
            let name = argument.name.text;
            let field = known.and_then(|known| known.iter().find(|field| field.name == name));
            if let (Some(known), None) = (known, field) {
                let types = self.rules.types;
                self.rules.report([argument.name.at], || {
                    let hint = did_you_mean(types, name, known.iter().map(|field| field.name.as_str()));
                    format!("there is no argument {name:?} at {}{hint}", owner())
                });
            }
            let place = field.map(|field| ValuePlace { of: &field.of, has_default: field.has_default, one_of: None });
            self.literal(&argument.value, place, &ValuePath::Argument(name));
        }
        for field in known.unwrap_or_default().iter().filter(|field| field.is_required()) {
            if given.iter().all(|argument| argument.name.text != field.name) {
                let InputField { name, of, .. } = field;
                self.rules.report([at], || format!("the argument {name:?} of type {of} is missing at {}", owner()));
            }
        }
    }

    /// Checks a value; without a place, only what does not depend on its type.
    pub(super) fn literal(&mut self, literal: &'d Literal<'d>, place: Option<ValuePlace<'d>>, path: &ValuePath<'_>) {
        match (&literal.value, place) {
            (LiteralValue::Variable(name), place) => {
                self.part.usages.push(VariableUsage { name, at: literal.at, place });
            }
            (LiteralValue::Null, Some(place)) => {
                if place.of.is_non_null {
                    self.mismatch(literal, place, path, "");
                }
            }
            (value, Some(place)) => match (&place.of.base, value) {
                (TypeBase::List(item), LiteralValue::List(items)) => {
                    let place = ValuePlace { of: item, has_default: false, one_of: None };
                    for (index, item) in items.iter().enumerate() {
                        self.literal(item, Some(place), &ValuePath::Item(path, index));
                    }
                }
                // A single value stands for a list of one.
                (TypeBase::List(item), _) => {
                    self.literal(literal, Some(ValuePlace { of: item, has_default: false, one_of: None }), path);
                }
                (TypeBase::Named(name), _) => match self.rules.types.find(name) {
                    Some(found) => self.named(literal, place, found, path),
                    None => self.untyped(literal, path),
                },
            },
            (_, None) => self.untyped(literal, path),
        }
    }

    fn named(&mut self, literal: &'d Literal<'d>, place: ValuePlace<'d>, found: &'d SchemaType, path: &ValuePath<'_>) {
        match (&found.shape, &literal.value) {
            (TypeShape::Input { fields, is_one_of }, LiteralValue::Object(given)) => {
                self.object(literal.at, given, (found, fields), *is_one_of, path);
            }
            (TypeShape::Enum(values), LiteralValue::Enum(name)) => {
                if !values.iter().any(|known| known == name) {
                    let hint = did_you_mean(self.rules.types, name, values.iter().map(String::as_str));
                    self.mismatch(literal, place, path, &hint);
                }
            }
            (TypeShape::Scalar, _) => {
                if let Some(what) = literal_fault(self.rules.types, &found.name, &literal.value) {
                    self.mismatch(literal, place, path, &what);
                }
                if !is_built_in(&found.name) {
                    self.untyped(literal, path);
                }
            }
            _ => {
                self.mismatch(literal, place, path, "");
                self.untyped(literal, path);
            }
        }
    }

    fn object(
        &mut self,
        at: Location,
        given: &'d [NamedLiteral<'d>],
        (found, fields): (&'d SchemaType, &'d [InputField]),
        is_one_of: bool,
        path: &ValuePath<'_>,
    ) {
        self.unique_fields(given);
        let name = &found.name;
        for field in given {
            let known = fields.iter().find(|known| known.name == field.name.text);
            if known.is_none() {
                let types = self.rules.types;
                self.rules.report([field.name.at], || {
                    let unknown = field.name.text;
                    let hint = did_you_mean(types, unknown, fields.iter().map(|known| known.name.as_str()));
                    format!("invalid value for the {path}\": there is no field {unknown:?} in {name}{hint}")
                });
            }
            let place = known.map(|known| ValuePlace {
                of: &known.of,
                has_default: known.has_default,
                one_of: is_one_of.then_some(name),
            });
            self.literal(&field.value, place, &ValuePath::Field(path, field.name.text));
        }
        for known in fields.iter().filter(|known| known.is_required()) {
            if given.iter().all(|field| field.name.text != known.name) {
                let InputField { name, of, .. } = known;
                self.rules
                    .report([at], || format!("invalid value for the {path}.{name}\": expected {of}, found nothing"));
            }
        }
        let is_one = matches!(given, [only] if !matches!(only.value.value, LiteralValue::Null));
        if is_one_of && !is_one {
            self.rules.report([at], || {
                format!("invalid value for the {path}\": {name} takes exactly one of its fields, which is not null")
            });
        }
    }

    /// Finds the variables of a value whose type is not known.
    fn untyped(&mut self, literal: &'d Literal<'d>, path: &ValuePath<'_>) {
        match &literal.value {
            LiteralValue::Variable(_) => self.literal(literal, None, path),
            LiteralValue::List(items) => {
                for item in items {
                    self.untyped(item, path);
                }
            }
            LiteralValue::Object(fields) => {
                self.unique_fields(fields);
                for field in fields {
                    self.untyped(&field.value, path);
                }
            }
            _ => {}
        }
    }

    fn unique_fields(&mut self, given: &'d [NamedLiteral<'d>]) {
        unique(self.rules, given.iter().map(|field| field.name), |name| format!("the field {name:?} is there twice"));
    }

    fn mismatch(&mut self, literal: &'d Literal<'d>, place: ValuePlace<'d>, path: &ValuePath<'_>, what: &str) {
        self.rules.report([literal.at], || {
            format!("invalid value for the {path}\": expected {}, found {}{what}", place.of, literal.value.shown())
        });
    }
}
