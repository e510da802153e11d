//! The size of a document once its fragments are expanded, and fragments that spread each other in a circle.

use std::collections::HashMap;

use super::super::document::{Document, Item, SelectionSet};
use super::super::fault::{DocumentFault, Location};
use super::context::Rules;

/// Largest depth of nested fields and fragments together.
pub(crate) const MAX_NESTING: usize = 64;

/// Checks the size of a document.
///
/// # Errors
/// The document exceeds a limit, or fragments spread each other in a circle.
pub(super) fn check(rules: &Rules<'_>, document: &Document<'_>, most_fields: usize) -> Result<(), DocumentFault> {
    let mut sizes = ExpandedSizes { rules, most_fields, fragments: HashMap::new() };
    let mut total = 0_usize;
    for operation in &document.operations {
        let size = sizes.selection(&operation.selection, 0)?;
        total = total.saturating_add(size.fields);
        sizes.limit(total, operation.at)?;
    }
    for fragment in &document.fragments {
        sizes.fragment(fragment.name.text, fragment.at, 0)?;
    }
    Ok(())
}

struct ExpandedSizes<'r, 'd> {
    rules: &'r Rules<'d>,
    most_fields: usize,
    /// The sizes of the fragments that were met; None while a fragment is being looked at.
    fragments: HashMap<&'d str, Option<ExpandedSize>>,
}

/// The size of a part of a document, its fragments expanded.
#[derive(Clone, Copy, Default)]
struct ExpandedSize {
    /// The number of fields and fragments.
    fields: usize,
    /// The depth of nested fields and fragments.
    nesting: usize,
}

impl<'d> ExpandedSizes<'_, 'd> {
    fn selection(&mut self, selection: &'d SelectionSet<'d>, depth: usize) -> Result<ExpandedSize, DocumentFault> {
        if depth > MAX_NESTING {
            return Err(too_deep(selection.at));
        }
        let mut size = ExpandedSize::default();
        for item in &selection.items {
            let inner = match item {
                Item::Field(field) => self.selection(&field.selection, depth + 1)?,
                Item::Inline(inline) => self.selection(&inline.selection, depth + 1)?,
                Item::Spread(spread) => self.fragment(spread.name.text, spread.at, depth + 1)?,
            };
            size.fields = size.fields.saturating_add(inner.fields).saturating_add(1);
            size.nesting = size.nesting.max(inner.nesting + 1);
            if depth + size.nesting > MAX_NESTING {
                return Err(too_deep(selection.at));
            }
            self.limit(size.fields, selection.at)?;
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &'d str, at: Location, depth: usize) -> Result<ExpandedSize, DocumentFault> {
        let Some(fragment) = self.rules.fragments.get(name).copied() else { return Ok(ExpandedSize::default()) };
        match self.fragments.get(fragment.name.text) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(DocumentFault::invalid([at], format!("the fragment {name:?} spreads itself"))),
            None => {}
        }
        self.fragments.insert(fragment.name.text, None);
        let size = self.selection(&fragment.selection, depth)?;
        self.fragments.insert(fragment.name.text, Some(size));
        Ok(size)
    }

    fn limit(&self, fields: usize, at: Location) -> Result<(), DocumentFault> {
        if fields <= self.most_fields {
            return Ok(());
        }
        let message = format!(
            "the document has more than {} fields once its fragments are expanded (limits.document_fields)",
            self.most_fields
        );
        Err(DocumentFault::too_large(at, self.most_fields, message))
    }
}

fn too_deep(at: Location) -> DocumentFault {
    let message = format!("the document's fields and fragments are nested deeper than {MAX_NESTING}");
    DocumentFault::too_large(at, MAX_NESTING, message)
}
