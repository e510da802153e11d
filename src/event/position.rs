//! The position of an event in the log.

use std::fmt;
use std::str::FromStr;

/// A position in the log: 1, 2, 3 … without gaps and in commit order within an era; 0 is before the first event.
///
/// A position is one number, so that positions compare as numbers. In the first era, it is the event's number. In a
/// later era, it is the era's tag times [`Position::ERA`] plus the event's number in that era. The tag is about the
/// time of the era's begin in microseconds, so that no restored copy of the log uses it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u128);

impl Position {
    /// The position before the first event.
    pub const START: Self = Self(0);

    /// The distance between the positions of two eras with consecutive tags, enough for 10^13 events.
    pub const ERA: u128 = 10_000_000_000_000;

    /// The largest position: the last one of the era with the largest tag that a signed 64-bit integer holds.
    const LARGEST: u128 = (i64::MAX as u128 + 1) * Self::ERA - 1;

    /// Creates the position with a number.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// Returns the position of an event by its number in an era; the era's start for 0 and negative numbers.
    pub fn in_era(tag: i64, number: i64) -> Self {
        let unsigned = |number: i64| u128::try_from(number).unwrap_or_default();
        Self(unsigned(tag) * Self::ERA + unsigned(number))
    }

    /// Returns the position as a number.
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Returns the tag of the position's era: 0 for the first era, otherwise the approximate time of the era's
    /// beginning in microseconds since 1970.
    pub fn era_tag(self) -> i64 {
        i64::try_from(self.0 / Self::ERA).unwrap_or(i64::MAX)
    }

    /// Returns the event's number in its era; 0 for the era's start.
    pub fn number_in_era(self) -> i64 {
        i64::try_from(self.0 % Self::ERA).unwrap_or_default()
    }

    /// Returns the start of the position's era, which is before the era's first event.
    #[must_use]
    pub const fn era_start(self) -> Self {
        Self(self.0 - self.0 % Self::ERA)
    }

    /// Returns the next position of the era.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the previous position. The start of an era has no previous position in the same era.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most logs have only positions of the first era, which fit into 64 bits and are printed faster that way.
        match u64::try_from(self.0) {
            Ok(small) => small.fmt(formatter),
            Err(_) => self.0.fmt(formatter),
        }
    }
}

/// A text that is not a position.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a position is a decimal number from 0 to {}, as the log returns it", Position::LARGEST)]
pub struct PositionParseError;

impl FromStr for Position {
    type Err = PositionParseError;

    fn from_str(text: &str) -> Result<Self, PositionParseError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u128 = text.parse().map_err(|_| PositionParseError)?;
        if digits && number <= Self::LARGEST { Ok(Self(number)) } else { Err(PositionParseError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_digits_are_a_position() {
        assert_eq!("12".parse(), Ok(Position(12)));
        assert_eq!(Position::LARGEST.to_string().parse(), Ok(Position(Position::LARGEST)));
        let beyond = (Position::LARGEST + 1).to_string();
        for bad in ["", "+1", "-1", "1.0", " 1", &beyond, "x"] {
            assert_eq!(bad.parse::<Position>(), Err(PositionParseError), "{bad:?}");
        }
    }

    #[test]
    fn an_era_holds_its_own_start() {
        assert_eq!(Position(Position::ERA + 5).era_start(), Position(Position::ERA));
        assert_eq!(Position(5).era_start(), Position::START);
    }

    #[test]
    fn a_later_era_is_told_by_its_tag_before_thirteen_digits() {
        let position = Position::in_era(1_795_945_000_123_456, 7);
        assert_eq!(position.to_string(), "17959450001234560000000000007");
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!((position.era_tag(), position.number_in_era()), (1_795_945_000_123_456, 7));
        assert!(Position::in_era(0, 9_999_999_999_999) < position);
        assert_eq!(Position::in_era(0, 7), Position(7));
        assert_eq!(Position::in_era(0, -7), Position::START);
    }
    proptest! {
        #[test]
        fn positions_have_the_order_of_eras_and_of_numbers_and_come_back_from_their_texts(
            one in place(),
            other in place(),
        ) {
            let [first, second] = [one, other].map(|(tag, number)| Position::in_era(tag, number));
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
            prop_assert_eq!(first.era_start().cmp(&second.era_start()), one.0.cmp(&other.0));
            prop_assert_eq!((first.era_tag(), first.number_in_era()), one);
            prop_assert_eq!(first.to_string().parse(), Ok(first));
            prop_assert_eq!(first.era_start(), Position::in_era(one.0, 0));
            prop_assert_eq!(first.next().previous(), first);
            prop_assert_eq!(first.next().get(), first.get() + 1);
        }
    }

    /// An era's tag and a number in the era: often an edge, else anything.
    fn place() -> impl Strategy<Value = (i64, i64)> {
        let last = i64::try_from(Position::ERA).unwrap() - 1;
        let tag = prop_oneof![Just(0), Just(1), Just(i64::MAX), 0..3_i64, 0..=i64::MAX];
        let number = prop_oneof![Just(0), Just(1), Just(last), 0..3_i64, 0..=last];
        (tag, number)
    }
}
