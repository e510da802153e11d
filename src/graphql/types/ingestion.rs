//! Ingestion: the state of each way in, and the coverage of stretches of time.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::directives::semantic_non_null;
use super::enums::{IngestSourceNode, IngestStateNode};
use super::filter::{TimeRangeInput, read_range};
use super::orgs::Orgs;
use super::page::PageArguments;
use super::rejected::{self, RejectedRecordConnection};
use super::scalars::{DateTime, LogPosition, saturated};
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

/// The health of each source of events, the completeness of the log, and the records that could not be read.
#[Object]
impl Ingestion {
    /// The newest position of the log.
    async fn head(&self, context: &Context<'_>) -> Result<LogPosition> {
        context.data::<View>()?.head().await.map(LogPosition).map_err(|error| from_store(&error))
    }

    /// The event hook of each org, each System Log that is read, and every other source that has brought something. The
    /// sources of an org are there only for a viewer who sees the whole org.
    async fn sources(&self, context: &Context<'_>) -> Result<Vec<IngestSourceStatus>> {
        let view = context.data::<View>()?;
        let cursors = view.poll_cursors().await.map_err(|error| from_store(&error))?;
        let tallies = view.tallies().await.map_err(|error| from_store(&error))?;
        let refusals = view.hook_refusals().await.map_err(|error| from_store(&error))?;
        Ok(statuses(&seen_orgs(context)?, &cursors, &tallies, &refusals))
    }

    /// For each stretch of a range of time, whether sluice has read it completely from the System Log, the oldest first. More
    /// than 10,000 stretches are an error.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn coverage(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The Okta org, by its name in sluice's settings. Required if there are several.")] org: Option<
            String,
        >,
        #[graphql(desc = "The range of time. It begins in 2009 and ends now where an end is left out.")]
        published: TimeRangeInput,
    ) -> Option<Result<Vec<Coverage>>> {
        Some(read_coverage(context, org, &published).await)
    }

    /// Records that came in and could not be read, the newest first. A page of large records has fewer items than asked for.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn rejected(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "The maximum number of items, counted from the start of the list: 0 to 1,000. Without `first` and `last`, 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end of the list: 0 to 1,000.")] last: Option<
            i32,
        >,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
    ) -> Option<Result<RejectedRecordConnection>> {
        Some(rejected::page(context, PageArguments { first, after, last, before }).await)
    }
}

/// The state of a source of events in an org.
#[derive(SimpleObject)]
struct IngestSourceStatus {
    /// The Okta org, by its name in sluice's settings.
    org: String,
    /// The source of events.
    source: IngestSourceNode,
    /// The state of the source.
    state: IngestStateNode,
    /// The progress of reading the System Log for the first time, also while that fails; null otherwise.
    backfill: Option<Backfill>,
    /// When the source last brought an event; null if it has brought none.
    last_arrival_at: Option<DateTime>,
    /// Of a System Log: the seconds since it was read to its end. While it is being read for the first time, the seconds by
    /// which that is behind. Null for other sources.
    lag_seconds: Option<f64>,
    /// The number of events that this source brought first.
    arrived: i32,
    /// The number of events of this source that were stored already.
    duplicates: i32,
    /// The last error; null if the source has succeeded since.
    last_error: Option<IngestError>,
}

/// The progress of reading a System Log for the first time.
#[derive(SimpleObject)]
struct Backfill {
    /// The moment from which the System Log is read.
    from: DateTime,
    /// The moment through which the System Log has been read.
    through: DateTime,
    /// The moment through which the System Log is to be read: now.
    until: DateTime,
    /// The part that has been read, from 0 to 1.
    progress: f64,
}

/// An error of a source of events.
#[derive(SimpleObject)]
struct IngestError {
    /// The error, in words.
    message: String,
    /// When the error happened.
    at: DateTime,
}

/// The certainty that a stretch of time is complete.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
enum CoverageState {
    /// The System Log was read for the whole stretch, some time after its end. Events that arrive later are counted, too.
    Verified,
    /// The log has the events that hooks and other sources brought. Others may be missing.
    Unverified,
}

/// A stretch of time, and whether its events are complete.
#[derive(SimpleObject)]
struct Coverage {
    /// The first moment of the stretch, inclusive.
    from: DateTime,
    /// The end of the stretch, exclusive.
    until: DateTime,
    /// The certainty that all events are there.
    state: CoverageState,
    /// The number of stored events that happened in the stretch.
    events: i32,
    /// The number of events that hooks missed: of the types that Okta offers to hooks, those that no hook has brought. Events
    /// that happened before the org's first hook delivery came are not counted, nor are those that an import alone has
    /// brought.
    missed_by_hooks: i32,
}

/// Reads the coverage of a range of time.
async fn read_coverage(
    context: &Context<'_>,
    org: Option<String>,
    published: &TimeRangeInput,
) -> Result<Vec<Coverage>> {
    let view = context.data::<View>()?;
    let org = match org {
        Some(org) => known_org(context, org).await?,
        None => only_org(seen_orgs(context)?)?,
    };
    let range = read_range("published", Some(published)).map_err(|error| bad_input(error.to_string()))?;
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
        events: saturated(count.events),
        missed_by_hooks: saturated(count.missed_by_hooks),
    });
    Ok(coverage.collect())
}

/// Returns the configured orgs of which the viewer may see the ingestion.
fn seen_orgs(context: &Context<'_>) -> Result<Vec<String>> {
    let (orgs, view) = (context.data::<Orgs>()?, context.data::<View>()?);
    Ok(orgs.0.iter().filter(|org| view.rights().see_ingestion_of(org)).cloned().collect())
}

/// Returns the only one of these orgs; an error unless there is exactly one.
fn only_org(mut orgs: Vec<String>) -> Result<String> {
    match (orgs.pop(), orgs.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), _) => Err(coded("AMBIGUOUS_ORG", "there are several orgs: say which with `org`")),
        (None, _) => Err(bad_input("there is no org of which this reader may see the ingestion")),
    }
}

/// Returns an org that is configured or was: something of it is in the log.
async fn known_org(context: &Context<'_>, org: String) -> Result<String> {
    let orgs = seen_orgs(context)?;
    if orgs.contains(&org) {
        return Ok(org);
    }
    let view = context.data::<View>()?;
    let cursors = view.poll_cursors().await.map_err(|error| from_store(&error))?;
    let tallies = view.tallies().await.map_err(|error| from_store(&error))?;
    if cursors.iter().any(|cursor| cursor.org == org) || tallies.iter().any(|tally| tally.org == org) {
        return Ok(org);
    }
    Err(bad_input(format!("`org` is {org:?}, and there is no such org; there are: {}", orgs.join(", "))))
}

/// Returns the last failure of an org's hook since something came: a delivery that failed by Okta's word, or a request that
/// was refused here.
fn hook_failure(
    org: &str,
    cursors: &[PollCursor],
    refusals: &[HookRefusal],
    last_arrival: Option<Timestamp>,
) -> Option<IngestError> {
    let failed = cursors.iter().find(|cursor| cursor.org == org).and_then(|cursor| cursor.failed_delivery_at);
    let failed = failed.map(|at| (at, "Okta could not deliver".to_owned()));
    let refused = refusals.iter().find(|refusal| refusal.org == org);
    let refused = refused.map(|refusal| (refusal.at, format!("refused a request: {}", refusal.reason)));
    let newest = failed.into_iter().chain(refused).max_by_key(|(at, _)| *at);
    let newest = newest.filter(|(at, _)| last_arrival.is_none_or(|arrival| *at > arrival));
    newest.map(|(at, message)| IngestError { message, at: DateTime(at) })
}

impl IngestSourceStatus {
    /// The status of a source in a state, without anything that it has brought.
    fn new(org: &str, source: IngestSource, state: SourceState) -> Self {
        Self {
            org: org.to_owned(),
            source: source.into(),
            state: state.into(),
            backfill: None,
            last_arrival_at: None,
            lag_seconds: None,
            arrived: 0,
            duplicates: 0,
            last_error: None,
        }
    }

    fn with_tally(self, tally: &IngestTally) -> Self {
        Self {
            last_arrival_at: Some(DateTime(tally.last_arrival_at)),
            arrived: saturated(tally.arrived),
            duplicates: saturated(tally.duplicates),
            ..self
        }
    }

    /// The status with an error, which decides the state.
    fn with_error(self, error: Option<IngestError>) -> Self {
        let state = if error.is_some() { IngestStateNode::Failing } else { self.state };
        Self { state, last_error: error, ..self }
    }

    /// The status of reading a System Log.
    fn of_system_log(cursor: &PollCursor, tally: Option<&IngestTally>, now: Timestamp) -> Self {
        let state = if cursor.caught_up_at.is_some() { SourceState::Following } else { SourceState::Backfilling };
        let error = cursor.last_error.as_ref();
        let error = error.map(|error| IngestError { message: error.message.clone(), at: DateTime(error.at) });
        let status = Self::new(&cursor.org, IngestSource::SystemLog, state);
        let status = Self {
            backfill: cursor.caught_up_at.is_none().then(|| Backfill::new(cursor, now)),
            lag_seconds: Some(seconds(cursor.caught_up_at.unwrap_or(cursor.read_through), now)),
            ..status
        };
        tally.into_iter().fold(status, Self::with_tally).with_error(error)
    }
}

impl Backfill {
    fn new(cursor: &PollCursor, now: Timestamp) -> Self {
        let (from, through) = (cursor.backfill_from, cursor.read_through);
        let progress = seconds(from, through) / seconds(from, now).max(0.001);
        Self { from: DateTime(from), through: DateTime(through), until: DateTime(now), progress: progress.min(1.0) }
    }
}

/// The seconds from one moment to a later one; 0 if it is not later.
#[expect(clippy::cast_precision_loss, reason = "a span of time has few digits")]
fn seconds(from: Timestamp, until: Timestamp) -> f64 {
    (until.millis() - from.millis()).max(0) as f64 / 1000.0
}

fn statuses(
    orgs: &[String],
    cursors: &[PollCursor],
    tallies: &[IngestTally],
    refusals: &[HookRefusal],
) -> Vec<IngestSourceStatus> {
    let tally_of =
        |org: &str, source| tallies.iter().find(|tally: &&IngestTally| tally.org == org && tally.source == source);
    let is_polled = |tally: &IngestTally| {
        tally.source == IngestSource::SystemLog && cursors.iter().any(|cursor| cursor.org == tally.org)
    };
    let mut statuses: Vec<_> = tallies
        .iter()
        .filter(|tally| !is_polled(tally))
        .map(|tally| {
            let is_hook = tally.source == IngestSource::EventHook;
            let failure =
                is_hook.then(|| hook_failure(&tally.org, cursors, refusals, Some(tally.last_arrival_at))).flatten();
            let status = IngestSourceStatus::new(&tally.org, tally.source, SourceState::Receiving);
            status.with_tally(tally).with_error(failure)
        })
        .collect();
    statuses.extend(cursors.iter().map(|cursor| {
        let tally = tally_of(&cursor.org, IngestSource::SystemLog);
        IngestSourceStatus::of_system_log(cursor, tally, Timestamp::now())
    }));
    let quiet = orgs.iter().filter(|org| tally_of(org, IngestSource::EventHook).is_none());
    statuses.extend(quiet.map(|org| {
        let status = IngestSourceStatus::new(org, IngestSource::EventHook, SourceState::Waiting);
        status.with_error(hook_failure(org, &[], refusals, None))
    }));
    statuses.sort_by(|one, other| (&one.org, one.source as u8).cmp(&(&other.org, other.source as u8)));
    statuses
}

/// The earliest moment of any event: Okta was founded in 2009.
fn first_moment() -> Timestamp {
    Timestamp::parse("2009-01-01T00:00:00Z").unwrap_or_else(Timestamp::now)
}
