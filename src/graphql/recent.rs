//! Things that were asked for lately, bounded in bytes: those that nobody asked for longest go.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What one costs besides what its owner says: its key, twice, and its places.
const OVERHEAD: usize = 256;

/// Values by keys.
pub(super) struct Recent<K, V> {
    most_bytes: usize,
    bytes: usize,
    values: HashMap<K, Entry<V>>,
    by_time: BTreeMap<u64, K>,
    time: u64,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    /// When it was last asked for.
    time: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: 0, values: HashMap::new(), by_time: BTreeMap::new(), time: 0 }
    }

    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.values.get_mut(key)?;
        self.time += 1;
        if let Some(key) = self.by_time.remove(&entry.time) {
            self.by_time.insert(self.time, key);
        }
        entry.time = self.time;
        Some(entry.value.clone())
    }

    /// Keeps a value that takes so many bytes, with its key.
    pub(super) fn keep(&mut self, key: K, value: V, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        if bytes > self.most_bytes || self.get(&key).is_some() {
            return;
        }
        while self.bytes + bytes > self.most_bytes {
            let Some((_, oldest)) = self.by_time.pop_first() else { break };
            if let Some(gone) = self.values.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
        self.bytes += bytes;
        self.time += 1;
        self.by_time.insert(self.time, key.clone());
        self.values.insert(key, Entry { value, bytes, time: self.time });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_nobody_asked_for_longest_goes() {
        let mut recent = Recent::new(3 * (44 + OVERHEAD));
        for key in ["a", "b", "c", "a"] {
            recent.keep(key.to_owned(), (), 44);
        }
        assert!(recent.get("b").is_some());
        recent.keep("d".to_owned(), (), 44);
        let known = ["a", "b", "c", "d"].map(|key| recent.get(key).is_some());
        assert_eq!(known, [true, true, false, true], "`a` was kept again, `b` asked for");
        recent.keep("large".to_owned(), (), 10_000);
        assert!(recent.get("large").is_none() && recent.get("a").is_some());
        for number in 0..1_000 {
            recent.keep(number.to_string(), (), 44);
        }
        assert_eq!((recent.bytes, recent.values.len(), recent.by_time.len()), (900, 3, 3));
    }
}
