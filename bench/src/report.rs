//! Numbers of several runs, and how they are told: medians, spreads, percentiles.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

/// What several runs gave: the median, and between what they lay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The value in the middle; between two, their mean.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) greatest: f64,
}

impl Spread {
    /// The spread of some values; None without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, least, greatest })
    }

    /// The spread of ratios, each between two values of the same run: what disturbs a run disturbs both.
    pub(crate) fn of_ratios(values: &[f64], references: &[f64]) -> Option<Self> {
        Self::of(values.iter().zip(references).map(|(value, reference)| value / reference))
    }
}

/// The value below or at which so many of a hundred are (nearest rank); of none, zero. Values in ascending order.
pub(crate) fn percentile(ascending: &[Duration], percent: usize) -> Duration {
    let rank = (ascending.len() * percent).div_ceil(100);
    ascending.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A count as a number to calculate with; exact to four billion.
pub(crate) fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}

/// A median, or a dash where nothing was measured.
pub(crate) fn told(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.2}", spread.median))
}

/// Tells on standard error what is going on.
pub(crate) fn progress(what: &str) {
    // Who closed standard error does not want to know.
    _ = writeln!(io::stderr(), "{what}");
}

/// A number without a fraction, its thousands apart.
pub(crate) struct Thousands(pub(crate) f64);

impl fmt::Display for Thousands {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:.0}", self.0);
        let mut text = String::new();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        formatter.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn spread(median: f64, least: f64, greatest: f64) -> Spread {
        Spread { median, least, greatest }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(spread(2.0, 1.0, 3.0)));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 8.0]), Some(spread(3.0, 1.0, 8.0)));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        // The ratio of the medians would be 1.
        assert_eq!(Spread::of_ratios(&[10.0, 20.0, 90.0], &[20.0, 10.0, 30.0]), Some(spread(2.0, 0.5, 3.0)));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&hundred, 50), Duration::from_millis(50));
        assert_eq!(percentile(&hundred, 99), Duration::from_millis(99));
        assert_eq!(percentile(&hundred[..3], 99), Duration::from_millis(3));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn thousands_are_apart() {
        let shown: Vec<_> = [0.0, 999.4, 1000.0, 1_234_567.0].map(|number| Thousands(number).to_string()).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
