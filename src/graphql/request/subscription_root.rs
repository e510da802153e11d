//! The root of subscriptions: one field, which may stand in fragments. The executor does not look into fragments there, so
//! they are expanded before it sees the document.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::fragments::{FragmentUse, SelectionItem, items};
use super::refusal::RequestRefusal;

/// The type at the root.
const ROOT: &str = "Subscription";

/// Expands the fragments at the roots of subscriptions. Fragments must not spread each other in a circle.
///
/// # Errors
/// A subscription has no field at its root, several, or one with a condition.
pub(in crate::graphql) fn flatten(document: &mut ExecutableDocument) -> Result<(), RequestRefusal> {
    let mut flattened = Vec::new();
    for (name, operation) in document.operations.iter() {
        let set = &operation.node.selection_set.node;
        if operation.node.ty == OperationType::Subscription {
            let mut root = RootFields { document, fields: Vec::new(), spread: HashSet::new() };
            root.collect(set)?;
            flattened.push((name.cloned(), root.only_field()?, root.spread));
        }
    }
    let mut spread = HashSet::new();
    for (name, field, names) in flattened {
        let field = Positioned::new(Selection::Field(field.clone()), field.pos);
        if let Some(operation) = operation_mut(document, name.as_ref()) {
            operation.selection_set.node.items = vec![field];
        }
        spread.extend(names);
    }
    remove_unused(document, &spread);
    Ok(())
}

fn operation_mut<'d>(document: &'d mut ExecutableDocument, name: Option<&Name>) -> Option<&'d mut OperationDefinition> {
    use async_graphql::parser::types::DocumentOperations;
    match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&mut operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get_mut(name).map(|operation| &mut operation.node)
        }
        (DocumentOperations::Multiple(_), None) => None,
    }
}

/// The fields at the root of a subscription.
struct RootFields<'d> {
    document: &'d ExecutableDocument,
    fields: Vec<Positioned<Field>>,
    /// The fragments that were expanded.
    spread: HashSet<Name>,
}

impl RootFields<'_> {
    fn collect(&mut self, set: &SelectionSet) -> Result<(), RequestRefusal> {
        for item in items(&self.document.fragments, set) {
            match item {
                SelectionItem::Field(field) => {
                    unconditional(&field.node.directives)?;
                    self.add(field)?;
                }
                SelectionItem::Fragment(FragmentUse { name, condition, directives, selection }) => {
                    unconditional(directives)?;
                    let Some(selection) = selection else {
                        let name = name.map(Name::as_str).unwrap_or_default();
                        return Err(invalid(format!("there is no fragment {name:?}")));
                    };
                    on_root(condition.unwrap_or(ROOT))?;
                    // A fragment that is spread once more adds nothing.
                    if name.is_none_or(|name| self.spread.insert(name.clone())) {
                        self.collect(selection)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a field, or its selection to the equal field that is there already.
    fn add(&mut self, field: &Positioned<Field>) -> Result<(), RequestRefusal> {
        let key = |field: &Field| field.response_key().node.clone();
        let Some(known) = self.fields.first_mut() else {
            self.fields.push(field.clone());
            return Ok(());
        };
        let arguments = |field: &Field| -> Vec<_> {
            field.arguments.iter().map(|(name, value)| (name.node.clone(), value.node.clone())).collect()
        };
        let is_same = key(&known.node) == key(&field.node)
            && known.node.name.node == field.node.name.node
            && arguments(&known.node) == arguments(&field.node);
        if !is_same {
            return Err(not_one());
        }
        known.node.selection_set.node.items.extend(field.node.selection_set.node.items.iter().cloned());
        Ok(())
    }

    fn only_field(&mut self) -> Result<Positioned<Field>, RequestRefusal> {
        self.fields.pop().ok_or_else(not_one)
    }
}

fn not_one() -> RequestRefusal {
    invalid("a subscription has one field at its root".to_owned())
}

fn invalid(message: String) -> RequestRefusal {
    RequestRefusal::new("GRAPHQL_VALIDATION_FAILED", message)
}

/// Refuses conditions, with which there might be nothing to subscribe to.
fn unconditional(directives: &[Positioned<Directive>]) -> Result<(), RequestRefusal> {
    let condition = directives.iter().find(|one| matches!(one.node.name.node.as_str(), "skip" | "include"));
    match condition {
        Some(one) => Err(invalid(format!("@{} may not stand at the root of a subscription", one.node.name.node))),
        None => Ok(()),
    }
}

fn on_root(type_name: &str) -> Result<(), RequestRefusal> {
    if type_name == ROOT {
        return Ok(());
    }
    Err(invalid(format!("a fragment on {type_name:?} cannot stand at the root of a subscription")))
}

/// Removes those of the fragments that are not spread any more, since no valid document has unused fragments.
fn remove_unused(document: &mut ExecutableDocument, fragments: &HashSet<Name>) {
    if fragments.is_empty() {
        return;
    }
    let mut used = HashSet::new();
    let operations: Vec<_> =
        document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node).collect();
    for set in operations {
        find_used(document, set, &mut used);
    }
    document.fragments.retain(|name, _| used.contains(name) || !fragments.contains(name));
}

fn find_used(document: &ExecutableDocument, set: &SelectionSet, used: &mut HashSet<Name>) {
    for item in items(&document.fragments, set) {
        let inner = match item {
            SelectionItem::Field(field) => Some(&field.node.selection_set.node),
            SelectionItem::Fragment(fragment) => {
                let is_new = fragment.name.is_none_or(|name| used.insert(name.clone()));
                fragment.selection.filter(|_| is_new)
            }
        };
        if let Some(inner) = inner {
            find_used(document, inner, used);
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn flattened(query: &str) -> Result<ExecutableDocument, String> {
        let mut document = parse_query(query).unwrap();
        flatten(&mut document).map(|()| document).map_err(|refusal| refusal.message)
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
        for (query, inner, fragments) in [
            ("subscription { syncEvents { a } }", &["a"][..], 0),
            ("subscription { ... { ... on Subscription { syncEvents { a } } } }", &["a"], 0),
            (
                "subscription { ...R } fragment R on Subscription { syncEvents { a ...E } } fragment E on E { b }",
                &["a", "...E"],
                1,
            ),
            (
                "subscription { ...R ...R } fragment R on Subscription { ...S } fragment S on Subscription { syncEvents { a } }",
                &["a"],
                0,
            ),
            (
                "subscription { syncEvents(x: 1) { a } ...R } fragment R on Subscription { syncEvents(x: 1) { b } }",
                &["a", "b"],
                0,
            ),
            ("subscription { syncEvents { a } } fragment Unused on E { b }", &["a"], 1),
        ] {
            let document = flattened(query).unwrap();
            let operation = &document.operations.iter().next().unwrap().1.node;
            let [root] = &operation.selection_set.node.items[..] else { panic!("{query}") };
            let Selection::Field(root) = &root.node else { panic!("{query}") };
            assert_eq!(root.node.name.node, "syncEvents", "{query}");
            assert_eq!(fields(&root.node.selection_set.node), inner, "{query}");
            assert_eq!(document.fragments.len(), fragments, "{query}");
        }
    }

    #[test]
    fn a_fragment_that_is_spread_elsewhere_too_stays() {
        let query = "subscription A { ...R } subscription B { ... { ...R } } query C { ...R } \
                     fragment R on Subscription { syncEvents { a } }";
        assert_eq!(flattened(query).unwrap().fragments.len(), 1, "validation has something to say of C");
    }

    #[test]
    fn there_is_one_field_and_nothing_on_conditions() {
        for (query, says) in [
            ("subscription { a b }", "one field at its root"),
            ("subscription { a: syncEvents { a } b: syncEvents { a } }", "one field"),
            ("subscription { syncEvents(x: 1) { a } syncEvents(x: 2) { a } }", "one field"),
            ("subscription { a ...R } fragment R on Subscription { b }", "one field"),
            ("subscription { ...Nowhere }", "no fragment \"Nowhere\""),
            ("subscription { ... on Query { a } }", "on \"Query\""),
            ("subscription { ...R } fragment R on Query { b }", "on \"Query\""),
            ("subscription ($x: Boolean!) { a @include(if: $x) }", "@include"),
            ("subscription ($x: Boolean!) { ... @skip(if: $x) { a } }", "@skip"),
            ("query Q { a } subscription S { a b }", "one field"),
        ] {
            let refused = flattened(query).unwrap_err();
            assert!(refused.contains(says), "{query}: {refused}");
        }
    }
}
