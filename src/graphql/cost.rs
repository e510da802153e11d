//! What a document costs before it is looked at: fragments that spread fragments grow without bound when they are
//! expanded, so they are counted without expanding them.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// How many fields a document may have once its fragments are expanded.
pub(super) const MAX_FIELDS: usize = 5_000;

/// How many fields a document has once its fragments are expanded, each fragment looked at once. Cycles, which
/// validation refuses, count as endless.
pub(super) fn expanded_fields(document: &ExecutableDocument) -> usize {
    let mut known = HashMap::new();
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    operations.fold(0_usize, |sum, set| sum.saturating_add(fields(document, set, &mut known)))
}

/// What is known of a fragment: None while it is being counted.
type Known<'d> = HashMap<&'d str, Option<usize>>;

fn fields<'d>(document: &'d ExecutableDocument, set: &'d SelectionSet, known: &mut Known<'d>) -> usize {
    set.items.iter().fold(0_usize, |sum, item| {
        sum.saturating_add(match &item.node {
            Selection::Field(field) => 1_usize.saturating_add(fields(document, &field.node.selection_set.node, known)),
            Selection::InlineFragment(inline) => {
                1_usize.saturating_add(fields(document, &inline.node.selection_set.node, known))
            }
            Selection::FragmentSpread(spread) => {
                1_usize.saturating_add(fragment(document, spread.node.fragment_name.node.as_str(), known))
            }
        })
    })
}

fn fragment<'d>(document: &'d ExecutableDocument, name: &'d str, known: &mut Known<'d>) -> usize {
    match known.get(name) {
        Some(Some(count)) => return *count,
        Some(None) => return usize::MAX,
        None => {}
    }
    let Some(found) = document.fragments.get(name) else { return 0 };
    known.insert(name, None);
    let count = fields(document, &found.node.selection_set.node, known);
    known.insert(name, Some(count));
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(query: &str) -> usize {
        expanded_fields(&async_graphql::parser::parse_query(query).unwrap())
    }

    #[test]
    fn fragments_are_counted_as_often_as_they_are_spread() {
        assert_eq!(count("{ a b { c } }"), 3);
        assert_eq!(count("{ ...F ...F } fragment F on Q { a b }"), 6);
        assert_eq!(count("{ ...F } fragment F on Q { ...F }"), usize::MAX);
    }

    #[test]
    fn a_bomb_is_counted_at_once() {
        let bombs = (0..60).map(|level| format!(" fragment F{level} on Query {{ ...F{0} ...F{0} }}", level + 1));
        let query = format!("{{ ...F0 }}{} fragment F60 on Query {{ __typename }}", bombs.collect::<Vec<_>>().concat());
        assert!(count(&query) > MAX_FIELDS);
    }
}
