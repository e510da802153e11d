//! The variables that an operation uses.

use std::collections::BTreeSet;

use async_graphql::parser::types::{Directive, ExecutableDocument, OperationDefinition, SelectionSet};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use super::fragments::{SelectionItem, items};

/// Returns the names of the variables that an operation uses. Of the arguments of fields at its root, only those count for
/// which `counts` is true.
pub(in crate::graphql) fn used<'d>(
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    counts: impl Fn(&str) -> bool,
) -> BTreeSet<&'d str> {
    let mut uses = VariableUses { document, used: BTreeSet::new(), spread: BTreeSet::new() };
    uses.directives(&operation.directives);
    uses.selection(&operation.selection_set.node, &counts);
    uses.used
}

struct VariableUses<'d> {
    document: &'d ExecutableDocument,
    used: BTreeSet<&'d str>,
    /// The fragments that were looked at.
    spread: BTreeSet<&'d str>,
}

impl<'d> VariableUses<'d> {
    fn selection(&mut self, set: &'d SelectionSet, counts: &dyn Fn(&str) -> bool) {
        for item in items(&self.document.fragments, set) {
            match item {
                SelectionItem::Field(field) => {
                    let field = &field.node;
                    let counted = field.arguments.iter().filter(|(name, _)| counts(name.node.as_str()));
                    counted.for_each(|(_, value)| self.value(&value.node));
                    self.directives(&field.directives);
                    self.selection(&field.selection_set.node, &|_| true);
                }
                SelectionItem::Fragment(fragment) => {
                    self.directives(fragment.directives);
                    let is_new = fragment.name.is_none_or(|name: &Name| self.spread.insert(name.as_str()));
                    if let Some(selection) = fragment.selection.filter(|_| is_new) {
                        self.selection(selection, counts);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'d [Positioned<Directive>]) {
        for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            self.value(&value.node);
        }
    }

    fn value(&mut self, value: &'d Value) {
        match value {
            Value::Variable(name) => {
                self.used.insert(name.as_str());
            }
            Value::List(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.value(field)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn variables_are_found_wherever_they_are_used() {
        for (query, expected) in [
            ("{ a }", &[][..]),
            ("query ($x: Int) { a(from: $x, filter: {y: [$y]}) { b(from: $z) } }", &["y", "z"]),
            ("query @d(x: $x) { a(from: {after: $y}) @d(x: $z) { b } }", &["x", "z"]),
            (
                "{ a(from: $x) { ...F ...F ... @include(if: $y) { b } } } fragment F on A { c(from: $x) @d(x: $z) }",
                &["x", "y", "z"],
            ),
        ] {
            let document = parse_query(query).unwrap();
            let operation = &document.operations.iter().next().unwrap().1.node;
            let used: Vec<_> = used(&document, operation, |argument| argument != "from").into_iter().collect();
            assert_eq!(used, expected, "{query}");
        }
    }
}
