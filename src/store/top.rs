//! Top-N counts: the most frequent applications, users or other keys of events.

use std::cmp::Reverse;
use std::collections::HashMap;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::dimension::{graph_key, has_known, key, label, own_label, push_known, push_search, stored_key};
use super::windows::MonthWindow;
use super::{Store, StoreError, filter};
use crate::event::{Narrowed, Position, Tally, TallyCursor, TallyPage, TopRequest};

/// A key, its label, its number of events, the time of the newest one, and the number of all keys.
type CountedRow = (Option<String>, Option<String>, Option<i64>, Option<OffsetDateTime>, Option<i64>);

/// Maximum number of keys that are in memory while the counts of several windows are added up. More keys are divided into
/// parts, and each part is counted in all windows before the next one.
const KEYS_AT_ONCE: usize = 100_000;

/// The events of one key.
#[derive(Clone, Copy, Default)]
struct KeyGroup {
    count: i64,
    /// The time of the newest event.
    last: Option<OffsetDateTime>,
    /// True if the search finds the key or its label.
    is_found: bool,
}

/// The events of each key.
type Groups = HashMap<Option<String>, KeyGroup>;

/// A key with its events.
#[derive(Clone, Debug)]
pub(super) struct KeyCount {
    pub(super) key: Option<String>,
    pub(super) label: Option<String>,
    pub(super) count: i64,
    last: Option<OffsetDateTime>,
}

/// A request, with its cursor's key as the database has it.
struct Top<'a> {
    wanted: &'a Narrowed,
    request: &'a TopRequest,
    after: Option<TallyCursor>,
    /// The number of keys to read.
    limit: usize,
}

impl Store {
    /// Counts events through a position by the keys of a dimension, and returns a page of the most frequent keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn top(
        &self,
        wanted: &Narrowed,
        request: &TopRequest,
        through: Position,
    ) -> Result<TallyPage, StoreError> {
        let windows = self.windows_through(wanted.published, through).await?;
        let (mut rows, total) = self.most_frequent(wanted, request, &windows).await?;
        let has_next = rows.len() > request.first;
        rows.truncate(request.first);
        let tally = |row: KeyCount| Tally {
            key: graph_key(request.by, row.key),
            label: row.label,
            count: row.count,
            last_event_at: row.last.map(Into::into),
        };
        Ok(TallyPage { tallies: rows.into_iter().map(tally).collect(), has_next, total })
    }

    /// Returns one key more than are asked for, and the number of keys, if that is asked for.
    pub(super) async fn most_frequent(
        &self,
        wanted: &Narrowed,
        request: &TopRequest,
        windows: &[MonthWindow],
    ) -> Result<(Vec<KeyCount>, Option<i64>), StoreError> {
        let after = request.after.clone();
        let after = after.map(|after| TallyCursor { key: stored_key(request.by, after.key), ..after });
        let top = Top { wanted, request, after, limit: request.first.saturating_add(1) };
        if let [window] = windows {
            return top.of_window(self, window).await;
        }
        let (rows, total) = top.of_windows(self, windows, KEYS_AT_ONCE).await?;
        Ok((self.labelled(&top, rows, windows).await?, request.with_total.then_some(total)))
    }

    /// Adds the labels of keys. The newest event of each key is in one of the windows.
    async fn labelled(
        &self,
        top: &Top<'_>,
        mut rows: Vec<KeyCount>,
        windows: &[MonthWindow],
    ) -> Result<Vec<KeyCount>, StoreError> {
        let by = top.request.by;
        // One statement finds all labels that are in the catalogue.
        let everything = [MonthWindow::default()];
        let windows = if own_label(by).is_some() { windows } else { &everything };
        for window in windows {
            let is_within = |row: &KeyCount| row.last.map_or(own_label(by).is_none(), |last| window.contains(last));
            let within: Vec<_> = rows.iter_mut().filter(|row| is_within(row)).collect();
            if within.is_empty() {
                continue;
            }
            let mut query = QueryBuilder::new("SELECT ");
            label(&mut query, by, window, top.wanted);
            query.push(" FROM unnest(").push_bind(within.iter().map(|row| row.key.clone()).collect::<Vec<_>>());
            query.push("::text[], ").push_bind(within.iter().map(|row| row.last).collect::<Vec<_>>());
            query.push("::timestamptz[]) WITH ORDINALITY AS t (key, last, ordinal) ORDER BY t.ordinal");
            let query = query.build_query_scalar().persistent(false);
            let labels: Vec<Option<String>> = query.fetch_all(&self.reads.planned_for_values()).await?;
            for (row, label) in within.into_iter().zip(labels) {
                row.label = label;
            }
        }
        Ok(rows)
    }
}

impl Top<'_> {
    /// Counts the keys of one window in a single statement.
    async fn of_window(&self, store: &Store, window: &MonthWindow) -> Result<(Vec<KeyCount>, Option<i64>), StoreError> {
        let mut query = self.window_query(window);
        let rows: Vec<CountedRow> = query.build_query_as().fetch_all(&store.reads.planned_for_values()).await?;
        let total = rows.first().and_then(|row| row.4);
        // The only row of an empty page has no count.
        let row = |(key, label, count, last, _): CountedRow| Some(KeyCount { key, label, count: count?, last });
        Ok((rows.into_iter().filter_map(row).collect(), total))
    }

    fn window_query(&self, window: &MonthWindow) -> QueryBuilder<Postgres> {
        let TopRequest { by, ref search, with_known, with_total, .. } = *self.request;
        let mut query = QueryBuilder::new("WITH counted AS (SELECT ");
        self.push_groups(&mut query, window, KeyPart::default());
        if let Some(search) = search {
            query.push(" HAVING ");
            push_search(&mut query, by, search, self.wanted);
        }
        query.push("), listed AS (SELECT key, count, last FROM counted");
        if with_known && has_known(by) {
            query.push(" UNION ALL SELECT k.key, 0, NULL FROM (");
            push_known(&mut query, by, self.wanted, search.as_deref());
            query.push(") k WHERE NOT EXISTS (SELECT FROM counted c WHERE c.key = k.key)");
        }
        query.push(") SELECT t.key, ");
        label(&mut query, by, window, self.wanted);
        query.push(", t.count, t.last, n.total FROM (SELECT ");
        query.push(if with_total { "count(*) AS total FROM listed" } else { "NULL::bigint AS total" });
        query.push(") n LEFT JOIN (SELECT * FROM listed u WHERE true");
        if let Some(after) = &self.after {
            push_after(&mut query, after);
        }
        query.push(" ORDER BY u.count DESC, u.key COLLATE \"C\" LIMIT ");
        query.push_bind(i64::try_from(self.limit).unwrap_or(i64::MAX));
        query.push(") t ON true ORDER BY t.count DESC, t.key COLLATE \"C\"");
        query
    }

    /// Adds the columns and the rest of a query for the events of each key of a part, after `SELECT`.
    fn push_groups(&self, query: &mut QueryBuilder<Postgres>, window: &MonthWindow, part: KeyPart) {
        let key = key(self.request.by);
        query.push(key).push(" AS key, count(*) AS count, max(e.published) AS last FROM sync_event e WHERE true");
        filter::push(query, self.wanted);
        window.push(query, "e");
        part.push(query, key);
        query.push(" GROUP BY ").push(key);
    }

    /// Counts keys in several windows. To bound the memory, a part of more than `keys_at_once` keys is split.
    async fn of_windows(
        &self,
        store: &Store,
        windows: &[MonthWindow],
        keys_at_once: usize,
    ) -> Result<(Vec<KeyCount>, i64), StoreError> {
        let (mut best, mut total): (Vec<KeyCount>, i64) = (Vec::new(), 0);
        let mut parts = vec![KeyPart::default()];
        while let Some(part) = parts.pop() {
            let Some(groups) = self.count_part(store, windows, part, keys_at_once).await? else {
                parts.extend(part.split());
                continue;
            };
            let found = groups.into_iter().filter(|(_, group)| group.is_found);
            let found = found.map(|(key, KeyGroup { count, last, .. })| KeyCount { key, label: None, count, last });
            let found: Vec<_> = found.collect();
            total += i64::try_from(found.len()).unwrap_or(i64::MAX);
            let is_after = |row: &KeyCount| {
                self.after.as_ref().is_none_or(|after| order(after.count, after.key.as_ref()) < row.order())
            };
            best.extend(found.into_iter().filter(is_after));
            best.sort_by(|one, other| one.order().cmp(&other.order()));
            best.truncate(self.limit);
        }
        Ok((best, total))
    }

    /// Counts the keys of a part in all windows; returns None if there are more than `keys_at_once`.
    async fn count_part(
        &self,
        store: &Store,
        windows: &[MonthWindow],
        part: KeyPart,
        keys_at_once: usize,
    ) -> Result<Option<Groups>, StoreError> {
        let TopRequest { by, ref search, with_known, .. } = *self.request;
        let most = if part.is_smallest() { usize::MAX } else { keys_at_once };
        let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let mut groups = Groups::new();
        for window in windows {
            let mut query = QueryBuilder::new("SELECT ");
            match search {
                Some(search) => push_search(&mut query, by, search, self.wanted),
                None => drop(query.push("true")),
            }
            query.push(" AS is_found, ");
            self.push_groups(&mut query, window, part);
            query.push(" LIMIT ").push_bind(limit);
            let query = query.build_query_as().persistent(false);
            let rows: Vec<(bool, Option<String>, i64, OffsetDateTime)> =
                query.fetch_all(&store.reads.planned_for_values()).await?;
            for (is_found, key, count, last) in rows {
                // A name of a person that the search finds may be in one window only.
                let known = groups.entry(key).or_default();
                known.count += count;
                known.last = known.last.max(Some(last));
                known.is_found |= is_found;
            }
            if groups.len() > most {
                return Ok(None);
            }
        }
        if with_known && has_known(by) {
            let mut query = QueryBuilder::new("SELECT k.key FROM (");
            push_known(&mut query, by, self.wanted, search.as_deref());
            query.push(") k WHERE true");
            part.push(&mut query, "k.key");
            let keys: Vec<String> =
                query.build_query_scalar().persistent(false).fetch_all(&store.reads.planned_for_values()).await?;
            for key in keys {
                groups.entry(Some(key)).or_insert(KeyGroup { is_found: true, ..KeyGroup::default() });
            }
        }
        Ok(Some(groups))
    }
}

/// The order of keys: the more frequent first, equally frequent ones by their text, with None last.
fn order(count: i64, key: Option<&String>) -> (Reverse<i64>, bool, Option<&String>) {
    (Reverse(count), key.is_none(), key)
}

impl KeyCount {
    fn order(&self) -> (Reverse<i64>, bool, Option<&String>) {
        order(self.count, self.key.as_ref())
    }
}

/// Adds the condition that a key `u` comes after a cursor.
fn push_after(query: &mut QueryBuilder<Postgres>, after: &TallyCursor) {
    query.push(" AND (u.count < ").push_bind(after.count);
    if let Some(key) = &after.key {
        query.push(" OR u.count = ").push_bind(after.count).push(" AND (u.key COLLATE \"C\" > ").push_bind(key.clone());
        query.push(" OR u.key IS NULL)");
    }
    query.push(")");
}

/// A part of all keys: those of which the lowest `bits` bits of the hash have the value `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KeyPart {
    bits: u32,
    end: i32,
}

impl KeyPart {
    /// Number of further bits of the hash by which a part is split: 3 bits make 8 parts.
    const STEP: u32 = 3;

    const fn is_smallest(self) -> bool {
        self.bits + Self::STEP > 30
    }

    fn split(self) -> impl Iterator<Item = Self> {
        (0..1 << Self::STEP)
            .map(move |end: i32| Self { bits: self.bits + Self::STEP, end: self.end | end << self.bits })
    }

    fn push(self, query: &mut QueryBuilder<Postgres>, key: &str) {
        if self.bits > 0 {
            query.push(" AND hashtext(coalesce(").push(key).push(", '')) & ").push_bind((1_i32 << self.bits) - 1);
            query.push(" = ").push_bind(self.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_in_one_part_of_a_part() {
        let holds = |part: &KeyPart, hash: i32| hash & ((1 << part.bits) - 1) == part.end;
        let mut parts = vec![KeyPart::default()];
        for _ in 0..3 {
            parts = parts.into_iter().flat_map(KeyPart::split).collect();
        }
        assert_eq!(parts.len(), 512);
        for hash in [0, 1, -1, 511, 512, i32::MIN, i32::MAX, 0x1234_5678] {
            assert_eq!(parts.iter().filter(|part| holds(part, hash)).count(), 1, "{hash}");
        }
    }

    #[test]
    fn parts_become_no_smaller_than_their_hashes_are() {
        let mut part = KeyPart::default();
        while !part.is_smallest() {
            part = part.split().last().unwrap();
        }
        assert_eq!((part.bits, part.end), (30, (1 << 30) - 1));
    }
}
