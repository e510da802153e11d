//! A moment in the format of Okta: RFC 3339, UTC, with milliseconds.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// A moment in UTC with the precision that Okta prints, so that equal texts are equal moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Returns the current time.
    pub fn now() -> Self {
        Self::from(OffsetDateTime::now_utc())
    }

    /// Parses RFC 3339 with any offset and precision; None for other texts.
    pub fn parse(text: &str) -> Option<Self> {
        // The crate accepts any separator between date and time; RFC 3339 and Okta use only `T`.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return None;
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        moment.checked_to_offset(UtcOffset::UTC).filter(is_printable).map(Self::from)
    }

    /// Returns the calendar date and time.
    pub const fn date_time(self) -> OffsetDateTime {
        self.0
    }

    /// Returns the milliseconds since 1970.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Returns the moment that is this number of milliseconds after 1970; None outside the years 0 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok().filter(is_printable).map(Self)
    }

    /// Formats the moment as Okta does.
    pub fn text(self) -> TimestampText {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second, milli) = self.0.to_hms_milli();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // The year is between 0 and 9999, since RFC 3339 has no others.
        let parts = [
            (0..4, year.unsigned_abs()),
            (5..7, u32::from(u8::from(month))),
            (8..10, u32::from(day)),
            (11..13, u32::from(hour)),
            (14..16, u32::from(minute)),
            (17..19, u32::from(second)),
            (20..23, u32::from(milli)),
        ];
        for (place, mut number) in parts {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        TimestampText(text)
    }

    /// Returns the moment that is `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Returns true for a moment of the years that RFC 3339 has. PostgreSQL has fewer years before them than `time` has.
fn is_printable(moment: &OffsetDateTime) -> bool {
    (0..=9999).contains(&moment.year())
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        let utc = moment.to_offset(UtcOffset::UTC);
        Self(utc.replace_millisecond(utc.millisecond()).unwrap_or(utc))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text().as_str())
    }
}

/// The text of a moment.
#[derive(Clone, Copy, Debug)]
pub struct TimestampText([u8; 24]);

impl TimestampText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        // The text is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_okta_prints() {
        for (text, printed) in [
            ("2024-04-21T12:47:34.228Z", "2024-04-21T12:47:34.228Z"),
            ("2024-04-21T12:47:34Z", "2024-04-21T12:47:34.000Z"),
            ("2024-04-21T12:47:34.2289999Z", "2024-04-21T12:47:34.228Z"),
            ("2024-04-21T14:47:34.5+02:00", "2024-04-21T12:47:34.500Z"),
        ] {
            assert_eq!(Timestamp::parse(text).map(|moment| moment.to_string()).as_deref(), Some(printed));
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_none() {
        for text in [
            "",
            "2022-06-22 18:18:29.015",
            "2022-06-22 18:18:29Z",
            "2022-06-22",
            "2022-13-01T00:00:00Z",
            "9999-12-31T23:59:59-23:00",
            "0000-01-01T00:00:00+00:01",
            "1700000000",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_go_there_and_back() {
        let moment = Timestamp::now();
        assert_eq!(Timestamp::from_millis(moment.millis()), Some(moment));
        for [first, beyond] in [[-62_167_219_200_000, -62_167_219_200_001], [253_402_300_799_999, 253_402_300_800_000]]
        {
            assert!(Timestamp::from_millis(first).is_some() && Timestamp::from_millis(beyond).is_none());
        }
    }
}
