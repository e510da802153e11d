//! Lists of small objects that are printed at once. async-graphql resolves each field of each object by itself: a histogram
//! of thousands of buckets would keep a thread busy for tens of milliseconds, and other requests waiting.

use std::borrow::Cow;
use std::fmt::Write as _;

use async_graphql::parser::types::{Field, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value};

use super::scalars::DateTime;
use crate::graphql::answer::print;
use crate::graphql::answer::writer::WithoutWriter;
use crate::graphql::request::fragments::{Fragments, fields};

/// An object of a printed list, which knows its fields by their names in the graph.
pub(super) trait PrintedObject: Send + Sync {
    /// Returns the name of the object's type.
    fn type_name(&self) -> &'static str;

    /// Returns the value of a field; null, if there is no such field.
    fn value(&self, field: &str) -> PrintedValue<'_>;
}

/// The value of a field of a printed object.
pub(super) enum PrintedValue<'o> {
    Null,
    Text(&'o str),
    Time(DateTime),
    Number(i32),
    Numbers(&'o [i32]),
    Boolean(bool),
    Object(&'o dyn PrintedObject),
}

impl<'o> PrintedValue<'o> {
    /// Returns a text, or null.
    pub(super) fn optional_text(text: Option<&'o String>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text))
    }

    /// Returns a time, or null.
    pub(super) fn optional_time(time: Option<DateTime>) -> Self {
        time.map_or(Self::Null, Self::Time)
    }
}

/// A list of objects that is printed at once.
pub(super) struct PrintedList<T>(pub(super) Vec<T>);

/// A field of a selection: its key in the answer, its name, and the selection below it.
struct SelectedField<'d> {
    key: &'d str,
    name: &'d str,
    below: Vec<Self>,
}

impl<'d> SelectedField<'d> {
    /// Returns the fields of selections on one object. Fields with one key are merged. All fragments apply, since the types
    /// of these objects have no interfaces and are in no unions.
    fn all(fragments: &'d Fragments, selections: &[&'d SelectionSet]) -> Vec<Self> {
        let mut merged: Vec<(&Field, Vec<&SelectionSet>)> = Vec::new();
        for field in selections.iter().flat_map(|selection| fields(fragments, selection, |_| true)) {
            let below = &field.selection_set.node;
            match merged.iter_mut().find(|(known, _)| known.response_key().node == field.response_key().node) {
                Some((_, selections)) => selections.push(below),
                None => merged.push((field, vec![below])),
            }
        }
        let selected = |(field, below): (&'d Field, Vec<&'d SelectionSet>)| Self {
            key: field.response_key().node.as_str(),
            name: field.name.node.as_str(),
            below: Self::all(fragments, &below),
        };
        merged.into_iter().map(selected).collect()
    }
}

fn print_object(out: &mut String, selected: &[SelectedField<'_>], object: &dyn PrintedObject) {
    out.push('{');
    for (index, field) in selected.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print::string(out, field.key);
        out.push(':');
        if field.name == "__typename" {
            print::string(out, object.type_name());
        } else {
            print_value(out, field, &object.value(field.name));
        }
    }
    out.push('}');
}

fn print_value(out: &mut String, field: &SelectedField<'_>, value: &PrintedValue<'_>) {
    match value {
        PrintedValue::Null => out.push_str("null"),
        PrintedValue::Text(text) => print::string(out, text),
        PrintedValue::Time(time) => print::string(out, &time.0.to_string()),
        PrintedValue::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        PrintedValue::Number(number) => print_number(out, *number),
        PrintedValue::Numbers(numbers) => print_list(out, numbers, |out, number| print_number(out, *number)),
        PrintedValue::Object(object) => print_object(out, &field.below, *object),
    }
}

fn print_number(out: &mut String, number: i32) {
    // Writing to a text cannot fail.
    _ = write!(out, "{number}");
}

fn print_list<T>(out: &mut String, items: &[T], print: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print(out, item);
    }
    out.push(']');
}

impl<T: PrintedObject + ObjectType> OutputType for PrintedList<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if context.data_opt::<WithoutWriter>().is_some() {
            return resolve_list(context, field, &self.0, Some(self.0.len())).await;
        }
        let selected = SelectedField::all(&context.query_env.fragments, &[&context.item.node]);
        let mut out = String::with_capacity(2 + self.0.len() * 64);
        print_list(&mut out, &self.0, |out, object| print_object(out, &selected, object));
        Ok(print::raw(out))
    }
}
