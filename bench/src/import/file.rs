//! The file: events of the pool again and again, each under an identity of its own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use sluice::event::ReceivedEvent;
use uuid::Uuid;

/// Writes so many events, one a line; gives the file's size in bytes.
pub(super) fn write(path: &Path, pool: &[ReceivedEvent], events: usize) -> Result<u64> {
    let parts = pool.iter().map(|event| {
        let uuid = event.occurrence.uuid.to_string();
        event.raw.split_once(&uuid).context("an event does not hold its identity")
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for (before, after) in parts.iter().cycle().take(events) {
        writeln!(file, "{before}{}{after}", Uuid::new_v4())?;
    }
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}
