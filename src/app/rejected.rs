//! The command `sluice rejected`.

use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use super::database::with_store;
use super::open::OpenIntake;
use crate::config::IntakeSettings;
use crate::event::{Direction, PageBounds, PageRequest};
use crate::ingest::{Retried, RetryReport};
use crate::ledger::{Ledger, RejectionFilter, StoredRejection};
use crate::store::StoreError;

/// The number of rejections that are read at once.
const PAGE: usize = 100;

/// The number of characters that a list shows of each rejection.
const SHOWN: usize = 100;

/// The maximum number of ids in an error.
const MISSING_SHOWN: usize = 20;

/// Prints rejections, the newest first: at most `limit`, with all their bytes if `with_raw` is true.
///
/// # Errors
/// The database cannot be opened, or an id or the org of the filter is unknown.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn list_rejected(
    settings: &IntakeSettings,
    filter: &RejectionFilter,
    limit: usize,
    with_raw: bool,
) -> anyhow::Result<()> {
    with_store(&settings.database, settings.create, "reading", async |store| {
        let ledger = store.ledger();
        check(&ledger, settings, filter).await?;
        let (mut after, mut shown) = (None, 0);
        loop {
            let size = PAGE.min(limit - shown);
            let bounds = PageBounds { after, before: None };
            let page =
                ledger.rejections(filter, None, &PageRequest { direction: Direction::Forward, size, bounds }).await?;
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

/// Checks that the ids of a filter exist, and that its org is in the settings or has rejections.
async fn check(ledger: &Ledger, settings: &IntakeSettings, filter: &RejectionFilter) -> anyhow::Result<()> {
    if let Some(org) = filter.org.as_ref().filter(|org| !settings.orgs.contains_key(*org)) {
        let of_org = RejectionFilter { org: Some(org.clone()), ids: None };
        let has_some = !ledger.rejections(&of_org, None, &newest()).await?.items.is_empty();
        let known = settings.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(has_some, "--org: there is no org {org:?}, and it has no rejections; the orgs are: {known}");
    }
    let missing = ledger.missing_rejections(filter).await?;
    let shown: Vec<_> = missing.iter().take(MISSING_SHOWN).map(i64::to_string).collect();
    let more = if missing.len() > shown.len() { " …" } else { "" };
    let of_org = filter.org.as_ref().map(|org| format!(" of org {org}")).unwrap_or_default();
    anyhow::ensure!(
        missing.is_empty(),
        "there is no rejection{of_org} with the id {}{more}: `sluice rejected list` shows all",
        shown.join(", ")
    );
    Ok(())
}

/// Deletes rejections and prints their number.
///
/// # Errors
/// The database cannot be opened, or an id or the org of the filter is unknown; then nothing is deleted.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn drop_rejected(settings: &IntakeSettings, filter: &RejectionFilter) -> anyhow::Result<()> {
    with_store(&settings.database, settings.create, "deleting rejected records in", async |store| {
        let ledger = store.ledger();
        check(&ledger, settings, filter).await?;
        let mut dropped = 0;
        while let Some(page) = oldest_after(&ledger, filter, None).await? {
            dropped += ledger.drop_rejections(&page.iter().map(|one| one.id).collect::<Vec<_>>()).await?;
        }
        println!("{dropped} dropped");
        Ok(())
    })
    .await
}

/// Retries rejections, the oldest first. Returns true if all were read.
///
/// # Errors
/// The database cannot be opened or fails; what was read before is stored. Or an id or the org of the filter is
/// unknown.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn retry_rejected(
    settings: &IntakeSettings,
    filter: &RejectionFilter,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let Some(opened) = OpenIntake::open(settings, "retrying rejected records in", stop).await? else {
        return Ok(false);
    };
    let ledger = opened.store.ledger();
    if let Err(error) = check(&ledger, settings, filter).await {
        opened.close().await?;
        return Err(error);
    }
    let newest = ledger.rejections(filter, None, &newest()).await?.items.first().map_or(0, |rejection| rejection.id);
    let (mut report, mut after) = (RetryReport::default(), None);
    // Later rejections are not part of this retry.
    'all: while let Some(page) = oldest_after(&ledger, filter, after).await? {
        for rejection in page {
            after = Some(rejection.id);
            if rejection.id > newest || stop.is_cancelled() {
                break 'all;
            }
            let retried = if settings.orgs.contains_key(&rejection.org) {
                opened.intake.retry(&rejection).await?
            } else {
                Retried::Broken(format!("there is no org {:?} in the settings", rejection.org))
            };
            match &retried {
                Retried::Read(_) => {}
                Retried::Broken(reason) => println!("{}: {reason}", rejection.id),
                Retried::NotWanted(name) => {
                    println!("{}: it can be read, but the org's event_types do not include {name}", rejection.id);
                }
            }
            report.add(&retried);
        }
    }
    opened.close().await?;
    let RetryReport { read, left, receipt } = report;
    println!("{read} read: {} events stored, {} duplicate; {left} left", receipt.stored, receipt.duplicates);
    if receipt.rejected > 0 {
        println!("{} of their events are still broken, and are rejected on their own", receipt.rejected);
    }
    Ok(left == 0 && receipt.rejected == 0)
}

/// Requests the newest rejection.
const fn newest() -> PageRequest<i64> {
    PageRequest { direction: Direction::Forward, size: 1, bounds: PageBounds { after: None, before: None } }
}

/// Returns the oldest rejections after an id; None if there are none.
async fn oldest_after(
    ledger: &Ledger,
    filter: &RejectionFilter,
    after: Option<i64>,
) -> Result<Option<Vec<StoredRejection>>, StoreError> {
    // The list has the newest first, so later rejections come before.
    let bounds = PageBounds { after: None, before: Some(after.unwrap_or(i64::MIN)) };
    let request = PageRequest { direction: Direction::Backward, size: PAGE, bounds };
    let mut items = ledger.rejections(filter, None, &request).await?.items;
    items.reverse();
    Ok(Some(items).filter(|items| !items.is_empty()))
}
