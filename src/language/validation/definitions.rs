//! The names of operations and fragments.

use std::collections::HashMap;

use super::super::document::{Document, Name};
use super::context::Rules;

/// Checks that names of operations and fragments are unique, and that an operation without a name is alone.
pub(super) fn check<'d>(rules: &mut Rules<'d>, document: &'d Document<'d>) {
    let operations = document.operations.iter().filter_map(|operation| operation.name);
    unique(rules, operations, |name| format!("two operations are called {name:?}"));
    if document.operations.len() > 1 {
        for operation in document.operations.iter().filter(|operation| operation.name.is_none()) {
            rules.report([operation.at], || {
                "an operation without a name must be the only one of its document".to_owned()
            });
        }
    }
    let fragments = document.fragments.iter().map(|fragment| fragment.name);
    unique(rules, fragments, |name| format!("two fragments are called {name:?}"));
}

/// Checks that each fragment is used by an operation.
pub(super) fn check_used<'d>(rules: &mut Rules<'d>, document: &'d Document<'d>, used: &[&str]) {
    for fragment in document.fragments.iter().filter(|fragment| !used.contains(&fragment.name.text)) {
        rules.report([fragment.at], || format!("the fragment {:?} is not used", fragment.name.text));
    }
}

/// Reports each name that is there twice.
pub(super) fn unique<'d>(
    rules: &mut Rules<'d>,
    names: impl Iterator<Item = Name<'d>>,
    message: impl Fn(&str) -> String,
) {
    let mut known = HashMap::new();
    for name in names {
        if let Some(first) = known.insert(name.text, name.at) {
            rules.report([first, name.at], || message(name.text));
        }
    }
}
