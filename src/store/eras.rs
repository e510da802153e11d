//! The eras of the log, and positions as the database numbers them.
//!
//! The database keeps positions in 64 bits: it counts its eras, and the events of its nth era follow n * 10^12. A restored
//! copy of the log may count other eras by the same numbers, so no such number leaves this module's callers: outside, an
//! era is told by its tag. Each statement that gives or takes positions tells the tag of the era in which the log ended
//! in the statement's snapshot. The tags of a database only grow, and no two copies of a log share a tag that one of them
//! has begun by itself, so that tag alone tells which table of eras the statement's numbers are meant by.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Store, StoreError};
use crate::event::Position;

/// How far apart the database's numbers of two eras are.
const NUMBERS: i64 = 1_000_000_000_000;

/// How often a statement is sent again because the log's last era, or its partitions, changed meanwhile.
pub(super) const TRIES: usize = 50;

/// An era of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    /// Where it starts; its first event comes right after.
    pub start: Position,
    /// The last position before it that still stands: what lies between was lost.
    pub previous_end: Position,
}

/// The eras of a log, the oldest first; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Eras(Vec<Era>);

/// The eras that were read last. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownEras(Arc<RwLock<Option<Arc<Eras>>>>);

/// An era as the database has it: its first number, its tag, the last number before it that stands.
pub(super) type EraRow = (i64, i64, i64);

/// Gives all [`EraRow`]s, the oldest first.
pub(super) const ERAS: &str = "SELECT start, tag, previous_end FROM era ORDER BY start";

impl Eras {
    /// The eras in rows. None where they are not numbered from 0 on, one by one.
    pub(super) fn of(rows: Vec<EraRow>) -> Option<Self> {
        let tags: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let position = |number: i64| Some(Position::in_era(*tags.get(ordinal(number)?)?, number % NUMBERS));
        let era = |(ordinal, (start, _, previous_end)): (usize, EraRow)| {
            let is_in_turn = usize::try_from(start / NUMBERS).ok() == Some(ordinal) && start % NUMBERS == 0;
            let era = Era { start: position(start)?, previous_end: position(previous_end)? };
            is_in_turn.then_some(era)
        };
        let eras: Option<Vec<_>> = rows.into_iter().enumerate().map(era).collect();
        eras.filter(|eras| !eras.is_empty()).map(Self)
    }

    /// The tag of the last one.
    pub(super) fn tag(&self) -> i64 {
        self.0.last().map_or(0, |era| era.start.era_tag())
    }

    /// Whether one of them has this tag.
    pub(super) fn have(&self, tag: i64) -> bool {
        self.0.binary_search_by_key(&tag, |era| era.start.era_tag()).is_ok()
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Era] {
        &self.0
    }

    /// The position that the database knows by a number. None where no era has it.
    pub(super) fn position(&self, number: i64) -> Option<Position> {
        let era = self.0.get(ordinal(number)?)?;
        Some(Position::in_era(era.start.era_tag(), number % NUMBERS))
    }

    /// The number by which the database knows a position. None where the position's era is none of this log's.
    pub(super) fn number(&self, position: Position) -> Option<i64> {
        let ordinal = self.0.binary_search_by_key(&position.era_start(), |era| era.start).ok()?;
        // An era outside has more room than in the database: what is beyond all events stays there.
        let number = position.number_in_era().min(NUMBERS - 1);
        Some(i64::try_from(ordinal).ok()? * NUMBERS + number)
    }
}

/// Which era a number is of, counted from 0.
fn ordinal(number: i64) -> Option<usize> {
    usize::try_from(number.div_euclid(NUMBERS)).ok()
}

impl KnownEras {
    fn get(&self) -> Option<Arc<Eras>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The eras of a log that ends in the era with this tag, where they are known.
    pub(super) fn ending_in(&self, tag: i64) -> Option<Arc<Eras>> {
        self.get().filter(|eras| eras.tag() == tag)
    }

    /// Keeps what was read.
    fn keep(&self, rows: Vec<EraRow>) -> Result<Arc<Eras>, StoreError> {
        if rows.is_empty() {
            // Its table is being restored.
            return Err(StoreError::Restored);
        }
        let eras = Arc::new(Eras::of(rows).ok_or(StoreError::Eras)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&eras));
        Ok(eras)
    }
}

impl Store {
    /// The eras, as far as they are known; read where none are.
    pub(super) async fn known_eras(&self) -> Result<Arc<Eras>, StoreError> {
        match self.eras.get() {
            Some(eras) => Ok(eras),
            None => self.read_eras().await,
        }
    }

    /// Keeps eras that were read. What was known of partitions may be that of another log where the last era is another.
    pub(super) fn keep_eras(&self, rows: Vec<EraRow>) -> Result<Arc<Eras>, StoreError> {
        let tag = self.eras.get().map(|eras| eras.tag());
        let eras = self.eras.keep(rows)?;
        if tag.is_some_and(|tag| tag != eras.tag()) {
            self.partitions.forget();
        }
        Ok(eras)
    }

    /// The eras, read now.
    async fn read_eras(&self) -> Result<Arc<Eras>, StoreError> {
        let rows: Vec<EraRow> = sqlx::query_as(ERAS).fetch_all(&self.reads).await?;
        self.keep_eras(rows)
    }

    /// The eras of a log that ended in the era with this tag when a statement was executed. None where they are others by
    /// now: the statement is to be sent again.
    pub(super) async fn eras_ending_in(&self, tag: i64) -> Result<Option<Arc<Eras>>, StoreError> {
        if let Some(eras) = self.eras.ending_in(tag) {
            return Ok(Some(eras));
        }
        Ok(Some(self.read_eras().await?).filter(|eras| eras.tag() == tag))
    }

    /// The numbers by which the database knows positions, and the eras by which they are meant.
    ///
    /// # Errors
    /// The database's; [`StoreError::UnknownEra`] for a position of an era that is none of this log's.
    pub(super) async fn numbers<const N: usize>(
        &self,
        positions: [Position; N],
    ) -> Result<(Arc<Eras>, [i64; N]), StoreError> {
        let numbered = |eras: &Eras| positions.map(|position| eras.number(position).ok_or(position));
        let mut eras = self.known_eras().await?;
        if numbered(&eras).iter().any(Result::is_err) {
            // It may have begun since, at another gateway.
            eras = self.read_eras().await?;
        }
        let mut numbers = [0; N];
        for (number, found) in numbers.iter_mut().zip(numbered(&eras)) {
            *number = found.map_err(StoreError::UnknownEra)?;
        }
        Ok((eras, numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: i64 = 1_795_945_000_123_456;

    fn eras() -> Eras {
        Eras::of(vec![(0, 0, 0), (NUMBERS, TAG, 7), (2 * NUMBERS, TAG + 9, NUMBERS + 3)]).unwrap()
    }

    #[test]
    fn numbers_and_positions_go_there_and_back() {
        let eras = eras();
        assert_eq!(eras.tag(), TAG + 9);
        for (number, position) in [
            (0, Position::START),
            (7, Position::new(7)),
            (NUMBERS, Position::in_era(TAG, 0)),
            (NUMBERS + 3, Position::in_era(TAG, 3)),
            (2 * NUMBERS + 1, Position::in_era(TAG + 9, 1)),
        ] {
            assert_eq!((eras.position(number), eras.number(position)), (Some(position), Some(number)));
        }
        assert_eq!(eras.all()[2], Era { start: Position::in_era(TAG + 9, 0), previous_end: Position::in_era(TAG, 3) });
    }

    #[test]
    fn what_no_era_has_is_none() {
        let eras = eras();
        assert_eq!(eras.position(3 * NUMBERS), None);
        assert_eq!(eras.position(-1), None);
        for foreign in [Position::in_era(TAG - 1, 3), Position::in_era(TAG + 10, 3)] {
            assert_eq!(eras.number(foreign), None, "{foreign}");
        }
        // Beyond all events of its era, and not in the next one.
        assert_eq!(eras.number(Position::in_era(TAG, NUMBERS + 5)), Some(2 * NUMBERS - 1));
        for broken in [vec![], vec![(NUMBERS, TAG, 7)], vec![(0, 0, 0), (2 * NUMBERS, TAG, 7)], vec![(0, 0, NUMBERS)]] {
            assert_eq!(Eras::of(broken.clone()), None, "{broken:?}");
        }
    }
}
