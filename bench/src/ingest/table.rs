//! The report of `bench ingest`: a table, the targets, and what it stands on.

use std::io::{self, Write};
use std::thread::available_parallelism;

use anyhow::Result;

use super::case::{Case, gateway, single_row};
use super::results::Results;
use super::{FULL_RUNS, FULL_SECONDS, Options};
use crate::comparison::{self, Pair};
use crate::report::{Spread, Thousands, count, told};
use crate::target::{self, Bound, Target};

/// Prints the report to standard output.
pub(super) fn print(options: &Options, results: &Results, acknowledged: usize, event_size: usize) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options, event_size)?;
    writeln!(output)?;
    write_table(&mut output, results)?;
    writeln!(output)?;
    target::write(&mut output, &targets(results))?;
    writeln!(
        output,
        "\nThe gateway stored each of {} acknowledged events. Its tables and the references' were emptied before each\n\
         measurement.",
        Thousands(count(acknowledged)),
    )?;
    Ok(())
}

/// Prints the comparison of this build with the other one.
pub(super) fn print_comparison(options: &Options, results: &Pair<Results>, event_size: usize) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options, event_size)?;
    writeln!(output)?;
    comparison::write(&mut output, &results.this.figures(), &results.other.figures())?;
    Ok(())
}

fn write_head(output: &mut impl Write, options: &Options, event_size: usize) -> io::Result<()> {
    let cores = available_parallelism().map_or(0, usize::from);
    let (runs, seconds) = (options.runs, options.seconds);
    writeln!(
        output,
        "ingest: events of {event_size} bytes on average; medians of {runs} runs of {seconds} s; {cores} cores"
    )?;
    if !options.is_full() {
        writeln!(output, "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {FULL_SECONDS} s of every case")?;
    }
    Ok(())
}

fn write_table(output: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(
        output,
        "{:14}{:>10}{:>18}{:>12}{:>12}{:>10}{:>10}{:>10}",
        "case", "events/s", "least–greatest", "of batched", "of pgbench", "mean ms", "p50 ms", "p99 ms"
    )?;
    let batched = results.batched_limits();
    for case in results.cases() {
        let rates = results.rates(case);
        let Some(rate) = Spread::of(rates.iter().copied()) else { continue };
        let of = |references: &[f64]| match case {
            Case::Gateway { .. } => told(Spread::of_ratios(&rates, references)),
            _ => told(None),
        };
        let pgbench = match case {
            Case::Gateway { connections, .. } => results.rates(single_row(connections)),
            _ => Vec::new(),
        };
        let (p50, p99) = results.percentiles(case);
        writeln!(
            output,
            "{case:14}{:>10}{:>18}{:>12}{:>12}{:>10}{:>10}{:>10}",
            Thousands(rate.median),
            format!("{}–{}", Thousands(rate.least), Thousands(rate.greatest)),
            of(&batched),
            of(&pgbench),
            told(Spread::of(results.means(case))),
            told(Spread::of(p50)),
            told(Spread::of(p99)),
        )?;
    }
    writeln!(
        output,
        "\n100x16: deliveries of 100 events at 16 connections. of batched: events/s, as a ratio of the better batched\n\
         limit; of pgbench: of pgbench at as many clients. Ratios are medians of the runs' own."
    )
}

fn targets(results: &Results) -> [Target; 4] {
    let (_, tail) = results.percentiles(gateway(1, 64));
    [
        Target {
            what: "100x16, events/s of the better batched limit",
            reached: Spread::of_ratios(&results.rates(gateway(100, 16)), &results.batched_limits()),
            bound: Bound::AtLeast(0.8),
        },
        Target {
            what: "1x64, events/s of pgbench at 64 clients",
            reached: Spread::of_ratios(&results.rates(gateway(1, 64)), &results.rates(single_row(64))),
            bound: Bound::AtLeast(1.0),
        },
        Target { what: "1x64, p99 in ms", reached: Spread::of(tail), bound: Bound::AtMost(25.0) },
        Target {
            what: "1x1, mean latency of pgbench's at 1 client",
            reached: Spread::of_ratios(&results.means(gateway(1, 1)), &results.means(single_row(1))),
            bound: Bound::AtMost(2.0),
        },
    ]
}
