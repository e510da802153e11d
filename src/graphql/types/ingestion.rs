//! Ingestion: the state of each way in, and the coverage of stretches of time.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::enums::IngestSourceNode;
use super::filter::{TimeRangeInput, read_range};
use super::orgs::Orgs;
use super::page::PageArguments;
use super::rejected::{self, RejectedConnection};
use super::scalars::{DateTime, LogPosition};
use crate::event::{IngestSource, SourceState, Timestamp, stretches};
use crate::graphql::answer::error::{bad_input, coded, from_store};
use crate::ledger::{HookRefusal, IngestTally, PollCursor};
use crate::log::View;
use crate::okta::OFFERED_TO_HOOKS;
use crate::store::StretchCount;

/// Largest number of stretches in an answer.
const MAX_STRETCHES: usize = 10_000;

/// The object with the fields about ingestion.
pub(in crate::graphql) struct Ingestion;

/// What is known of the ways in.
#[Object]
impl Ingestion {
    /// The log's end.
    async fn head(&self, context: &Context<'_>) -> Result<LogPosition> {
        context.data::<View>()?.head().await.map(LogPosition).map_err(|error| from_store(&error))
    }

    /// The hooks of every org, every System Log that is read, and every other way by which something has come.
    async fn sources(&self, context: &Context<'_>) -> Result<Vec<IngestSourceStatus>> {
        let view = context.data::<View>()?;
        let cursors = view.poll_cursors().await.map_err(|error| from_store(&error))?;
        let tallies = view.tallies().await.map_err(|error| from_store(&error))?;
        let refusals = view.hook_refusals().await.map_err(|error| from_store(&error))?;
        Ok(statuses(context.data()?, &cursors, &tallies, &refusals))
    }

    /// Stretches of a time range, in order, and what is known of each. At most 10,000; more is an error.
    async fn coverage(
        &self,
        context: &Context<'_>,
        org: Option<String>,
        published: TimeRangeInput,
    ) -> Result<Vec<Coverage>> {
        let view = context.data::<View>()?;
        let org = match org {
            Some(org) => known_org(context, org).await?,
            None => only_org(context.data()?)?,
        };
        let range = read_range("published", Some(&published)).map_err(|error| bad_input(error.to_string()))?;
        let from = range.from.unwrap_or_else(first_moment);
        let until = range.until.unwrap_or_else(Timestamp::now);
        let read = view.read_windows(&org, from, until).await.map_err(|error| from_store(&error))?;
        let stretches = stretches(from, until, &read);
        if stretches.len() > MAX_STRETCHES {
            return Err(bad_input(format!("`published` has more than {MAX_STRETCHES} stretches; ask for less of it")));
        }
        // Counting reads every event of the range, so it happens only if a count is selected.
        let asked = context.look_ahead();
        let counts = if ["events", "missedByHooks"].into_iter().any(|field| asked.field(field).exists()) {
            let counts = view.count_stretches(&org, &stretches, &OFFERED_TO_HOOKS).await;
            counts.map_err(|error| from_store(&error))?
        } else {
            vec![StretchCount::default(); stretches.len()]
        };
        let coverage = stretches.into_iter().zip(counts).map(|(stretch, count)| Coverage {
            from: DateTime(stretch.from),
            until: DateTime(stretch.until),
            state: if stretch.is_verified { CoverageState::Verified } else { CoverageState::Unverified },
            events: count.events,
            missed_by_hooks: count.missed_by_hooks,
        });
        Ok(coverage.collect())
    }

    /// What came in and could not be read, the newest first. A page has fewer items than it has room for where they are
    /// large.
    async fn rejected(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<RejectedConnection> {
        rejected::page(context, PageArguments { first, after, last, before }).await
    }
}

/// How one way in is doing.
#[derive(SimpleObject)]
struct IngestSourceStatus {
    /// The configured name of the Okta org.
    org: String,
    /// The way.
    source: IngestSourceNode,
    /// `WAITING`: nothing has come yet. `RECEIVING`: something has. `FOLLOWING`: the System Log is read to its end, again and again. `BACKFILLING 42 %`:
    /// it is read for the first time, and so far through the time that Okta keeps. `FAILING`: see `lastError`.
    state: String,
    /// When it brought something last.
    last_arrival_at: Option<DateTime>,
    /// Of the System Log: how long ago it was read to its end; while it is read for the first time, how far behind that is.
    lag_seconds: Option<f64>,
    /// How many events it brought first.
    arrived: i64,
    /// How many events it brought that were there already.
    duplicates: i64,
    /// What went wrong last, where it has not gone well since.
    last_error: Option<String>,
}

/// What is known of a stretch of time.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
enum CoverageState {
    /// It was read whole from the System Log, some time after it was over. What arrives later is counted, too.
    Verified,
    /// What hooks and others have brought of it is there; whether that is all is not known.
    Unverified,
}

/// A stretch of time, and what is known of it.
#[derive(SimpleObject)]
struct Coverage {
    /// Its begin, which is in it.
    from: DateTime,
    /// Its end, which is not.
    until: DateTime,
    /// What is known of it.
    state: CoverageState,
    /// How many events of it are there.
    events: i64,
    /// The number of events that hooks missed: of the types that Okta offers to hooks, those that no hook has brought. Events
    /// that happened before the org's first hook delivery came are not counted, nor are those that an import alone has
    /// brought.
    missed_by_hooks: i64,
}

/// The only configured org; an error if there are several.
fn only_org(orgs: &Orgs) -> Result<String> {
    match orgs.0.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(coded("AMBIGUOUS_ORG", "there are several orgs: say which with `org`")),
    }
}

/// Returns an org that is configured or was: something of it is in the log.
async fn known_org(context: &Context<'_>, org: String) -> Result<String> {
    let orgs = context.data::<Orgs>()?;
    if orgs.0.contains(&org) {
        return Ok(org);
    }
    let view = context.data::<View>()?;
    let cursors = view.poll_cursors().await.map_err(|error| from_store(&error))?;
    let tallies = view.tallies().await.map_err(|error| from_store(&error))?;
    if cursors.iter().any(|cursor| cursor.org == org) || tallies.iter().any(|tally| tally.org == org) {
        return Ok(org);
    }
    Err(bad_input(format!("`org` is {org:?}, and there is no such org; there are: {}", orgs.0.join(", "))))
}

/// Returns the last failure of an org's hook since something came: a delivery that failed by Okta's word, or a request that
/// was refused here.
fn hook_failure(
    org: &str,
    cursors: &[PollCursor],
    refusals: &[HookRefusal],
    last_arrival: Option<Timestamp>,
) -> Option<String> {
    let failed = cursors.iter().find(|cursor| cursor.org == org).and_then(|cursor| cursor.failed_delivery_at);
    let failed = failed.map(|at| (at, format!("Okta could not deliver at {at}")));
    let refused = refusals.iter().find(|refusal| refusal.org == org);
    let refused =
        refused.map(|refusal| (refusal.at, format!("refused a request at {}: {}", refusal.at, refusal.reason)));
    let newest = failed.into_iter().chain(refused).max_by_key(|(at, _)| *at);
    newest.filter(|(at, _)| last_arrival.is_none_or(|arrival| *at > arrival)).map(|(_, told)| told)
}

fn statuses(
    orgs: &Orgs,
    cursors: &[PollCursor],
    tallies: &[IngestTally],
    refusals: &[HookRefusal],
) -> Vec<IngestSourceStatus> {
    let cursor_of = |org: &str| cursors.iter().find(|cursor| cursor.org == org);
    let mut statuses: Vec<_> = tallies
        .iter()
        .filter(|tally| tally.source != IngestSource::SystemLog || cursor_of(&tally.org).is_none())
        .map(|tally| {
            let is_hook = tally.source == IngestSource::EventHook;
            let failure =
                is_hook.then(|| hook_failure(&tally.org, cursors, refusals, Some(tally.last_arrival_at))).flatten();
            IngestSourceStatus {
                org: tally.org.clone(),
                source: tally.source.into(),
                state: if failure.is_some() { SourceState::Failing } else { SourceState::Receiving }.to_string(),
                last_arrival_at: Some(DateTime(tally.last_arrival_at)),
                lag_seconds: None,
                arrived: tally.arrived,
                duplicates: tally.duplicates,
                last_error: failure,
            }
        })
        .collect();
    statuses.extend(cursors.iter().map(|cursor| {
        let tally = tallies.iter().find(|tally| tally.org == cursor.org && tally.source == IngestSource::SystemLog);
        let (state, behind) = system_log_state(cursor, Timestamp::now());
        IngestSourceStatus {
            org: cursor.org.clone(),
            source: IngestSource::SystemLog.into(),
            state: state.to_string(),
            last_arrival_at: tally.map(|tally| DateTime(tally.last_arrival_at)),
            lag_seconds: Some(behind),
            arrived: tally.map_or(0, |tally| tally.arrived),
            duplicates: tally.map_or(0, |tally| tally.duplicates),
            last_error: cursor.last_error.clone(),
        }
    }));
    let is_quiet =
        |org: &&String| !tallies.iter().any(|tally| tally.org == **org && tally.source == IngestSource::EventHook);
    statuses.extend(orgs.0.iter().filter(is_quiet).map(|org| {
        let refused = hook_failure(org, &[], refusals, None);
        IngestSourceStatus {
            org: org.clone(),
            source: IngestSource::EventHook.into(),
            state: if refused.is_some() { SourceState::Failing } else { SourceState::Waiting }.to_string(),
            last_arrival_at: None,
            lag_seconds: None,
            arrived: 0,
            duplicates: 0,
            last_error: refused,
        }
    }));
    statuses.sort_by(|one, other| (&one.org, one.source as u8).cmp(&(&other.org, other.source as u8)));
    statuses
}

/// The state of reading a System Log, and its lag in seconds.
fn system_log_state(cursor: &PollCursor, now: Timestamp) -> (SourceState, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a span of time has few digits")]
    let seconds = |from: Timestamp, until: Timestamp| (until.millis() - from.millis()).max(0) as f64 / 1000.0;
    let behind = seconds(cursor.caught_up_at.unwrap_or(cursor.read_through), now);
    let state = match (&cursor.last_error, cursor.caught_up_at) {
        (Some(_), _) => SourceState::Failing,
        (None, Some(_)) => SourceState::Following,
        (None, None) => {
            let whole = (now.millis() - cursor.backfill_from.millis()).max(1);
            let done = cursor.read_through.millis() - cursor.backfill_from.millis();
            SourceState::Backfilling(u8::try_from((done * 100 / whole).clamp(0, 100)).unwrap_or(100))
        }
    };
    (state, behind)
}

/// The earliest moment of any event: Okta was founded in 2009.
fn first_moment() -> Timestamp {
    Timestamp::parse("2009-01-01T00:00:00Z").unwrap_or_else(Timestamp::now)
}
