//! The cache of valid documents, since most requests come again with other values.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::parser::types::{ExecutableDocument, Field, SelectionSet};
use parking_lot::Mutex;

use super::executable::executable;
use super::fragments::fields;
use super::subscription_root;
use crate::language::document::Document;
use crate::language::variables::OperationVariable;
use crate::lru_cache::LruCache;

/// Size of the cache, in bytes.
const BYTES: usize = 8 << 20;

/// Approximate size of a parsed document, in bytes for each byte of its text.
const PARSED: usize = 16;

/// A valid document.
pub(in crate::graphql) struct Compiled {
    /// A number that no other document has or had.
    pub(in crate::graphql) number: u64,
    pub(in crate::graphql) document: ExecutableDocument,
    /// True if the document selects some printed list twice, so that the answers have to be merged.
    pub(in crate::graphql) merges_printed: bool,
    /// The variables of each operation, by its name.
    variables: HashMap<Option<String>, Vec<OperationVariable>>,
}

impl Compiled {
    fn new(number: u64, document: &Document<'_>) -> Self {
        let operations = document.operations.iter();
        let variables = operations.map(|one| (one.name.map(|name| name.text.to_owned()), OperationVariable::of(one)));
        let variables = variables.collect();
        let mut document = executable(document);
        subscription_root::flatten(&mut document);
        Self { number, merges_printed: merges_printed(&document), document, variables }
    }

    /// The variables of the operation of this name, or of the only one.
    pub(in crate::graphql) fn variables(&self, name: Option<&str>) -> &[OperationVariable] {
        let found = match name {
            None => self.variables.values().next(),
            Some(name) => self.variables.get(&Some(name.to_owned())),
        };
        found.map(Vec::as_slice).unwrap_or_default()
    }
}

/// The cache, which drops what was least recently used.
pub(in crate::graphql) struct CompiledDocuments {
    documents: Mutex<LruCache<Arc<str>, Arc<Compiled>>>,
    number: AtomicU64,
}

impl CompiledDocuments {
    pub(in crate::graphql) fn new() -> Self {
        Self { documents: Mutex::new(LruCache::new(BYTES)), number: AtomicU64::new(0) }
    }

    pub(in crate::graphql) fn find(&self, text: &str) -> Option<Arc<Compiled>> {
        self.documents.lock().get(text)
    }

    /// Caches a valid document, since only such a document has a bounded size.
    pub(in crate::graphql) fn keep(&self, text: &Arc<str>, document: &Document<'_>) -> Arc<Compiled> {
        let compiled = Arc::new(Compiled::new(self.number.fetch_add(1, Ordering::Relaxed), document));
        let mut documents = self.documents.lock();
        documents.insert(Arc::clone(text), Arc::clone(&compiled), text.len() * PARSED);
        compiled
    }
}

/// Names of fields whose values are printed at once.
const PRINTED: [&str; 8] = ["syncEvents", "syncEvent", "events", "nodes", "edges", "node", "buckets", "series"];

/// True if a document selects some printed field twice under one key.
fn merges_printed(document: &ExecutableDocument) -> bool {
    let operations = document.operations.iter();
    operations.into_iter().any(|(_, operation)| merge(document, &[&operation.node.selection_set.node]))
}

/// True if these selections of one object select some printed field twice under one key.
fn merge<'d>(document: &'d ExecutableDocument, selections: &[&'d SelectionSet]) -> bool {
    let mut same_key: HashMap<&str, Vec<&Field>> = HashMap::new();
    for selection in selections {
        for field in fields(&document.fragments, selection, |_| true) {
            same_key.entry(field.response_key().node.as_str()).or_default().push(field);
        }
    }
    same_key.into_values().any(|same| {
        let inner: Vec<_> = same.iter().map(|field| &field.selection_set.node).collect();
        (same.len() > 1 && same.iter().any(|field| is_printed(document, field))) || merge(document, &inner)
    })
}

fn is_printed(document: &ExecutableDocument, field: &Field) -> bool {
    let mut inner = fields(&document.fragments, &field.selection_set.node, |_| true);
    PRINTED.contains(&field.name.node.as_str()) || inner.any(|inner| is_printed(document, inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::parser::parse;

    #[test]
    fn printed_lists_that_meet_are_found() {
        for (query, meets) in [
            ("{ syncEvents { nodes { uuid uuid admin { oktaId } admin { type } } } }", false),
            ("{ syncEvents { nodes { uuid } nodes { org } } }", true),
            ("{ syncEvents { nodes { uuid } pageInfo { endCursor } ...F } } fragment F on C { nodes { org } }", true),
            ("{ syncEvents { head } ...F } fragment F on Query { syncEvents { nodes { org } } }", true),
            ("{ a: syncEvents { nodes { uuid } } b: syncEvents { nodes { org } } }", false),
            ("{ syncEvent(uuid: 1) { uuid } ... { syncEvent(uuid: 1) { org } } }", true),
            ("{ application { syncEvents { nodes { uuid } } } application { name } }", true),
            ("{ e: syncEvents { histogram { buckets { from } } histogram { buckets { until } } } }", true),
            ("{ syncEvents { top(by: OUTCOME) { nodes { key } } top(by: OUTCOME) { totalCount } } }", true),
        ] {
            let compiled = Compiled::new(0, &parse(query, 1_000).unwrap());
            assert_eq!(compiled.merges_printed, meets, "{query}");
        }
    }
}
