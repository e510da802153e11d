//! What sluice has to reach, and whether it did.

use std::io::{self, Write};

use crate::report::Spread;

/// A number that has to be on one side of a bound.
pub(crate) struct Target {
    /// What is counted.
    pub(crate) what: &'static str,
    /// What the runs gave; None where it was not measured.
    pub(crate) reached: Option<Spread>,
    /// What it has to be.
    pub(crate) bound: Bound,
}

/// The side.
pub(crate) enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// Writes a line for each target that was measured.
pub(crate) fn write(output: &mut impl Write, targets: &[Target]) -> io::Result<()> {
    for Target { what, reached, bound } in targets {
        let Some(Spread { median, least, greatest }) = reached else { continue };
        let (sign, limit, met) = match bound {
            Bound::AtLeast(limit) => ('≥', limit, median >= limit),
            Bound::AtMost(limit) => ('≤', limit, median <= limit),
        };
        let verdict = if met { "met" } else { "MISSED" };
        let limit = format!("{limit:.2}");
        let limit = limit.trim_end_matches('0').trim_end_matches('.');
        writeln!(output, "{verdict:8}{what:64}{median:>8.2} {sign} {limit:<6}({least:.2}–{greatest:.2})")?;
    }
    Ok(())
}
