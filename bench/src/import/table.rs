//! The report of `bench import`: a table, the targets, and what it stands on.

use std::io::{self, Write};
use std::thread::available_parallelism;

use anyhow::Result;

use super::{FULL_EVENTS, FULL_RUNS, Imports, Options, Round};
use crate::comparison::{self, Figure, Pair};
use crate::report::{Spread, Thousands, count};
use crate::target::{self, Bound, Target};

/// Prints the report to standard output.
pub(super) fn print(options: &Options, rounds: &[Round], size: u64) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options, size)?;
    let of = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let (limit, first, second) =
        (of(|round| round.limit), of(|round| round.imports.first.rate), of(|round| round.imports.second.rate));
    writeln!(output, "\n{:26}{:>10}{:>18}{:>14}", "", "events/s", "least–greatest", "CPU µs/event")?;
    let processors =
        [None, Some(of(|round| round.imports.first.processor)), Some(of(|round| round.imports.second.processor))];
    let cases = [("batched limit", &limit), ("import", &first), ("the same file again", &second)];
    for ((what, rates), processor) in cases.into_iter().zip(processors) {
        let Some(rate) = Spread::of(rates.iter().copied()) else { continue };
        let range = format!("{}–{}", Thousands(rate.least), Thousands(rate.greatest));
        let processor = processor.and_then(Spread::of).map_or_else(|| "–".to_owned(), |of| format!("{:.1}", of.median));
        writeln!(output, "{what:26}{:>10}{range:>18}{processor:>14}", Thousands(rate.median))?;
    }
    writeln!(
        output,
        "\nThe limit: as many of the same rows by UNNEST, in batches of 256 and of 1,024 from one connection, whichever is\n\
         better; without reading, numbering, deduplication, catalogue and words. CPU is the program's own.\n"
    )?;
    let memory = rounds.iter().flat_map(|round| [round.imports.first.megabytes, round.imports.second.megabytes]);
    let targets = [
        Target {
            what: "import, events/s of the better batched limit",
            reached: Spread::of_ratios(&first, &limit),
            bound: Bound::AtLeast(0.7),
        },
        Target {
            what: "the same file again, events/s of the first time",
            reached: Spread::of_ratios(&second, &first),
            bound: Bound::AtLeast(2.0),
        },
        Target {
            what: "the most memory of an import, in MB",
            reached: Spread::of(memory),
            bound: Bound::AtMost(150.0),
        },
    ];
    target::write(&mut output, &targets)?;
    Ok(())
}

/// Prints the comparison of this build with the other one.
pub(super) fn print_comparison(options: &Options, imports: &Pair<Vec<Imports>>, size: u64) -> Result<()> {
    let mut output = io::stdout().lock();
    write_head(&mut output, options, size)?;
    writeln!(output)?;
    comparison::write(&mut output, &figures(&imports.this), &figures(&imports.other))?;
    writeln!(output, "\nmemory: the most that the program had. CPU is the program's own.")?;
    Ok(())
}

fn write_head(output: &mut impl Write, options: &Options, size: u64) -> io::Result<()> {
    let cores = available_parallelism().map_or(0, usize::from);
    let mean = size / u64::try_from(options.events).unwrap_or(u64::MAX).max(1);
    let events = Thousands(count(options.events));
    writeln!(
        output,
        "import: {events} events of {mean} bytes on average; medians of {} runs; {cores} cores",
        options.runs
    )?;
    if !options.is_full() {
        let full = Thousands(count(FULL_EVENTS));
        writeln!(output, "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {full} events")?;
    }
    Ok(())
}

/// Returns the figures by which two builds are compared.
fn figures(imports: &[Imports]) -> Vec<Figure> {
    let of = |value: fn(&Imports) -> f64| imports.iter().map(value).collect::<Vec<_>>();
    let (import, again) = ("import", "the same file again");
    vec![
        Figure::rate(import, "events/s", of(|one| one.first.rate)),
        Figure::cost(import, "CPU µs/event", of(|one| one.first.processor)),
        Figure::cost(import, "memory MB", of(|one| one.first.megabytes)),
        Figure::rate(again, "events/s", of(|one| one.second.rate)),
        Figure::cost(again, "CPU µs/event", of(|one| one.second.processor)),
        Figure::cost(again, "memory MB", of(|one| one.second.megabytes)),
    ]
}
