//! The one walk over a document's selections: fields, inline fragments, and fragments that are spread by their name.

use std::collections::HashMap;

use async_graphql::parser::types::{Directive, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

/// The fragments of a document, by their names.
pub(in crate::graphql) type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// An item of a selection.
pub(super) enum SelectionItem<'d> {
    Field(&'d Positioned<Field>),
    Fragment(FragmentUse<'d>),
}

/// A fragment at a place of a document where it is used: an inline one, or one that is spread by its name.
pub(super) struct FragmentUse<'d> {
    /// The fragment's name; None for an inline fragment.
    pub(super) name: Option<&'d Name>,
    /// The type to which the fragment applies; None for the type around it.
    pub(super) condition: Option<&'d str>,
    pub(super) directives: &'d [Positioned<Directive>],
    /// The fragment's selection; None if the document does not define the fragment.
    pub(super) selection: Option<&'d SelectionSet>,
}

impl<'d> SelectionItem<'d> {
    fn new(fragments: &'d Fragments, item: &'d Selection) -> Self {
        let (name, definition, inner, directives) = match item {
            Selection::Field(field) => return Self::Field(field),
            Selection::InlineFragment(inline) => {
                let inline = &inline.node;
                (None, inline.type_condition.as_ref(), Some(&inline.selection_set), &inline.directives)
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                let fragment = fragments.get(name).map(|fragment| &fragment.node);
                let condition = fragment.map(|fragment| &fragment.type_condition);
                (Some(name), condition, fragment.map(|fragment| &fragment.selection_set), &spread.node.directives)
            }
        };
        Self::Fragment(FragmentUse {
            name,
            condition: definition.map(|condition| condition.node.on.node.as_str()),
            directives,
            selection: inner.map(|set| &set.node),
        })
    }
}

/// Returns the items of a selection. Its fragments are found by their names, but not expanded.
pub(super) fn items<'d>(
    fragments: &'d Fragments,
    selection: &'d SelectionSet,
) -> impl Iterator<Item = SelectionItem<'d>> {
    selection.items.iter().map(|item| SelectionItem::new(fragments, &item.node))
}

/// Returns the fields of a selection, with those of its fragments in their place. A fragment with a condition is left out
/// if the condition does not apply. Fragments must not spread each other in a circle.
pub(in crate::graphql) fn fields<'d>(
    fragments: &'d Fragments,
    selection: &'d SelectionSet,
    applies: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'d Field> {
    let mut open = vec![items(fragments, selection)];
    std::iter::from_fn(move || {
        loop {
            match open.last_mut()?.next() {
                Some(SelectionItem::Field(field)) => return Some(&field.node),
                Some(SelectionItem::Fragment(fragment)) if fragment.condition.is_none_or(&applies) => {
                    open.extend(fragment.selection.map(|selection| items(fragments, selection)));
                }
                Some(SelectionItem::Fragment(_)) => {}
                None => drop(open.pop()),
            }
        }
    })
}
