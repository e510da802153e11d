//! The command `sluice import`.

mod show;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::open::OpenIntake;
use crate::config::{ChosenOrg, IntakeSettings};
use crate::ingest::{ImportEnd, ImportOptions, ImportProgress, ImportReport, RejectedLine};
use crate::ledger::Ledger;
use show::ProgressDisplay;

/// The end of an import that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportEnded {
    /// All events were taken in.
    Complete,
    /// All records were read, and some were rejected.
    SomeRejected,
    /// The import was stopped.
    Stopped,
}

/// Imports files (`-` for standard input) one after the other. The database may be that of a running gateway on the
/// same data directory. Progress is shown on standard error, and the results are printed to standard output.
///
/// # Errors
/// A file cannot be read to its end, or the database cannot be opened; what was read before is stored. Or the log has
/// events of other orgs only, and the org was not named.
pub async fn import(
    settings: &IntakeSettings,
    org: &ChosenOrg,
    files: &[PathBuf],
    stop: CancellationToken,
) -> anyhow::Result<ImportEnded> {
    // All files are checked first, so that a wrong name is not noticed after an hour.
    let sizes = files.iter().map(|path| size(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let activity = format!("importing into org {} of", org.name);
    let Some(opened) = OpenIntake::open(settings, &activity, &stop).await? else { return Ok(ImportEnded::Stopped) };
    if let Err(error) = check_org(&opened.store.ledger(), org).await {
        opened.close().await?;
        return Err(error);
    }
    let org = org.name.as_str();
    let total = sizes.into_iter().sum();
    let progress = Arc::new(ImportProgress::default());
    let display = ProgressDisplay::start(Arc::clone(&progress), total);
    let mut ended = ImportEnded::Complete;
    let mut failed = None;
    for path in files {
        let started = Instant::now();
        let source = match open(path) {
            Ok(source) => source,
            Err(error) => {
                failed.get_or_insert(error);
                continue;
            }
        };
        let options =
            ImportOptions { file: Some(name(path)), limit: None, stop: stop.clone(), progress: Arc::clone(&progress) };
        let (report, end) = opened.intake.import(org, source, options).await;
        display.suspend(|| print_report(path, &report, &end, started.elapsed().as_secs_f64()));
        if report.receipt.rejected > 0 {
            ended = ImportEnded::SomeRejected;
        }
        match end {
            ImportEnd::Complete => {}
            ImportEnd::Stopped => {
                ended = ImportEnded::Stopped;
                break;
            }
            ImportEnd::Failed(error) => {
                let goes_on = !error.is_unavailable();
                failed.get_or_insert(anyhow::Error::from(error).context(path.display().to_string()));
                if !goes_on {
                    break;
                }
            }
        }
    }
    display.end();
    opened.close().await?;
    failed.map_or(Ok(ended), Err)
}

/// Checks that an org that was not named has events in the log, unless the log is empty. Otherwise the command may have
/// been started without the gateway's settings, and an import cannot be undone.
async fn check_org(ledger: &Ledger, org: &ChosenOrg) -> anyhow::Result<()> {
    if org.is_named {
        return Ok(());
    }
    let mut known: Vec<_> = ledger.tallies().await?.into_iter().map(|tally| tally.org).collect();
    known.dedup();
    anyhow::ensure!(
        known.is_empty() || known.contains(&org.name),
        "the log has no events of org {name}, but of {known}: use the gateway's settings (--config or SLUICE_CONFIG), or, \
         to import into a new org, --org {name}",
        name = org.name,
        known = known.join(", ")
    );
    Ok(())
}

const STANDARD_INPUT: &str = "-";

/// Returns the name of a file for messages.
fn name(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) { "standard input".to_owned() } else { path.display().to_string() }
}

/// Returns the size of a readable file in bytes; None if it is unknown, as for standard input and pipes.
fn size(path: &Path) -> anyhow::Result<Option<u64>> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok(None);
    }
    let about = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    anyhow::ensure!(!about.is_dir(), "{}: is a directory", path.display());
    if !about.is_file() {
        return Ok(None);
    }
    open(path)?;
    Ok(Some(about.len()))
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path).with_context(|| path.display().to_string())?))
}

/// Prints the results of a file.
#[expect(clippy::print_stdout, reason = "the command's output")]
fn print_report(path: &Path, report: &ImportReport, end: &ImportEnd, seconds: f64) {
    let receipt = &report.receipt;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = receipt.total() as f64 / seconds.max(0.001);
    println!("{}: {} events in {seconds:.1} s ({rate:.0}/s)", path.display(), receipt.total());
    for (what, number) in [
        ("stored", receipt.stored),
        ("duplicate", receipt.duplicates),
        ("rejected", receipt.rejected),
        ("dropped", receipt.dropped),
    ] {
        println!("  {what:<10} {number}");
    }
    for (name, number) in &report.dropped_types {
        println!("    {name}: {number}, since the org's event_types do not include it");
    }
    for RejectedLine { line, reason } in &report.rejections {
        println!("  line {line}: {reason}");
    }
    let more = receipt.rejected.saturating_sub(report.rejections.len());
    if more > 0 {
        println!("  and {more} more: see `sluice rejected list`");
    }
    match end {
        ImportEnd::Complete => {}
        ImportEnd::Stopped => println!("  stopped before its end: import it again to continue"),
        ImportEnd::Failed(error) => println!("  {error}"),
    }
}
