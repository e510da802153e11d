//! The eras of the log, and the numbers that the database uses for positions.
//!
//! The database keeps a position as a number of 64 bits. It counts its eras from 0, and the events of the nth era have
//! the numbers after n * 10^12. A restored copy of the log may count different eras by the same numbers, so numbers
//! stay within `store`; everywhere else the era's tag identifies an era. Each statement that returns or takes positions
//! also returns the tag of the era in which the log ended in the statement's snapshot. Tags only grow within a
//! database, and copies of a log give different tags to the eras that they begin, so this tag determines the eras that
//! the numbers belong to.

use std::sync::Arc;

use parking_lot::RwLock;

use super::StoreError;
use crate::event::Position;

/// Distance between the starts of two successive eras, in the database's numbers.
const NUMBERS_PER_ERA: i64 = 1_000_000_000_000;

/// Maximum number of times that a statement is sent, if the log's last era or its partitions change each time.
pub(super) const MAX_ATTEMPTS: usize = 50;

/// An era of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    /// The position right before the era's first event.
    pub start: Position,
    /// The last valid position before the era: all positions between this one and `start` were lost.
    pub previous_end: Position,
}

/// The eras of a log, the oldest first; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Eras(Vec<Era>);

/// Cache of the eras that were read last. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownEras(Arc<RwLock<Option<Arc<Eras>>>>);

/// An era as the database has it: the number of its start, its tag, and the last valid number before it.
pub(super) type EraRow = (i64, i64, i64);

/// Statement that returns all [`EraRow`]s, the oldest first.
pub(super) const ERAS: &str = "SELECT start, tag, previous_end FROM era ORDER BY start";

impl Eras {
    /// Returns the eras in rows, or None if they do not start at 0, 10^12, 2 * 10^12 and so on.
    pub(super) fn of(rows: Vec<EraRow>) -> Option<Self> {
        let tags: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let position = |number: i64| Some(Position::in_era(*tags.get(ordinal(number)?)?, number % NUMBERS_PER_ERA));
        let era = |(ordinal, (start, _, previous_end)): (usize, EraRow)| {
            let is_in_turn =
                usize::try_from(start / NUMBERS_PER_ERA).ok() == Some(ordinal) && start % NUMBERS_PER_ERA == 0;
            let era = Era { start: position(start)?, previous_end: position(previous_end)? };
            is_in_turn.then_some(era)
        };
        let eras: Option<Vec<_>> = rows.into_iter().enumerate().map(era).collect();
        eras.filter(|eras| !eras.is_empty()).map(Self)
    }

    /// Returns the tag of the last era.
    pub(super) fn tag(&self) -> i64 {
        self.0.last().map_or(0, |era| era.start.era_tag())
    }

    /// Returns true if one of the eras has this tag.
    pub(super) fn contains_tag(&self, tag: i64) -> bool {
        self.0.binary_search_by_key(&tag, |era| era.start.era_tag()).is_ok()
    }

    /// Returns all eras, the oldest first.
    pub(super) fn all(&self) -> &[Era] {
        &self.0
    }

    /// Returns the position for a number of the database, or None if the number is in no era.
    pub(super) fn position(&self, number: i64) -> Option<Position> {
        let era = self.0.get(ordinal(number)?)?;
        Some(Position::in_era(era.start.era_tag(), number % NUMBERS_PER_ERA))
    }

    /// Returns the database's number for a position, or None if this log does not have the position's era.
    pub(super) fn number(&self, position: Position) -> Option<i64> {
        let ordinal = self.0.binary_search_by_key(&position.era_start(), |era| era.start).ok()?;
        // Positions allow longer eras than the database's numbers do. A position beyond all events of its era stays so.
        let number = position.number_in_era().min(NUMBERS_PER_ERA - 1);
        Some(i64::try_from(ordinal).ok()? * NUMBERS_PER_ERA + number)
    }
}

/// Index of the era that a number belongs to, from 0; None for negative numbers.
fn ordinal(number: i64) -> Option<usize> {
    usize::try_from(number.div_euclid(NUMBERS_PER_ERA)).ok()
}

impl KnownEras {
    /// Returns the eras in the cache; None before the first read.
    pub(super) fn get(&self) -> Option<Arc<Eras>> {
        self.0.read().clone()
    }

    /// Returns the known eras if the last one has this tag.
    pub(super) fn ending_in(&self, tag: i64) -> Option<Arc<Eras>> {
        self.get().filter(|eras| eras.tag() == tag)
    }

    /// Stores eras in the cache.
    pub(super) fn keep(&self, rows: Vec<EraRow>) -> Result<Arc<Eras>, StoreError> {
        if rows.is_empty() {
            // A restore fills the table later.
            return Err(StoreError::Restored);
        }
        let eras = Arc::new(Eras::of(rows).ok_or(StoreError::DamagedEras)?);
        *self.0.write() = Some(Arc::clone(&eras));
        Ok(eras)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: i64 = 1_795_945_000_123_456;

    fn eras() -> Eras {
        Eras::of(vec![(0, 0, 0), (NUMBERS_PER_ERA, TAG, 7), (2 * NUMBERS_PER_ERA, TAG + 9, NUMBERS_PER_ERA + 3)])
            .unwrap()
    }

    #[test]
    fn numbers_and_positions_go_there_and_back() {
        let eras = eras();
        assert_eq!(eras.tag(), TAG + 9);
        for (number, position) in [
            (0, Position::START),
            (7, Position::new(7)),
            (NUMBERS_PER_ERA, Position::in_era(TAG, 0)),
            (NUMBERS_PER_ERA + 3, Position::in_era(TAG, 3)),
            (2 * NUMBERS_PER_ERA + 1, Position::in_era(TAG + 9, 1)),
        ] {
            assert_eq!((eras.position(number), eras.number(position)), (Some(position), Some(number)));
        }
        assert_eq!(eras.all()[2], Era { start: Position::in_era(TAG + 9, 0), previous_end: Position::in_era(TAG, 3) });
    }

    #[test]
    fn what_no_era_has_is_none() {
        let eras = eras();
        assert_eq!(eras.position(3 * NUMBERS_PER_ERA), None);
        assert_eq!(eras.position(-1), None);
        for foreign in [Position::in_era(TAG - 1, 3), Position::in_era(TAG + 10, 3)] {
            assert_eq!(eras.number(foreign), None, "{foreign}");
        }
        // The number stays beyond all events of its era, and before the next one.
        assert_eq!(eras.number(Position::in_era(TAG, NUMBERS_PER_ERA + 5)), Some(2 * NUMBERS_PER_ERA - 1));
        for broken in [
            vec![],
            vec![(NUMBERS_PER_ERA, TAG, 7)],
            vec![(0, 0, 0), (2 * NUMBERS_PER_ERA, TAG, 7)],
            vec![(0, 0, NUMBERS_PER_ERA)],
        ] {
            assert_eq!(Eras::of(broken.clone()), None, "{broken:?}");
        }
    }
}
