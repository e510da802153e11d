//! The log that `bench read` asks for pages: a large organisation's syncs of a year or more, imported by the program
//! that is measured. An event depends only on its number and its time, so that every build gets the same events.

use std::path::Path;
use std::process::Stdio;
use std::{fs, thread};

use anyhow::{Context as _, Result, anyhow, ensure};
use okta_sim::{Organisation, OrganisationOptions};
use sluice::event::Timestamp;
use time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::gateway;
use crate::report::{Thousands, count, progress};

/// Number of events in a batch for the import.
const BATCH: usize = 1_000;

/// Settings of the import: the org has the default name of a gateway without settings, and keeps all event types.
const SETTINGS: &str = "[[orgs]]\nname = \"default\"\nevent_types = [\"*\"]\n";

/// Imports a number of events by a program into the data directory of a gateway that is not running. The events are
/// evenly spread from one moment to another, and imported in order of time.
pub(crate) async fn import(
    program: &Path,
    directory: &Path,
    events: usize,
    from: Timestamp,
    until: Timestamp,
) -> Result<()> {
    let settings = directory.join("import.toml");
    fs::write(&settings, SETTINGS)?;
    let mut command = gateway::program(program, directory)?;
    command
        .arg("import")
        .args(gateway::create_option(program, directory).await?)
        .arg("--config")
        .arg(&settings)
        .arg("--data-dir")
        .arg(directory.join("gateway"))
        .arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("the import reads nothing")?;
    let (sender, mut batches) = mpsc::channel::<String>(4);
    // Making events takes a processor, and appending them mostly another: PostgreSQL's.
    let maker = thread::spawn(move || make(events, from, until, &sender));
    let mut written = 0;
    while let Some(batch) = batches.recv().await {
        if input.write_all(batch.as_bytes()).await.is_err() {
            // The import has ended; its output, checked below, says why.
            break;
        }
        written += BATCH.min(events - written);
        if written % (events / 10).max(BATCH) < BATCH {
            progress(&format!("imported {} events", Thousands(count(written))));
        }
    }
    drop((input, batches));
    let output = child.wait_with_output().await?;
    maker.join().map_err(|_| anyhow!("events could not be made"))??;
    let said = String::from_utf8_lossy(&output.stdout);
    let stored = said.lines().find_map(|line| line.trim().strip_prefix("stored")?.trim().parse::<usize>().ok());
    ensure!(output.status.success() && stored == Some(events), "not all of {events} events were stored: {said}");
    Ok(())
}

/// Makes the events and sends them in batches, one event a line, until all are made or the receiver is gone.
fn make(events: usize, from: Timestamp, until: Timestamp, batches: &mpsc::Sender<String>) -> Result<()> {
    let mut organisation = Organisation::new(OrganisationOptions {
        applications: 40,
        instances: 200,
        users: 5_000,
        ..OrganisationOptions::default()
    });
    let span = until.date_time() - from.date_time();
    let millis = span.whole_milliseconds();
    let total = i128::try_from(events)?;
    let mut batch = String::new();
    for number in 0..total {
        let at = from.plus(Duration::milliseconds(i64::try_from(millis * number / total)?));
        batch.push_str(&organisation.event_at(at.date_time()).log_json());
        batch.push('\n');
        if (number + 1) % i128::try_from(BATCH)? == 0 || number + 1 == total {
            let full = std::mem::take(&mut batch);
            if batches.blocking_send(full).is_err() {
                break;
            }
        }
    }
    Ok(())
}
