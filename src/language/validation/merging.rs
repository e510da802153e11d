//! Fields with one key in an answer: they must be able to be merged into one.
//!
//! The fields of one object are grouped by their keys. In a group, all values must have the same shape; and fields that can
//! be of the same object must be the same field with the same arguments. Both are equivalences, so each field is compared
//! with one other, and the selections of a group are looked at as one. A set of fields that was looked at before is not
//! looked at again.

use std::collections::{BTreeMap, HashSet};

use super::super::document::{DocumentOperation, Field, Item, SelectionSet, are_same};
use super::super::types::{SchemaType, SchemaTypes, TypeBase, TypeReference};
use super::context::Rules;

/// Checks the fields of an operation. Fields and fragments must be known.
pub(super) fn check<'d>(rules: &mut Rules<'d>, operation: &'d DocumentOperation<'d>) {
    let root = rules.types.root(operation.kind);
    let mut merge = FieldMerge { rules, shapes: HashSet::new(), objects: HashSet::new() };
    let mut fields = FieldSet::default();
    fields.collect(merge.rules, &operation.selection, root);
    merge.same_shape(&fields.fields);
    merge.same_field(&fields.fields);
}

/// A field, and the type that has it.
#[derive(Clone, Copy)]
struct PlacedField<'d> {
    field: &'d Field<'d>,
    parent: Option<&'d SchemaType>,
}

/// Fields of one object, its fragments expanded. Each is there once.
#[derive(Default)]
struct FieldSet<'d> {
    fields: Vec<PlacedField<'d>>,
    spread: HashSet<&'d str>,
}

impl<'d> FieldSet<'d> {
    fn collect(&mut self, rules: &Rules<'d>, selection: &'d SelectionSet<'d>, parent: Option<&'d SchemaType>) {
        for item in &selection.items {
            match item {
                Item::Field(field) => self.fields.push(PlacedField { field, parent }),
                Item::Inline(inline) => {
                    let on = inline.condition.and_then(|condition| rules.types.find(condition.text));
                    self.collect(rules, &inline.selection, on.or(parent));
                }
                Item::Spread(spread) => {
                    let fragment = rules.fragments.get(spread.name.text).copied();
                    if let Some(fragment) = fragment.filter(|_| self.spread.insert(spread.name.text)) {
                        self.collect(rules, &fragment.selection, rules.types.find(fragment.condition.text));
                    }
                }
            }
        }
    }
}

struct FieldMerge<'r, 'd> {
    rules: &'r mut Rules<'d>,
    /// The sets of fields whose shapes were compared.
    shapes: HashSet<Vec<*const Field<'d>>>,
    /// The sets of fields whose names and arguments were compared.
    objects: HashSet<Vec<*const Field<'d>>>,
}

impl<'d> FieldMerge<'_, 'd> {
    /// Checks that fields with one key have values of the same shape.
    fn same_shape(&mut self, fields: &[PlacedField<'d>]) {
        if !self.shapes.insert(identity(fields)) {
            return;
        }
        for group in by_key(fields).into_values() {
            let [first, others @ ..] = &group[..] else { continue };
            let types = self.rules.types;
            let of = |placed: &PlacedField<'d>| type_of(placed);
            let other = others.iter().find(|other| !is_same_shape(types, of(first), of(other)));
            if let Some(other) = other {
                self.conflict(first, other, "have values of different types");
                continue;
            }
            let inner = self.inner(&group);
            self.same_shape(&inner);
        }
    }

    /// Checks that fields of one object with one key are the same field with the same arguments.
    fn same_field(&mut self, fields: &[PlacedField<'d>]) {
        if !self.objects.insert(identity(fields)) {
            return;
        }
        for group in by_key(fields).into_values() {
            for group in by_object(&group) {
                let [first, others @ ..] = &group[..] else { continue };
                let is_other = |other: &&PlacedField<'d>| {
                    let (one, other) = (first.field, other.field);
                    one.name.text != other.name.text || !are_same(&one.arguments, &other.arguments)
                };
                if let Some(other) = others.iter().find(is_other) {
                    let what = if first.field.name.text == other.field.name.text {
                        "have different arguments"
                    } else {
                        "are different fields"
                    };
                    self.conflict(first, other, what);
                    continue;
                }
                let inner = self.inner(&group);
                self.same_field(&inner);
            }
        }
    }

    /// The fields that a group of fields selects.
    fn inner(&self, group: &[PlacedField<'d>]) -> Vec<PlacedField<'d>> {
        let mut inner = FieldSet::default();
        for placed in group {
            let of = type_of(placed).and_then(|of| self.rules.types.find(of.named()));
            inner.collect(self.rules, &placed.field.selection, of);
        }
        inner.fields
    }

    fn conflict(&mut self, one: &PlacedField<'d>, other: &PlacedField<'d>, what: &str) {
        let (one, other) = (one.field, other.field);
        self.rules.report([one.response_key().at, other.response_key().at], || {
            let (key, one, other) = (one.response_key().text, one.name.text, other.name.text);
            format!("the fields {key:?} ({one} and {other}) {what}: give one of them an alias")
        });
    }
}

/// The fields by themselves, for comparisons with other sets.
fn identity<'d>(fields: &[PlacedField<'d>]) -> Vec<*const Field<'d>> {
    fields.iter().map(|placed| std::ptr::from_ref(placed.field)).collect()
}

/// The groups of fields with one key in the answer.
fn by_key<'d>(fields: &[PlacedField<'d>]) -> BTreeMap<&'d str, Vec<PlacedField<'d>>> {
    let mut groups: BTreeMap<&str, Vec<PlacedField<'d>>> = BTreeMap::new();
    for placed in fields {
        groups.entry(placed.field.response_key().text).or_default().push(*placed);
    }
    groups
}

/// The groups of fields that can be of one object: those of each type, together with those of interfaces and unions.
fn by_object<'d>(fields: &[PlacedField<'d>]) -> Vec<Vec<PlacedField<'d>>> {
    let object = |placed: &PlacedField<'d>| placed.parent.filter(|parent| parent.is_object());
    let shared: Vec<_> = fields.iter().filter(|placed| object(placed).is_none()).copied().collect();
    let mut groups: BTreeMap<&str, Vec<PlacedField<'d>>> = BTreeMap::new();
    for placed in fields {
        if let Some(parent) = object(placed) {
            groups.entry(&parent.name).or_insert_with(|| shared.clone()).push(*placed);
        }
    }
    if groups.is_empty() { vec![shared] } else { groups.into_values().collect() }
}

/// The type of a field; None for `__typename`, which every type has.
fn type_of<'d>(placed: &PlacedField<'d>) -> Option<&'d TypeReference> {
    let fields = placed.parent?.fields()?;
    fields.get(placed.field.name.text).map(|field| &field.of)
}

/// True if values of two types have one shape. None is the type of `__typename`: `String!`.
fn is_same_shape(types: &SchemaTypes, one: Option<&TypeReference>, other: Option<&TypeReference>) -> bool {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (None, None) => return true,
        (Some(known), None) | (None, Some(known)) => {
            return known.is_non_null && matches!(&known.base, TypeBase::Named(name) if name == "String");
        }
    };
    one.is_non_null == other.is_non_null
        && match (&one.base, &other.base) {
            (TypeBase::List(one), TypeBase::List(other)) => is_same_shape(types, Some(one), Some(other)),
            (TypeBase::Named(one), TypeBase::Named(other)) => {
                let is_composite = |name: &str| types.find(name).is_some_and(SchemaType::is_composite);
                one == other || (is_composite(one) && is_composite(other))
            }
            _ => false,
        }
}
