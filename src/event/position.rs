//! An event's place in the log.

use std::fmt;
use std::str::FromStr;

/// A place in the log: 1, 2, 3 … without gaps and in commit order within an era; 0 is before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(i64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// How far apart eras start. An era takes 10^12 positions, more than a log writes in a thousand years.
    pub const ERA: i64 = 1_000_000_000_000;

    /// The position with this number; negative numbers are before the first event.
    pub fn new(number: i64) -> Self {
        Self(number.max(0))
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The start of the era it belongs to. The start itself is the era's "before the first".
    #[must_use]
    pub const fn era_start(self) -> Self {
        Self(self.0 - self.0 % Self::ERA)
    }

    /// The position after this one in the same era.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A text that is not a position.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a position is a decimal number from 0 to {}, as the log gives it", i64::MAX)]
pub struct PositionParseError;

impl FromStr for Position {
    type Err = PositionParseError;

    fn from_str(text: &str) -> Result<Self, PositionParseError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().map_err(|_| PositionParseError)?;
        if digits { Ok(Self(number)) } else { Err(PositionParseError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_position() {
        assert_eq!("12".parse(), Ok(Position(12)));
        for bad in ["", "+1", "-1", "1.0", " 1", "9223372036854775808", "x"] {
            assert_eq!(bad.parse::<Position>(), Err(PositionParseError), "{bad:?}");
        }
    }

    #[test]
    fn an_era_holds_its_own_start() {
        assert_eq!(Position(Position::ERA + 5).era_start(), Position(Position::ERA));
        assert_eq!(Position(5).era_start(), Position::START);
    }
}
