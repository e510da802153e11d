//! Things that were asked for lately, bounded in bytes: those that nobody asked for longest go.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What one costs besides what its owner says: its key, twice, and its places.
const OVERHEAD: usize = 256;

/// Values by keys.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    most_bytes: usize,
    bytes: usize,
    values: HashMap<K, Entry<V>>,
    by_time: BTreeMap<u64, K>,
    time: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    /// When it was last asked for.
    time: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: 0, values: HashMap::new(), by_time: BTreeMap::new(), time: 0 }
    }

    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<V>
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
    pub(crate) fn keep(&mut self, key: K, value: V, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        if bytes > self.most_bytes || self.get(&key).is_some() {
            return;
        }
        self.make_room(bytes);
        self.bytes += bytes;
        self.time += 1;
        self.by_time.insert(self.time, key.clone());
        self.values.insert(key, Entry { value, bytes, time: self.time });
    }

    /// What is kept under a key, or what is made now; of which it is told later how many bytes it takes.
    pub(crate) fn get_or_keep(&mut self, key: &K, make: impl FnOnce() -> V) -> V {
        self.get(key).unwrap_or_else(|| {
            let value = make();
            self.keep(key.clone(), value.clone(), 0);
            value
        })
    }

    /// Says how many bytes a value takes, if it is still kept.
    pub(crate) fn weigh(&mut self, key: &K, bytes: usize) {
        let Some(entry) = self.values.remove(key) else { return };
        self.by_time.remove(&entry.time);
        self.bytes -= entry.bytes;
        self.keep(key.clone(), entry.value, bytes);
    }

    /// Lets go of the oldest until there is room for so many bytes.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.most_bytes {
            let Some((_, oldest)) = self.by_time.pop_first() else { break };
            if let Some(gone) = self.values.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
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

    #[test]
    fn what_is_weighed_later_takes_its_room_then() {
        let mut recent = Recent::new(3 * OVERHEAD + 44);
        for key in ["a", "b", "c"] {
            assert_eq!(recent.get_or_keep(&key, || key), key);
        }
        recent.weigh(&"b", 45);
        assert_eq!(["a", "b", "c"].map(|key| recent.get(&key).is_some()), [false, true, true]);
        recent.weigh(&"a", 1);
        recent.weigh(&"c", 10_000);
        assert_eq!((recent.get(&"c"), recent.bytes, recent.by_time.len()), (None, OVERHEAD + 45, 1));
    }
}
