//! The report of `bench hostile`: a table, the targets, the lost events, and the definitions of its figures.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread::available_parallelism;

use anyhow::{Result, bail};

use super::attack::{Attack, Deeds};
use super::victims::{Answers, Felt};
use super::{FULL_EVENTS, FULL_RUNS, FULL_SECONDS, Options};
use crate::report::{Spread, Thousands, count, millis, percentile};

/// A time during an attack may be this many times the time without an attack, and `ALLOWANCE` milliseconds more.
const FACTOR: f64 = 5.0;
const ALLOWANCE: f64 = 10.0;

/// Longest p99 of a hook, in milliseconds: Okta gives up after 3 s.
const HOOK: f64 = 500.0;

/// Largest growth of the gateway's memory for clients without a token, in MiB.
const GROWTH: f64 = 64.0;

/// Largest number of lost events that the report names.
const MOST_NAMED: usize = 20;

/// Measurements of all rounds.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) quiet: Vec<Felt>,
    pub(super) attacked: BTreeMap<Attack, Vec<(Felt, Deeds)>>,
}

/// A figure of an attack and its limit.
#[derive(Debug, PartialEq)]
struct Verdict {
    what: String,
    reached: f64,
    limit: f64,
}

/// Prints the report to standard output.
///
/// # Errors
/// An event was lost, or pushed more than once.
pub(super) fn print(options: &Options, results: &Results) -> Result<()> {
    let mut output = io::stdout().lock();
    let cores = available_parallelism().map_or(0, usize::from);
    writeln!(
        output,
        "hostile: a log of {} events; medians of {} runs of {} s; {cores} cores",
        Thousands(count(options.events)),
        options.runs,
        options.seconds
    )?;
    if !options.is_full() {
        writeln!(
            output,
            "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {FULL_SECONDS} s of all attacks over {} events",
            Thousands(count(FULL_EVENTS))
        )?;
    }
    writeln!(output)?;
    write_table(&mut output, results)?;
    writeln!(output)?;
    for verdict in verdicts(results) {
        verdict.write(&mut output)?;
    }
    writeln!(
        output,
        "\nreader: small queries, 50 a second. hook: deliveries of one event, 20 a second. Both count from when a request\n\
         was due, each over a new connection. lag: from an event's commit, the wait for the disk included, to its receipt.\n\
         failed: not answered with 200 within 5 s. memory: largest growth of the gateway during a measurement. The attackers\n\
         have an address of their own. answered, refused, closed: their requests with 200, with another status, and their\n\
         connections that the gateway closed, in a run."
    )?;
    let lost = lost(results);
    if lost.is_empty() { Ok(()) } else { bail!("events were lost or pushed twice:\n{}", lost.join("\n")) }
}

fn write_table(output: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(
        output,
        "{:10}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}{:>9}{:>12}{:>11}{:>10}{:>10}",
        "attack",
        "reader p50",
        "reader p95",
        "hook p50",
        "hook p99",
        "lag p50",
        "lag p99",
        "failed",
        "memory MiB",
        "answered",
        "refused",
        "closed"
    )?;
    write_row(output, "none", &results.quiet.iter().collect::<Vec<_>>(), None)?;
    for (attack, measured) in &results.attacked {
        let felt: Vec<_> = measured.iter().map(|(felt, _)| felt).collect();
        let deeds: Vec<_> = measured.iter().map(|(_, deeds)| *deeds).collect();
        write_row(output, attack.name(), &felt, Some(&deeds))?;
    }
    Ok(())
}

fn write_row(output: &mut impl Write, name: &str, felt: &[&Felt], deeds: Option<&[Deeds]>) -> io::Result<()> {
    let failed: usize = felt.iter().map(|felt| felt.reader.failed + felt.hook.failed + felt.ready.failed).sum();
    write!(output, "{name:10}")?;
    for value in [
        median(felt, |felt| answered(&felt.reader, 50)),
        median(felt, |felt| answered(&felt.reader, 95)),
        median(felt, |felt| answered(&felt.hook, 50)),
        median(felt, |felt| answered(&felt.hook, 99)),
        median(felt, |felt| millis(percentile(&felt.lags, 50))),
        median(felt, |felt| millis(percentile(&felt.lags, 99))),
    ] {
        write!(output, "{value:>11.2}")?;
    }
    write!(output, "{failed:>9}{:>12.1}", median(felt, mebibytes))?;
    for value in [|deeds: &Deeds| deeds.answered, |deeds: &Deeds| deeds.refused, |deeds: &Deeds| deeds.closed] {
        let all = deeds.and_then(|deeds| Spread::of(deeds.iter().map(|deeds| count(value(deeds)))));
        write!(output, "{:>11}", all.map_or_else(String::new, |all| Thousands(all.median).to_string()))?;
    }
    writeln!(output)
}

/// Returns the median of a figure over the runs; NaN without a run.
fn median(felt: &[&Felt], value: impl Fn(&Felt) -> f64) -> f64 {
    Spread::of(felt.iter().map(|felt| value(felt))).map_or(f64::NAN, |spread| spread.median)
}

fn answered(answers: &Answers, percent: usize) -> f64 {
    millis(percentile(&answers.latencies, percent))
}

fn mebibytes(felt: &Felt) -> f64 {
    count(usize::try_from(felt.growth / 1024).unwrap_or(usize::MAX)) / 1024.0
}

fn verdicts(results: &Results) -> Vec<Verdict> {
    let quiet: Vec<_> = results.quiet.iter().collect();
    let allowed = |value: fn(&Felt) -> f64| median(&quiet, value).mul_add(FACTOR, ALLOWANCE);
    let reader = |felt: &Felt| answered(&felt.reader, 95);
    let lag = |felt: &Felt| millis(percentile(&felt.lags, 99));
    let each = results.attacked.iter().flat_map(|(attack, measured)| {
        let felt: Vec<_> = measured.iter().map(|(felt, _)| felt).collect();
        let not_ready: usize = felt.iter().map(|felt| felt.ready.failed).sum();
        let verdict = |what: &str, reached, limit| Verdict { what: format!("{attack}: {what}"), reached, limit };
        let growth = attack
            .is_anonymous()
            .then(|| verdict("growth of the gateway's memory, MiB", median(&felt, mebibytes), GROWTH));
        [
            verdict("the other reader's p95, ms", median(&felt, reader), allowed(reader)),
            verdict("the subscriber's lag p99, ms", median(&felt, lag), allowed(lag)),
            verdict("the hook's p99, ms", median(&felt, |felt| answered(&felt.hook, 99)), HOOK),
            verdict("probes that found the gateway not ready", count(not_ready), 0.0),
        ]
        .into_iter()
        .chain(growth)
    });
    each.collect()
}

impl Verdict {
    fn is_met(&self) -> bool {
        self.reached <= self.limit
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        writeln!(output, "{verdict:8}{:56}{:>10.2} ≤ {:.2}", self.what, self.reached, self.limit)
    }
}

/// Returns a line for each measurement in which events were lost or pushed twice.
fn lost(results: &Results) -> Vec<String> {
    let quiet = results.quiet.iter().map(|felt| ("none", felt));
    let attacked = results.attacked.iter().flat_map(|(attack, all)| all.iter().map(|(felt, _)| (attack.name(), felt)));
    let each = quiet.chain(attacked).filter_map(|(attack, felt)| {
        let Felt { not_stored, not_pushed, doubled, .. } = felt;
        if (*not_stored, not_pushed.len(), *doubled) == (0, 0, 0) {
            return None;
        }
        let named: Vec<_> = not_pushed.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        Some(format!(
            "attack {attack}: {not_stored} acknowledged events are not in the log; {} events did not reach the subscriber \
             (positions {}{}); {doubled} came twice",
            not_pushed.len(),
            named.join(", "),
            if not_pushed.len() > MOST_NAMED { " …" } else { "" }
        ))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn felt(millis: u64, failed: usize) -> Felt {
        let answers = || Answers { latencies: vec![Duration::from_millis(millis)], failed };
        let lags = vec![Duration::from_millis(millis)];
        Felt { reader: answers(), hook: answers(), ready: answers(), lags, ..Felt::default() }
    }

    #[test]
    fn limits_follow_from_the_quiet_measurement() {
        let mut results = Results { quiet: vec![felt(2, 0)], ..Results::default() };
        results.attacked.insert(Attack::Tokens, vec![(felt(20, 1), Deeds::default())]);
        let verdicts = verdicts(&results);
        let missed: Vec<_> =
            verdicts.iter().filter(|verdict| !verdict.is_met()).map(|verdict| &*verdict.what).collect();
        assert_eq!(missed, ["tokens: probes that found the gateway not ready"]);
        assert_eq!((verdicts.len(), verdicts[0].limit.round()), (5, 20.0));
        assert!(lost(&results).is_empty());
        results.quiet[0].not_pushed = vec![7];
        assert!(lost(&results)[0].contains("positions 7)"));
    }
}
