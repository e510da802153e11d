//! The rules of the specification, section 5, for documents.
//!
//! Fragments that spread fragments grow exponentially when they are expanded. So each definition is looked at once, and what
//! an operation uses is put together of what its fragments use. Only the rule about fields that are merged expands
//! fragments, after their size was checked.

mod context;
mod suggestions;

mod sizes;

mod definitions;
mod literals;
mod merging;
mod root;
mod selections;
mod usages;

use std::collections::HashMap;

use super::document::Document;
use super::fault::DocumentFault;
use super::types::SchemaTypes;
use context::{PartUses, Rules};
use selections::SelectionWalk;
pub(crate) use sizes::MAX_NESTING;

/// Holds a document against the types of a schema. `most_fields` limits the number of its fields and fragments, with the
/// fragments expanded. A valid document has no faults.
pub(crate) fn validate<'d>(
    types: &'d SchemaTypes,
    document: &'d Document<'d>,
    most_fields: usize,
) -> Vec<DocumentFault> {
    let mut rules = Rules::new(types, document);
    definitions::check(&mut rules, document);
    if let Err(fault) = sizes::check(&rules, document, most_fields) {
        return vec![fault];
    }
    let mut parts: HashMap<&str, PartUses<'_>> = HashMap::new();
    for fragment in &document.fragments {
        parts.insert(fragment.name.text, SelectionWalk::of_fragment(&mut rules, fragment));
    }
    let mut used = Vec::new();
    for operation in &document.operations {
        let part = SelectionWalk::of_operation(&mut rules, operation);
        used.extend(usages::check(&mut rules, operation, &part, &parts));
        root::check(&mut rules, operation);
    }
    definitions::check_used(&mut rules, document, &used);
    // The rule takes for granted that every field and every fragment is known.
    if rules.faults.is_empty() {
        for operation in &document.operations {
            merging::check(&mut rules, operation);
        }
    }
    rules.faults
}

#[cfg(test)]
mod tests;
