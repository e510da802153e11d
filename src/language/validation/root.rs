//! The root of a subscription: one field, without conditions.

use std::collections::HashSet;

use super::super::document::{Directive, DocumentOperation, Item, Name, SelectionSet};
use super::super::types::RootKind;
use super::context::Rules;

/// Checks that an operation that is a subscription has one field at its root, which it selects without conditions.
pub(super) fn check<'d>(rules: &mut Rules<'d>, operation: &'d DocumentOperation<'d>) {
    if operation.kind != RootKind::Subscription {
        return;
    }
    let mut root = SubscriptionFields::default();
    root.collect(rules, &operation.selection);
    let [first, others @ ..] = &root.fields[..] else { return };
    if let Some(other) = others.iter().find(|(key, _)| key.text != first.0.text) {
        rules.report([first.0.at, other.0.at], || "a subscription has one field at its root".to_owned());
    }
    if let Some((_, name)) = root.fields.iter().find(|(_, name)| name.text.starts_with("__")) {
        rules.report([name.at], || format!("there is nothing to subscribe to at {:?}", name.text));
    }
}

/// The fields at the root of a subscription.
#[derive(Default)]
struct SubscriptionFields<'d> {
    /// The key in the answer and the name of each field.
    fields: Vec<(Name<'d>, Name<'d>)>,
    spread: HashSet<&'d str>,
}

impl<'d> SubscriptionFields<'d> {
    fn collect(&mut self, rules: &mut Rules<'d>, selection: &'d SelectionSet<'d>) {
        for item in &selection.items {
            let (directives, inner) = match item {
                Item::Field(field) => {
                    self.fields.push((field.response_key(), field.name));
                    (&field.directives, None)
                }
                Item::Inline(inline) => (&inline.directives, Some(&inline.selection)),
                Item::Spread(spread) => {
                    let is_new = self.spread.insert(spread.name.text);
                    let fragment = rules.fragments.get(spread.name.text).filter(|_| is_new);
                    (&spread.directives, fragment.map(|fragment| &fragment.selection))
                }
            };
            unconditional(rules, directives);
            if let Some(inner) = inner {
                self.collect(rules, inner);
            }
        }
    }
}

/// Refuses conditions, with which there might be nothing to subscribe to.
fn unconditional<'d>(rules: &mut Rules<'d>, directives: &'d [Directive<'d>]) {
    for one in directives.iter().filter(|one| matches!(one.name.text, "skip" | "include")) {
        rules.report([one.at], || format!("@{} may not stand at the root of a subscription", one.name.text));
    }
}
