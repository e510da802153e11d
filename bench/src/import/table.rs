//! The report of `bench import`: a table, the targets, and what it stands on.

use std::io::{self, Write};
use std::thread::available_parallelism;

use anyhow::Result;

use super::{FULL_EVENTS, FULL_RUNS, Options, Round};
use crate::report::{Spread, Thousands, count};
use crate::target::{self, Bound, Target};

/// Prints the report to standard output.
pub(super) fn print(options: &Options, rounds: &[Round], size: u64) -> Result<()> {
    let mut output = io::stdout().lock();
    let cores = available_parallelism().map_or(0, usize::from);
    let mean = size / u64::try_from(options.events)?;
    let events = Thousands(count(options.events));
    writeln!(
        output,
        "import: {events} events of {mean} bytes on average; medians of {} runs; {cores} cores",
        rounds.len()
    )?;
    if !options.is_full() {
        let full = Thousands(count(FULL_EVENTS));
        writeln!(output, "SMALLER THAN FULL SIZE, which is {FULL_RUNS} runs of {full} events")?;
    }
    let of = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let (limit, first, second) = (of(|round| round.limit), of(|round| round.first.rate), of(|round| round.second.rate));
    writeln!(output, "\n{:26}{:>10}{:>18}{:>14}", "", "events/s", "least–greatest", "CPU µs/event")?;
    let processors = [None, Some(of(|round| round.first.processor)), Some(of(|round| round.second.processor))];
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
    let memory = rounds.iter().flat_map(|round| [round.first.megabytes, round.second.megabytes]);
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
