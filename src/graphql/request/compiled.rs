//! Caches of parsed documents and of valid requests, since most requests come again with other values.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, SelectionSet};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::fragments::fields;
use crate::lru_cache::LruCache;

/// Size of each of the two caches, in bytes.
const BYTES: usize = 8 << 20;

/// Approximate size of a parsed document, in bytes for each byte of its text.
const PARSED: usize = 16;

/// A parsed document.
pub(in crate::graphql) struct Compiled {
    /// A number that no other parsed document has or had.
    pub(in crate::graphql) number: u64,
    pub(in crate::graphql) document: ExecutableDocument,
    /// True if the document selects some field with events twice, so that the answers have to be merged.
    pub(in crate::graphql) merges_events: bool,
}

/// The two caches. Both drop what was least recently used.
pub(in crate::graphql) struct CompiledDocuments {
    documents: Mutex<LruCache<Arc<str>, Arc<Compiled>>>,
    valid: Mutex<LruCache<String, ()>>,
    number: AtomicU64,
}

impl CompiledDocuments {
    pub(in crate::graphql) fn new() -> Self {
        let (documents, valid) = (Mutex::new(LruCache::new(BYTES)), Mutex::new(LruCache::new(BYTES)));
        Self { documents, valid, number: AtomicU64::new(0) }
    }

    pub(in crate::graphql) fn find(&self, text: &str) -> Option<Arc<Compiled>> {
        self.documents.lock().get(text)
    }

    /// Caches a document whose cost was checked, since only such a document has a bounded size.
    pub(in crate::graphql) fn keep(&self, text: &Arc<str>, document: ExecutableDocument) -> Arc<Compiled> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let merges_events = merges_events(&document);
        let compiled = Arc::new(Compiled { number, document, merges_events });
        let mut documents = self.documents.lock();
        documents.insert(Arc::clone(text), Arc::clone(&compiled), text.len() * PARSED);
        compiled
    }

    /// True if a request with this key was found valid before.
    pub(in crate::graphql) fn is_valid(&self, cache_key: &str) -> bool {
        self.valid.lock().get(cache_key).is_some()
    }

    /// Remembers that requests with this key are valid.
    pub(in crate::graphql) fn keep_valid(&self, cache_key: String) {
        let bytes = cache_key.len();
        self.valid.lock().insert(cache_key, (), bytes);
    }
}

/// Types for which validation accepts every text.
const TEXTS: [&str; 7] = ["String", "ID", "DateTime", "Position", "UUID", "URL", "JSON"];

impl Compiled {
    /// The cache key of a request with this document. Requests with equal keys are both valid or both invalid: the key has
    /// the operation and the variables' values, except where every text is valid.
    pub(in crate::graphql) fn cache_key(
        &self,
        operation: &OperationDefinition,
        name: Option<&str>,
        variables: &Map<String, Value>,
    ) -> String {
        let mut cache_key = format!("{}\n{}\n", self.number, name.unwrap_or_default());
        for (variable, value) in variables {
            let definition = operation.variable_definitions.iter().find(|one| one.node.name.node == variable.as_str());
            let base = definition.map(|one| one.node.var_type.node.to_string());
            let base = base.as_deref().map(|base| base.trim_matches(['[', ']', '!']));
            let is_any_text = value.is_string() && base.is_some_and(|base| TEXTS.contains(&base));
            // Names are JSON texts, too, so that no request can be made to have the key of another one.
            _ = write!(cache_key, "{}:", Value::from(variable.as_str()));
            _ = if is_any_text { writeln!(cache_key, "text") } else { writeln!(cache_key, "{value}") };
        }
        cache_key
    }
}

/// Names of fields with events.
const EVENTS: [&str; 5] = ["syncEvents", "syncEvent", "nodes", "edges", "node"];

/// True if a document selects some field with events twice under one key.
fn merges_events(document: &ExecutableDocument) -> bool {
    let operations = document.operations.iter();
    operations.into_iter().any(|(_, operation)| merge(document, &[&operation.node.selection_set.node]))
}

/// True if these selections of one object select some field with events twice under one key.
fn merge<'d>(document: &'d ExecutableDocument, selections: &[&'d SelectionSet]) -> bool {
    let mut same_key: HashMap<&str, Vec<&Field>> = HashMap::new();
    for selection in selections {
        for field in fields(&document.fragments, selection, |_| true) {
            same_key.entry(field.response_key().node.as_str()).or_default().push(field);
        }
    }
    same_key.into_values().any(|same| {
        let inner: Vec<_> = same.iter().map(|field| &field.selection_set.node).collect();
        (same.len() > 1 && same.iter().any(|field| has_events(document, field))) || merge(document, &inner)
    })
}

fn has_events(document: &ExecutableDocument, field: &Field) -> bool {
    let mut inner = fields(&document.fragments, &field.selection_set.node, |_| true);
    EVENTS.contains(&field.name.node.as_str()) || inner.any(|inner| has_events(document, inner))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_events_that_meet_are_found() {
        for (query, meets) in [
            ("{ syncEvents { nodes { uuid uuid admin { oktaId } admin { type } } } }", false),
            ("{ syncEvents { nodes { uuid } nodes { org } } }", true),
            ("{ syncEvents { nodes { uuid } pageInfo { endCursor } ...F } } fragment F on C { nodes { org } }", true),
            ("{ syncEvents { head } ...F } fragment F on Query { syncEvents { nodes { org } } }", true),
            ("{ a: syncEvents { nodes { uuid } } b: syncEvents { nodes { org } } }", false),
            ("{ syncEvent(uuid: 1) { uuid } ... { syncEvent(uuid: 1) { org } } }", true),
            ("{ application { syncEvents { nodes { uuid } } } application { name } }", true),
        ] {
            assert_eq!(merges_events(&parse_query(query).unwrap()), meets, "{query}");
        }
    }

    #[test]
    fn requests_that_differ_in_texts_have_the_same_cache_key() {
        let documents = CompiledDocuments::new();
        let text = "query ($after: String, $first: Int, $order: Order, $ids: [ID!]) { a }";
        let compiled = documents.keep(&text.into(), parse_query(text).unwrap());
        let operation = &compiled.document.operations.iter().next().unwrap().1.node;
        let cache_key = |variables: Value| compiled.cache_key(operation, None, variables.as_object().unwrap());
        let same = |one: Value, other: Value| cache_key(one) == cache_key(other);
        assert!(same(json!({"after": "x"}), json!({"after": "y\n\"first\":1"})));
        for (one, other) in [
            (json!({"after": "x"}), json!({"after": null})),
            (json!({"after": "x"}), json!({})),
            (json!({"after": "x"}), json!({"first": "x"})),
            (json!({"first": 1}), json!({"first": 2})),
            (json!({"order": "A"}), json!({"order": "B"})),
            (json!({"ids": ["a"]}), json!({"ids": [1]})),
            (json!({"unknown": "a"}), json!({"unknown": "b"})),
        ] {
            assert!(!same(one.clone(), other.clone()), "{one} {other}");
        }
        let again = documents.find(text).unwrap();
        assert!(Arc::ptr_eq(&again, &compiled));
    }
}
