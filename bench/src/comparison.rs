//! Comparison of two builds of the gateway: the order in which they are measured, and the ratios of their figures.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::report::{Spread, Thousands};

/// Least ratio of this build's rate to the other build's at which this build counts as no worse.
const NO_WORSE: f64 = 0.95;

/// Option of the benchmarks that can compare two builds.
#[derive(Debug, clap::Args)]
pub(crate) struct Against {
    /// Another build of sluice's program, such as that of the previous commit. The benchmark measures both builds in
    /// every round and reports the ratios; it leaves out the other references.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,
}

/// One of the two builds that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The build given with `--sluice`.
    This,
    /// The build given with `--against`.
    Other,
}

impl Build {
    /// Returns the order of the builds in a round; rounds count from 1. The order alternates, since the first
    /// measurement may warm up the machine for the second one.
    pub(crate) const fn order(run: usize) -> [Self; 2] {
        if run.is_multiple_of(2) { [Self::Other, Self::This] } else { [Self::This, Self::Other] }
    }

    /// The name of the build's directory.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::This => "this",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::This => "this build",
            Self::Other => "the other build",
        })
    }
}

/// One value for each of the two builds.
#[derive(Debug)]
pub(crate) struct Pair<T> {
    pub(crate) this: T,
    pub(crate) other: T,
}

impl<T> Pair<T> {
    /// Returns the value of a build.
    pub(crate) const fn of(&mut self, build: Build) -> &mut T {
        match build {
            Build::This => &mut self.this,
            Build::Other => &mut self.other,
        }
    }
}

/// The direction in which a figure improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// Higher is better: rates.
    More,
    /// Lower is better: times, memory and CPU time.
    Less,
}

impl Better {
    /// Returns the comparison sign and the bound for the ratio of this build to the other one.
    const fn bound(self) -> (char, f64) {
        match self {
            Self::More => ('≥', NO_WORSE),
            Self::Less => ('≤', 1.0 / NO_WORSE),
        }
    }

    fn is_no_worse(self, ratio: f64) -> bool {
        let (_, bound) = self.bound();
        match self {
            Self::More => ratio >= bound,
            Self::Less => ratio <= bound,
        }
    }
}

/// A number that a benchmark reports for a build.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The case that was measured.
    pub(crate) case: String,
    /// The quantity, with its unit.
    pub(crate) name: &'static str,
    /// The direction in which it improves.
    pub(crate) better: Better,
    /// One value for each round, in the order of the rounds.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    /// Makes a figure of which more is better, such as a rate.
    pub(crate) fn rate(case: impl fmt::Display, name: &'static str, values: Vec<f64>) -> Self {
        Self { case: case.to_string(), name, better: Better::More, values }
    }

    /// Makes a figure of which less is better: a time, memory or CPU time.
    pub(crate) fn cost(case: impl fmt::Display, name: &'static str, values: Vec<f64>) -> Self {
        Self { case: case.to_string(), name, better: Better::Less, values }
    }
}

/// Writes a line for each figure that both builds have: both medians, the median of the rounds' ratios, and the verdict
/// whether this build is no worse.
pub(crate) fn write(output: &mut impl Write, this: &[Figure], other: &[Figure]) -> io::Result<()> {
    writeln!(
        output,
        "{:10}{:24}{:18}{:>12}{:>12}{:>9}         least–greatest",
        "", "case", "figure", "this", "other", "ratio"
    )?;
    for figure in this {
        let same = |candidate: &&Figure| candidate.case == figure.case && candidate.name == figure.name;
        let Some(reference) = other.iter().find(same) else { continue };
        let ratios = figure.values.iter().zip(&reference.values).map(|(value, reference)| ratio(*value, *reference));
        let Some(ratios) = Spread::of(ratios) else { continue };
        let (sign, bound) = figure.better.bound();
        let is_no_worse = figure.better.is_no_worse(ratios.median);
        let verdict = if is_no_worse { "no worse" } else { "WORSE" };
        let is_noisy = !is_no_worse && ratios.least < 1.0 && ratios.greatest > 1.0;
        let median = |figure: &Figure| told(Spread::of(figure.values.iter().copied()));
        writeln!(
            output,
            "{verdict:10}{:24}{:18}{:>12}{:>12}{:>9.3} {sign} {bound:<6.3}{:.3}–{:.3}{}",
            figure.case,
            figure.name,
            median(figure),
            median(reference),
            ratios.median,
            ratios.least,
            ratios.greatest,
            if is_noisy { "  the rounds disagree" } else { "" }
        )?;
    }
    writeln!(
        output,
        "\nratio: this build's figure by the other's in the same round; the median of the rounds. ≥: more is better, and\n\
         above 1 this build is ahead; ≤: less is better, and below 1 it is ahead. No worse: a median of at least\n\
         {NO_WORSE}, or at most 1/{NO_WORSE}. Where rounds disagree, some of them found this build better: more of them tell more."
    )
}

/// Returns the ratio of two values. Two zeros count as equal, with a ratio of 1.
fn ratio(value: f64, reference: f64) -> f64 {
    if value == 0.0 && reference == 0.0 { 1.0 } else { value / reference }
}

/// Formats a median with two decimals, or without any from 1,000 on.
fn told(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |Spread { median, .. }| {
            if median >= 1000.0 { Thousands(median).to_string() } else { format!("{median:.2}") }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(this: &[Figure], other: &[Figure]) -> Vec<String> {
        let mut output = Vec::new();
        write(&mut output, this, other).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().skip(1).take_while(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn the_order_changes_with_every_round() {
        assert_eq!(Build::order(1), [Build::This, Build::Other]);
        assert_eq!(Build::order(2), [Build::Other, Build::This]);
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        // The ratio of the two medians is 1 here, so the expected 2.000 can only come from the rounds' ratios.
        let this = [Figure::rate("1x64", "events/s", vec![10.0, 20.0, 90.0])];
        let other = [Figure::rate("1x64", "events/s", vec![20.0, 10.0, 30.0])];
        let lines = written(&this, &other);
        assert!(lines[0].starts_with("no worse  1x64"), "{lines:?}");
        assert!(lines[0].ends_with("2.000 ≥ 0.950 0.500–3.000"), "{lines:?}");
    }

    #[test]
    fn a_rate_may_not_fall_and_a_cost_may_not_rise() {
        let verdict = |figure: &dyn Fn(f64) -> Figure, value: f64| {
            let lines = written(&[figure(value)], &[figure(100.0)]);
            lines[0].split("  ").next().unwrap().to_owned()
        };
        let rate = |value| Figure::rate("", "", vec![value]);
        let cost = |value| Figure::cost("", "", vec![value]);
        assert_eq!([94.0, 96.0, 200.0].map(|value| verdict(&rate, value)), ["WORSE", "no worse", "no worse"]);
        assert_eq!([50.0, 105.0, 106.0].map(|value| verdict(&cost, value)), ["no worse", "no worse", "WORSE"]);
    }

    #[test]
    fn rounds_that_disagree_are_told() {
        let lines = |values: [f64; 3]| {
            let figure = |values: &[f64]| [Figure::cost("idle", "kB", values.to_vec())];
            written(&figure(&values), &figure(&[100.0; 3]))
        };
        assert!(lines([90.0, 120.0, 130.0])[0].ends_with("0.900–1.300  the rounds disagree"));
        assert!(lines([110.0, 120.0, 130.0])[0].ends_with("1.100–1.300"));
        assert!(lines([90.0, 100.0, 130.0])[0].starts_with("no worse"));
    }

    #[test]
    fn what_only_one_build_has_is_left_out() {
        let figure = |name| Figure::cost("idle", name, vec![0.0]);
        let lines = written(&[figure("lost"), figure("doubled")], &[figure("lost")]);
        assert!(lines.len() == 1 && lines[0].contains("1.000 ≤"), "{lines:?}");
    }
}
