//! `sluice rejected`.

use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use super::database::with_store;
use super::open::OpenIntake;
use crate::config::WaysIn;
use crate::event::{Direction, PageBounds, PageRequest};
use crate::ingest::{Retried, RetryReport};
use crate::store::{Ledger, RejectionFilter, StoreError, StoredRejection};

/// How many are read at once.
const PAGE: usize = 100;

/// How many characters of the bytes a list shows.
const SHOWN: usize = 100;

/// Largest number of ids that an error names.
const MISSING_TOLD: usize = 20;

/// Prints what was rejected, the newest first: at most `limit`, with all their bytes where `with_raw` says so.
///
/// # Errors
/// The database cannot be had, or has nothing that was rejected under one of the ids, or the org is unknown.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn list_rejected(
    ways_in: &WaysIn,
    filter: &RejectionFilter,
    limit: usize,
    with_raw: bool,
) -> anyhow::Result<()> {
    with_store(&ways_in.database, ways_in.create, "reading", async |store| {
        let ledger = store.ledger();
        check(&ledger, ways_in, filter).await?;
        let (mut after, mut shown) = (None, 0);
        loop {
            let size = PAGE.min(limit - shown);
            let bounds = PageBounds { after, before: None };
            let page = ledger.rejections(filter, &PageRequest { direction: Direction::Forward, size, bounds }).await?;
            for rejection in &page.items {
                print(rejection, with_raw)?;
            }
            shown += page.items.len();
            after = page.items.last().map(|rejection| rejection.id);
            if !page.has_next || shown == limit {
                if shown == 0 {
                    println!("nothing was rejected");
                } else if page.has_next {
                    println!("there are more: see --limit");
                }
                return Ok(());
            }
        }
    })
    .await
}

fn print(rejection: &StoredRejection, with_raw: bool) -> std::io::Result<()> {
    let StoredRejection { id, org, source, reason, raw, times, received_at, place } = rejection;
    let mut out = std::io::stdout().lock();
    let times = if *times > 1 { format!(" {times} times") } else { String::new() };
    let place = place.as_ref().map(|place| match &place.file {
        Some(file) => format!(" {file}:{}", place.line),
        None => format!(" line {}", place.line),
    });
    let (source, place) = (source.name(), place.unwrap_or_default());
    writeln!(out, "{id}  {received_at}  {org}  {source}{place}{times}, {} bytes: {reason}", raw.len())?;
    if with_raw {
        out.write_all(raw)?;
        return writeln!(out);
    }
    let text = String::from_utf8_lossy(raw.get(..4 * SHOWN).unwrap_or(raw)).into_owned();
    let beginning: String = text.chars().take(SHOWN).map(|one| if one.is_control() { ' ' } else { one }).collect();
    writeln!(out, "    {beginning}{}", if raw.len() > beginning.len() { " …" } else { "" })
}

/// Checks that a filter means something: an org of the settings or of which something was rejected, and ids that there are.
async fn check(ledger: &Ledger, ways_in: &WaysIn, filter: &RejectionFilter) -> anyhow::Result<()> {
    let newest =
        PageRequest { direction: Direction::Forward, size: 1, bounds: PageBounds { after: None, before: None } };
    if let Some(org) = filter.org.as_ref().filter(|org| !ways_in.orgs.contains_key(*org)) {
        let of_org = RejectionFilter { org: Some(org.clone()), ids: None };
        let has_some = !ledger.rejections(&of_org, &newest).await?.items.is_empty();
        let known = ways_in.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(has_some, "--org: there is no org {org:?}, and nothing was rejected of it; there are: {known}");
    }
    let missing = ledger.missing_rejections(filter).await?;
    let told: Vec<_> = missing.iter().take(MISSING_TOLD).map(i64::to_string).collect();
    let more = if missing.len() > told.len() { " …" } else { "" };
    let of_org = filter.org.as_ref().map(|org| format!(" of org {org}")).unwrap_or_default();
    anyhow::ensure!(
        missing.is_empty(),
        "nothing was rejected{of_org} with the id {}{more}: `sluice rejected list` shows what there is",
        told.join(", ")
    );
    Ok(())
}

/// Forgets what was rejected; gives how many there were.
///
/// # Errors
/// The database cannot be had, or has nothing that was rejected under one of the ids, or the org is unknown. Nothing is
/// forgotten then.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn drop_rejected(ways_in: &WaysIn, filter: &RejectionFilter) -> anyhow::Result<()> {
    with_store(&ways_in.database, ways_in.create, "forgetting in", async |store| {
        let ledger = store.ledger();
        check(&ledger, ways_in, filter).await?;
        let mut dropped = 0;
        while let Some(page) = oldest_after(&ledger, filter, None).await? {
            dropped += ledger.drop_rejections(&page.iter().map(|one| one.id).collect::<Vec<_>>()).await?;
        }
        println!("{dropped} dropped");
        Ok(())
    })
    .await
}

/// Reads again what was rejected, the oldest first; gives whether all could be read.
///
/// # Errors
/// The database cannot be had: what was taken in until then is. Or it has nothing that was rejected under one of the ids, or
/// the org is unknown.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn retry_rejected(
    ways_in: &WaysIn,
    filter: &RejectionFilter,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let Some(opened) = OpenIntake::open(ways_in, "reading again in", stop).await? else { return Ok(false) };
    let ledger = opened.store.ledger();
    if let Err(error) = check(&ledger, ways_in, filter).await {
        opened.close().await?;
        return Err(error);
    }
    let newest =
        PageRequest { direction: Direction::Forward, size: 1, bounds: PageBounds { after: None, before: None } };
    let newest = ledger.rejections(filter, &newest).await?.items.first().map_or(0, |rejection| rejection.id);
    let (mut report, mut after) = (RetryReport::default(), None);
    // What is rejected from now on is not what was meant.
    'all: while let Some(page) = oldest_after(&ledger, filter, after).await? {
        for rejection in page {
            after = Some(rejection.id);
            if rejection.id > newest || stop.is_cancelled() {
                break 'all;
            }
            let retried = if ways_in.orgs.contains_key(&rejection.org) {
                opened.intake.retry(&rejection).await?
            } else {
                Retried::Broken(format!("there is no org {:?} in the settings", rejection.org))
            };
            match &retried {
                Retried::Read(_) => {}
                Retried::Broken(reason) => println!("{}: {reason}", rejection.id),
                Retried::NotWanted(name) => {
                    println!("{}: it can be read, but the org's event_types do not have {name}", rejection.id);
                }
            }
            report.add(&retried);
        }
    }
    opened.close().await?;
    let RetryReport { read, left, receipt } = report;
    println!("{read} read: {} events stored, {} duplicate; {left} left", receipt.stored, receipt.duplicates);
    if receipt.rejected > 0 {
        println!("{} events of them are still broken, and are kept by themselves", receipt.rejected);
    }
    Ok(left == 0 && receipt.rejected == 0)
}

/// The oldest of what was rejected after one; None where there is nothing.
async fn oldest_after(
    ledger: &Ledger,
    filter: &RejectionFilter,
    after: Option<i64>,
) -> Result<Option<Vec<StoredRejection>>, StoreError> {
    // The list has the newest first, so what came later is before.
    let bounds = PageBounds { after: None, before: Some(after.unwrap_or(i64::MIN)) };
    let request = PageRequest { direction: Direction::Backward, size: PAGE, bounds };
    let mut items = ledger.rejections(filter, &request).await?.items;
    items.reverse();
    Ok(Some(items).filter(|items| !items.is_empty()))
}
