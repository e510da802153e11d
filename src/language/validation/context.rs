//! State that all rules share: the schema, the fragments of the document, and the faults that were found.

use std::collections::HashMap;

use super::super::document::{Document, Fragment};
use super::super::fault::{DocumentFault, Location};
use super::super::types::{SchemaTypes, TypeReference};

/// Largest number of faults of a document. An answer has room for as many.
const MAX_FAULTS: usize = 20;

/// The schema and the fragments by which a document is checked, and its faults.
pub(super) struct Rules<'d> {
    pub(super) types: &'d SchemaTypes,
    pub(super) fragments: HashMap<&'d str, &'d Fragment<'d>>,
    pub(super) faults: Vec<DocumentFault>,
}

impl<'d> Rules<'d> {
    pub(super) fn new(types: &'d SchemaTypes, document: &'d Document<'d>) -> Self {
        let fragments = document.fragments.iter().map(|fragment| (fragment.name.text, fragment)).collect();
        Self { types, fragments, faults: Vec::new() }
    }

    /// Reports a fault. When there are many, more of them are dropped.
    pub(super) fn report(&mut self, locations: impl Into<Vec<Location>>, message: impl FnOnce() -> String) {
        if !self.is_full() {
            self.faults.push(DocumentFault::invalid(locations, message()));
        }
    }

    /// True if no more faults are reported.
    pub(super) fn is_full(&self) -> bool {
        self.faults.len() >= MAX_FAULTS
    }
}

/// Names that an operation or a fragment uses, without regard to the fragments that it spreads.
#[derive(Default)]
pub(super) struct PartUses<'d> {
    pub(super) usages: Vec<VariableUsage<'d>>,
    /// The names of the fragments that it spreads.
    pub(super) spreads: Vec<&'d str>,
}

/// The use of a variable.
pub(super) struct VariableUsage<'d> {
    pub(super) name: &'d str,
    pub(super) at: Location,
    /// None if the place is unknown, or within a scalar's value.
    pub(super) place: Option<ValuePlace<'d>>,
}

/// A place where a value may stand.
#[derive(Clone, Copy)]
pub(super) struct ValuePlace<'d> {
    pub(super) of: &'d TypeReference,
    pub(super) has_default: bool,
    /// The name of the input object around the place, if exactly one of its fields must be given.
    pub(super) one_of: Option<&'d str>,
}
