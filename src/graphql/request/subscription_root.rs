//! The root of subscriptions: one field, which may stand in fragments. The executor does not look into fragments there, so
//! they are expanded before it sees the document.

use std::collections::HashSet;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::fragments::{SelectionItem, items};

/// Expands the fragments at the roots of a valid document's subscriptions.
pub(in crate::graphql) fn flatten(document: &mut ExecutableDocument) {
    let mut flattened = Vec::new();
    for (name, operation) in document.operations.iter() {
        if operation.node.ty == OperationType::Subscription {
            let mut root = RootField { document, field: None, spread: HashSet::new() };
            root.collect(&operation.node.selection_set.node);
            flattened.extend(root.field.map(|field| (name.cloned(), field)));
        }
    }
    for (name, field) in flattened {
        let field = Positioned::new(Selection::Field(field.clone()), field.pos);
        if let Some(operation) = operation_mut(document, name.as_ref()) {
            operation.selection_set.node.items = vec![field];
        }
    }
}

fn operation_mut<'d>(document: &'d mut ExecutableDocument, name: Option<&Name>) -> Option<&'d mut OperationDefinition> {
    match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&mut operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get_mut(name).map(|operation| &mut operation.node)
        }
        (DocumentOperations::Multiple(_), None) => None,
    }
}

/// The field at the root of a subscription.
struct RootField<'d> {
    document: &'d ExecutableDocument,
    field: Option<Positioned<Field>>,
    /// The fragments that were expanded.
    spread: HashSet<Name>,
}

impl RootField<'_> {
    fn collect(&mut self, set: &SelectionSet) {
        for item in items(&self.document.fragments, set) {
            match item {
                SelectionItem::Field(field) => self.add(field),
                SelectionItem::Fragment(fragment) => {
                    // A fragment that is spread once more adds nothing.
                    let is_new = fragment.name.is_none_or(|name| self.spread.insert(name.clone()));
                    if let Some(selection) = fragment.selection.filter(|_| is_new) {
                        self.collect(selection);
                    }
                }
            }
        }
    }

    /// Takes a field, or adds its selection to that of the equal field that is there already.
    fn add(&mut self, field: &Positioned<Field>) {
        match &mut self.field {
            None => self.field = Some(field.clone()),
            Some(known) => {
                let more = field.node.selection_set.node.items.iter().cloned();
                known.node.selection_set.node.items.extend(more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::request::executable::executable;
    use crate::language::parser::parse;

    fn flattened(query: &str) -> ExecutableDocument {
        let mut document = executable(&parse(query, 1_000).unwrap());
        flatten(&mut document);
        document
    }

    fn fields(set: &SelectionSet) -> Vec<String> {
        let item = |item: &Positioned<Selection>| match &item.node {
            Selection::Field(field) => field.node.name.node.to_string(),
            Selection::FragmentSpread(spread) => format!("...{}", spread.node.fragment_name.node),
            Selection::InlineFragment(_) => "...".to_owned(),
        };
        set.items.iter().map(item).collect()
    }

    #[test]
    fn fragments_at_the_root_are_taken_apart() {
        for (query, inner) in [
            ("subscription { syncEvents { a } }", &["a"][..]),
            ("subscription { ... { ... on Subscription { syncEvents { a } } } }", &["a"]),
            (
                "subscription { ...R } fragment R on Subscription { syncEvents { a ...E } } fragment E on E { b }",
                &["a", "...E"],
            ),
            (
                "subscription { ...R ...R } fragment R on Subscription { ...S } fragment S on Subscription { syncEvents { a } }",
                &["a"],
            ),
            (
                "subscription { syncEvents(x: 1) { a } ...R } fragment R on Subscription { syncEvents(x: 1) { b } }",
                &["a", "b"],
            ),
            ("subscription { syncEvents { a } } fragment Unused on E { b }", &["a"]),
        ] {
            let document = flattened(query);
            let operation = &document.operations.iter().next().unwrap().1.node;
            let [root] = &operation.selection_set.node.items[..] else { panic!("{query}") };
            let Selection::Field(root) = &root.node else { panic!("{query}") };
            assert_eq!(root.node.name.node, "syncEvents", "{query}");
            assert_eq!(fields(&root.node.selection_set.node), inner, "{query}");
        }
    }
}
