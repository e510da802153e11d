//! Commits that arrived before an earlier commit of the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Position, SyncEvent};
use crate::log::Commit;

/// Time that the missing commit before an early one has to arrive. This gateway's two writers may publish their commits in the
/// wrong order, a moment apart; the commit of another gateway does not arrive at all and must be read from the store.
const GRACE: Duration = Duration::from_millis(2);

/// Largest total size of the events in early commits, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// Early commits by their first position, each with the time of its arrival.
#[derive(Debug, Default)]
pub(super) struct EarlyCommits {
    commits: BTreeMap<Position, (Commit, Instant)>,
    bytes: usize,
}

fn size(commit: &Commit) -> usize {
    commit.iter().map(|event| event.size()).sum()
}

impl EarlyCommits {
    /// Keeps a commit. Two commits may begin at the same event, since NATS may split one: the longer one is kept.
    pub(super) fn keep(&mut self, commit: Commit) {
        let Some(first) = commit.first().map(|event| event.position) else { return };
        if let Some((known, _)) = self.commits.get_mut(&first) {
            if known.len() < commit.len() {
                self.bytes = self.bytes + size(&commit) - size(known);
                *known = commit;
            }
            return;
        }
        self.bytes += size(&commit);
        self.commits.insert(first, (commit, Instant::now()));
    }

    /// True when the commits exceed the size limit: they must be dropped and read from the store.
    pub(super) const fn is_too_large(&self) -> bool {
        self.bytes > MAX_BYTES
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first position of the earliest commit.
    pub(super) fn first(&self) -> Option<Position> {
        self.commits.first_key_value().map(|(first, _)| *first)
    }

    /// The time at which the gap before the earliest commit must be read from the store. Later commits do not postpone it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.commits.values().next().map(|(_, came)| *came + GRACE)
    }

    /// The age of the gap before the earliest commit.
    pub(super) fn waited(&self) -> Duration {
        self.commits.values().next().map_or(Duration::ZERO, |(_, came)| came.elapsed())
    }

    /// Removes and returns the events that directly follow a position, in order.
    pub(super) fn take_after(&mut self, through: Position) -> Vec<Arc<SyncEvent>> {
        let mut events: Vec<Arc<SyncEvent>> = Vec::new();
        let mut through = through;
        while let Some(earliest) = self.commits.first_entry()
            && *earliest.key() <= through.next()
        {
            let (commit, _) = earliest.remove();
            self.bytes -= size(&commit);
            events.extend(commit.iter().filter(|event| event.position > through).cloned());
            through = events.last().map_or(through, |event| event.position);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::feed::router::tests::event;

    fn commit(positions: std::ops::RangeInclusive<u128>) -> Commit {
        positions.map(|position| event(position, "0oa1", None, "a")).collect()
    }

    fn numbers(events: &[Arc<SyncEvent>]) -> Vec<u128> {
        events.iter().map(|event| event.position.get()).collect()
    }

    #[test]
    fn commits_wait_for_their_turn_and_a_gap_has_one_deadline() {
        let mut early = EarlyCommits::default();
        assert_eq!(early.deadline(), None);
        early.keep(commit(5..=6));
        let deadline = early.deadline().unwrap();
        std::thread::sleep(GRACE / 2);
        for later in [8..=9, 7..=7, 20..=20] {
            early.keep(commit(later));
        }
        assert_eq!(early.deadline(), Some(deadline), "more commits do not move it");
        assert_eq!(numbers(&early.take_after(Position::new(3))), [0_u128; 0]);
        // A read of the store may have overtaken a part of a commit.
        assert_eq!(numbers(&early.take_after(Position::new(5))), [6, 7, 8, 9]);
        assert_eq!(early.first(), Some(Position::new(20)));
        assert!(early.deadline().unwrap() > deadline, "the next gap has its own");
        assert_eq!(numbers(&early.take_after(Position::new(30))), [0_u128; 0]);
        assert_eq!((early.first(), early.bytes), (None, 0));
    }

    #[test]
    fn the_longer_one_of_two_is_kept_and_all_are_counted() {
        let mut early = EarlyCommits::default();
        for positions in [5..=6, 5..=9, 5..=7] {
            early.keep(commit(positions));
        }
        assert_eq!(early.bytes, size(&commit(5..=9)));
        let fitting = MAX_BYTES / size(&commit(5..=5));
        for number in 1..=fitting as u128 {
            assert_eq!(early.is_too_large(), number > fitting as u128 - 4, "{number}");
            early.keep(commit(10 + 2 * number..=10 + 2 * number));
        }
        assert!(early.is_too_large());
        assert_eq!(numbers(&early.take_after(Position::new(4))), [5, 6, 7, 8, 9]);
        early.clear();
        assert_eq!((early.first(), early.bytes), (None, 0));
    }
}
