//! A least-recently-used cache that is bounded in bytes: the crate `lru` bounds the number of entries only.

use std::borrow::Borrow;
use std::hash::{Hash, RandomState};

/// The bytes of an entry in addition to its value: its key, its links and its place in the table.
const OVERHEAD: usize = 256;

/// A cache that is bounded in bytes and evicts the least recently used entries first.
#[derive(Debug)]
pub(crate) struct LruCache<K: Eq + Hash, V> {
    max_bytes: usize,
    bytes: usize,
    // The standard hasher: keys come from clients, and must not be made to collide.
    entries: lru::LruCache<K, CachedValue<V>, RandomState>,
}

#[derive(Debug)]
struct CachedValue<V> {
    value: V,
    /// The size of the whole entry.
    bytes: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> LruCache<K, V> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, entries: lru::LruCache::unbounded_with_hasher(RandomState::new()) }
    }

    /// Returns a value, which becomes the most recently used one.
    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).map(|cached| cached.value.clone())
    }

    /// Inserts a value of so many bytes, unless it is larger than the cache or the key has a value already.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        if bytes > self.max_bytes || self.entries.get(&key).is_some() {
            return;
        }
        self.evict(bytes);
        self.bytes += bytes;
        self.entries.put(key, CachedValue { value, bytes });
    }

    /// Returns the value of a key, or inserts a new one, whose size [`resize`](Self::resize) sets when it is known.
    pub(crate) fn get_or_insert(&mut self, key: &K, make: impl FnOnce() -> V) -> V {
        self.get(key).unwrap_or_else(|| {
            let value = make();
            self.insert(key.clone(), value.clone(), 0);
            value
        })
    }

    /// Sets the size of a value in bytes, if it is still cached. A value that turns out to be larger than the cache is
    /// dropped.
    pub(crate) fn resize(&mut self, key: &K, bytes: usize) {
        if let Some(cached) = self.entries.pop(key) {
            self.bytes -= cached.bytes;
            self.insert(key.clone(), cached.value, bytes);
        }
    }

    /// Drops the least recently used entries until so many bytes are free.
    fn evict(&mut self, bytes: usize) {
        while self.bytes + bytes > self.max_bytes {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_entry_is_dropped() {
        let mut cache = LruCache::new(3 * (44 + OVERHEAD));
        for key in ["a", "b", "c", "a"] {
            cache.insert(key.to_owned(), (), 44);
        }
        assert!(cache.get("b").is_some());
        cache.insert("d".to_owned(), (), 44);
        let known = ["a", "b", "c", "d"].map(|key| cache.get(key).is_some());
        assert_eq!(known, [true, true, false, true], "`a` was inserted again, `b` was used");
        cache.insert("large".to_owned(), (), 10_000);
        assert!(cache.get("large").is_none() && cache.get("a").is_some());
        for number in 0..1_000 {
            cache.insert(number.to_string(), (), 44);
        }
        assert_eq!((cache.bytes, cache.entries.len()), (900, 3));
    }

    #[test]
    fn a_value_takes_its_room_when_its_size_is_known() {
        let mut cache = LruCache::new(3 * OVERHEAD + 44);
        for key in ["a", "b", "c"] {
            assert_eq!(cache.get_or_insert(&key, || key), key);
        }
        cache.resize(&"b", 45);
        assert_eq!(["a", "b", "c"].map(|key| cache.get(&key).is_some()), [false, true, true]);
        cache.resize(&"a", 1);
        cache.resize(&"c", 10_000);
        assert_eq!((cache.get(&"c"), cache.bytes, cache.entries.len()), (None, OVERHEAD + 45, 1));
    }
}
