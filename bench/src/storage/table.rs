//! The report of `bench storage`.

use std::io::{self, Write};

use anyhow::Result;

use super::measure::{Storage, TableSize};
use super::{FULL_EVENTS, MONTHS, Options};
use crate::report::{Spread, Thousands, count};
use crate::target::{self, Bound, Target};

/// Kilobytes on disk that an event may take.
const TARGET: f64 = 3.0;

/// Prints where the bytes of an event are.
pub(super) fn print(options: &Options, storage: &Storage) -> Result<()> {
    let mut output = io::stdout().lock();
    let events = count(storage.events);
    writeln!(
        output,
        "storage: {} events of {:.0} bytes of JSON on average, in {} months",
        Thousands(events),
        storage.json,
        options.months
    )?;
    if !options.is_full() {
        let full = Thousands(count(FULL_EVENTS));
        writeln!(output, "SMALLER THAN FULL SIZE, which is {full} events in {MONTHS} months")?;
    }
    writeln!(output, "\n{:58}{:>12}{:>8}", "", "bytes/event", "share")?;
    let mut line = |output: &mut dyn Write, name: &str, bytes: f64| {
        writeln!(output, "{name:58}{:>12.1}{:>7.1}%", bytes / events, bytes / storage.total() * 100.0)
    };
    for table in &storage.tables {
        line(&mut output, table.name, table.total())?;
        write_table(&mut output, table, &mut line)?;
    }
    line(&mut output, "total", storage.total())?;
    writeln!(
        output,
        "\nAfter a vacuum; without the write-ahead log. Tables that do not grow with every event, PostgreSQL's own and\n\
         the maps of these take {:.1} MB more. Headers and gaps: of rows, with the pointers to them. Unused: free space,\n\
         dead rows and the headers of pages.\n",
        storage.rest / 1e6
    )?;
    let kilobytes = storage.total() / events / 1000.0;
    let target =
        Target { what: "disk for an event, in kB", reached: Spread::of([kilobytes]), bound: Bound::AtMost(TARGET) };
    target::write(&mut output, &[target])?;
    Ok(())
}

fn write_table(
    output: &mut dyn Write,
    table: &TableSize,
    line: &mut impl FnMut(&mut dyn Write, &str, f64) -> io::Result<()>,
) -> io::Result<()> {
    if table.total() == 0.0 {
        return Ok(());
    }
    line(output, "  rows", table.heap)?;
    for (name, size) in &table.columns {
        line(output, &format!("    {name}"), *size)?;
    }
    line(output, "    headers and gaps", table.headers)?;
    line(output, "    unused", table.unused())?;
    if table.toast > 0.0 {
        line(output, "  large values (TOAST)", table.toast)?;
    }
    for (name, size) in &table.indexes {
        line(output, &format!("  index {name}"), *size)?;
    }
    Ok(())
}
