//! The documents that clients have registered, bounded in bytes: those that were asked for last stay.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one costs besides its text: its hash, twice, and its places.
const OVERHEAD: usize = 256;

/// Documents by their hashes.
pub(super) struct Persisted {
    most_bytes: usize,
    bytes: usize,
    /// Each with the time when it was last asked for.
    documents: HashMap<String, (Arc<str>, u64)>,
    by_time: BTreeMap<u64, String>,
    time: u64,
}

impl Persisted {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: 0, documents: HashMap::new(), by_time: BTreeMap::new(), time: 0 }
    }

    pub(super) fn get(&mut self, hash: &str) -> Option<Arc<str>> {
        let (text, last) = self.documents.get_mut(hash)?;
        self.time += 1;
        if let Some(hash) = self.by_time.remove(last) {
            self.by_time.insert(self.time, hash);
        }
        *last = self.time;
        Some(Arc::clone(text))
    }

    pub(super) fn keep(&mut self, hash: String, text: &Arc<str>) {
        let size = text.len() + OVERHEAD;
        if size > self.most_bytes || self.get(&hash).is_some() {
            return;
        }
        while self.bytes + size > self.most_bytes {
            let Some((_, oldest)) = self.by_time.pop_first() else { break };
            if let Some((text, _)) = self.documents.remove(&oldest) {
                self.bytes -= text.len() + OVERHEAD;
            }
        }
        self.bytes += size;
        self.time += 1;
        self.by_time.insert(self.time, hash.clone());
        self.documents.insert(hash, (Arc::clone(text), self.time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_nobody_asked_for_longest_goes() {
        let text: Arc<str> = "x".repeat(44).into();
        let mut persisted = Persisted::new(3 * (text.len() + OVERHEAD));
        for hash in ["a", "b", "c", "a"] {
            persisted.keep(hash.to_owned(), &text);
        }
        assert!(persisted.get("b").is_some());
        persisted.keep("d".to_owned(), &text);
        let known = ["a", "b", "c", "d"].map(|hash| persisted.get(hash).is_some());
        assert_eq!(known, [true, true, false, true], "`a` was kept again, `b` asked for");
        persisted.keep("large".to_owned(), &"x".repeat(10_000).into());
        assert!(persisted.get("large").is_none() && persisted.get("a").is_some());
        for number in 0..1_000 {
            persisted.keep(number.to_string(), &text);
        }
        assert_eq!((persisted.bytes, persisted.documents.len(), persisted.by_time.len()), (900, 3, 3));
    }
}
