//! Top-N counts: the most frequent applications, users or other keys of events.

use std::cmp::Ordering;
use std::collections::HashMap;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::statistics::{graph_key, has_own_label, key, label};
use super::windows::MonthWindow;
use super::{Store, StoreError, filter};
use crate::event::{Dimension, Narrowed, Tally};

type TallyRow = (Option<String>, Option<String>, i64, OffsetDateTime);

/// Maximum number of keys that are in memory while the counts of several windows are added up. More keys are divided into
/// parts, and each part is counted in all windows before the next one.
const KEYS_AT_ONCE: usize = 100_000;

/// Number of events of each key, and the time of the newest one.
type Counts = HashMap<Option<String>, (i64, OffsetDateTime)>;

impl Store {
    /// Counts events by the keys of a dimension, and returns the `first` most frequent keys, the most frequent first.
    ///
    /// # Errors
    /// The database's.
    pub async fn top(&self, wanted: &Narrowed, by: Dimension, first: i64) -> Result<Vec<Tally>, StoreError> {
        let windows = self.windows(wanted.published).await?;
        let rows = match &*windows {
            [window] => self.top_of_window(wanted, by, first, window).await?,
            windows => {
                let first = usize::try_from(first).unwrap_or_default();
                let rows = self.top_of_windows(wanted, by, first, windows, KEYS_AT_ONCE).await?;
                self.labelled(by, rows, windows).await?
            }
        };
        let tally = |(key, label, count, last): TallyRow| Tally {
            key: graph_key(Some(by), key),
            label,
            count,
            last_event_at: last.into(),
        };
        Ok(rows.into_iter().map(tally).collect())
    }

    async fn top_of_window(
        &self,
        wanted: &Narrowed,
        by: Dimension,
        first: i64,
        window: &MonthWindow,
    ) -> Result<Vec<TallyRow>, StoreError> {
        let mut query = QueryBuilder::new("SELECT t.key, ");
        label(&mut query, by, window);
        query.push(", t.count, t.last FROM (SELECT ").push(key(by));
        query.push(" AS key, count(*) AS count, max(e.published) AS last FROM sync_event e WHERE true");
        filter::push(&mut query, wanted);
        window.push(&mut query, "e");
        query.push(" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ").push_bind(first);
        query.push(") t ORDER BY t.count DESC, t.key");
        Ok(query.build_query_as().fetch_all(&self.reads.planned_for_values()).await?)
    }

    /// Counts keys in several windows. To bound the memory, a part of more than `keys_at_once` keys is split.
    async fn top_of_windows(
        &self,
        wanted: &Narrowed,
        by: Dimension,
        first: usize,
        windows: &[MonthWindow],
        keys_at_once: usize,
    ) -> Result<Vec<TallyRow>, StoreError> {
        let mut best: Vec<TallyRow> = Vec::new();
        let mut parts = vec![KeyPart::default()];
        while let Some(part) = parts.pop() {
            let Some(counts) = self.count_part(wanted, by, windows, part, keys_at_once).await? else {
                parts.extend(part.split());
                continue;
            };
            best.extend(counts.into_iter().map(|(key, (count, last))| (key, None, count, last)));
            best.sort_by(more_frequent);
            best.truncate(first);
        }
        Ok(best)
    }

    /// Counts the keys of a part in all windows; returns None if there are more than `keys_at_once`.
    async fn count_part(
        &self,
        wanted: &Narrowed,
        by: Dimension,
        windows: &[MonthWindow],
        part: KeyPart,
        keys_at_once: usize,
    ) -> Result<Option<Counts>, StoreError> {
        let most = if part.is_smallest() { usize::MAX } else { keys_at_once };
        let mut counts = Counts::new();
        for window in windows {
            let mut query = QueryBuilder::new("SELECT ");
            query
                .push(key(by))
                .push(" AS key, count(*) AS count, max(e.published) AS last FROM sync_event e WHERE true");
            filter::push(&mut query, wanted);
            window.push(&mut query, "e");
            part.push(&mut query, key(by));
            query.push(" GROUP BY 1 LIMIT ").push_bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
            let query = query.build_query_as().persistent(false);
            let rows: Vec<(Option<String>, i64, OffsetDateTime)> =
                query.fetch_all(&self.reads.planned_for_values()).await?;
            for (key, count, last) in rows {
                let known = counts.entry(key).or_insert((0, last));
                *known = (known.0 + count, known.1.max(last));
            }
            if counts.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(counts))
    }

    /// Adds the labels of keys. The newest event of each key is in one of the windows.
    async fn labelled(
        &self,
        by: Dimension,
        mut rows: Vec<TallyRow>,
        windows: &[MonthWindow],
    ) -> Result<Vec<TallyRow>, StoreError> {
        // One statement finds all labels that are in the catalogue.
        let everything = [MonthWindow::default()];
        let windows = if has_own_label(by) { windows } else { &everything };
        for window in windows {
            let within: Vec<_> = rows.iter_mut().filter(|row| window.contains(row.3)).collect();
            if within.is_empty() {
                continue;
            }
            let mut query = QueryBuilder::new("SELECT ");
            label(&mut query, by, window);
            query.push(" FROM unnest(").push_bind(within.iter().map(|row| row.0.clone()).collect::<Vec<_>>());
            query.push("::text[], ").push_bind(within.iter().map(|row| row.3).collect::<Vec<_>>());
            query.push("::timestamptz[]) WITH ORDINALITY AS t (key, last, ordinal) ORDER BY t.ordinal");
            let query = query.build_query_scalar().persistent(false);
            let labels: Vec<Option<String>> = query.fetch_all(&self.reads.planned_for_values()).await?;
            for (row, label) in within.into_iter().zip(labels) {
                row.1 = label;
            }
        }
        Ok(rows)
    }
}

/// Orders keys: the more frequent first, equally frequent ones by their text, with None last.
fn more_frequent(one: &TallyRow, other: &TallyRow) -> Ordering {
    let order = |row: &TallyRow| (-row.2, row.0.is_none());
    order(one).cmp(&order(other)).then_with(|| one.0.cmp(&other.0))
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
