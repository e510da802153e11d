//! The tail reader: one task for each gateway reads the log's newest events, whatever the number of subscribers.
//!
//! The reader learns in three ways that the log has grown: this gateway's own commits carry their events; other gateways send
//! hints by NOTIFY or NATS; and a poll finds what every hint has missed. All three are received at any time, also while the
//! reader waits for an answer of the store or for a commit that is missing between two others.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Fuse;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::early::EarlyCommits;
use super::hints::{Hint, Hints};
use super::listener;
use super::nats::{self, NatsInbox, Role, TailUpdate};
use super::window::Window;
use crate::backoff::Backoff;
use crate::event::{Filter, Position, Rights, SyncEvent};
use crate::live::catch_up::shared::SharedHistory;
use crate::live::feed::router::Router;
use crate::live::options::LiveOptions;
use crate::log::{Commit, Log, MatchingEvents};
use crate::store::{Credential, ReadThrough, StoreError};

/// Largest number of events in one read.
const READ: usize = 1000;

/// First and longest pause after a read that failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Number of polls that are left out while NATS works.
const POLLS_LEFT_OUT: u32 = 4;

/// Starts the reader, and the listener and the NATS connection that send it hints.
pub(in crate::live) fn start(log: Log, downstream: Downstream, options: &LiveOptions, stop: CancellationToken) {
    let hints = Arc::new(Hints::default());
    let (inbox, nats) = nats::open(options.nats.clone(), log.clone(), Arc::clone(&downstream.window));
    let window = Arc::clone(&downstream.window);
    let listener = listener::listen(log.clone(), window, Arc::clone(&hints), inbox.role.clone());
    let commits = log.commits();
    // The gateway reads the tail for all feeds, each of which has its own rights.
    let events = log.view(Rights::everything(), &Credential::Gateway).matching(Filter::default());
    let reader = TailReader {
        log,
        events,
        downstream,
        commits,
        inbox,
        early: EarlyCommits::default(),
        requested: Some(ReadRequest::All),
        is_gap_read: false,
        is_poll_due: false,
        hinted: Position::START,
        hinted_before_read: Position::START,
        is_failing: false,
        backoff: Backoff::new(PAUSES.0, PAUSES.1).with_jitter(),
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(nats));
    tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
    tokio::spawn(stop.run_until_cancelled_owned(reader.run(options.poll_interval, hints)));
}

/// The parts of live delivery that receive the newest events.
pub(in crate::live) struct Downstream {
    pub(in crate::live) window: Arc<Window>,
    pub(in crate::live) shared: Arc<SharedHistory>,
    pub(in crate::live) router: Arc<Router>,
}

impl Downstream {
    /// The position through which events were pushed.
    fn through(&self) -> Position {
        *self.window.through().borrow()
    }

    /// Pushes the next events of the log. The window comes first, so that a subscriber that has an event from its feed
    /// finds that event in the window, too.
    fn push(&self, events: &[Arc<SyncEvent>], through: Position) {
        self.window.push(events.to_vec(), through);
        self.router.route(events, through);
    }

    /// Starts again after a position. Shared history is dropped after the window, from which it may be read once more, and
    /// before the feeds, which wake subscribers that read it.
    fn reset(&self, start: Position) {
        self.window.reset(start);
        self.shared.invalidate();
        self.router.reset(start);
    }
}

/// A read of the store, in the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ReadRequest {
    /// The log's end first, and events only if the window ends elsewhere.
    IfGrown,
    /// The events that are missing before the first early commit; without such a commit, all events after the window.
    Gap,
    /// All events after the window.
    All,
}

/// The result of a read of the store.
enum TailRead {
    /// The window ends where the log ends.
    AtEnd,
    /// Events after the window.
    Events(ReadThrough),
    /// The log's last era starts at this position and has no event yet.
    EmptyEra(Position),
}

struct TailReader {
    log: Log,
    /// All events of the log.
    events: MatchingEvents,
    downstream: Downstream,
    commits: broadcast::Receiver<Commit>,
    /// Updates from NATS, with events that other gateways have appended.
    inbox: NatsInbox,
    /// Commits and NATS messages that arrived before an earlier commit.
    early: EarlyCommits,
    /// The most urgent read that was requested; it starts as soon as no other read is running.
    requested: Option<ReadRequest>,
    /// True from a poll until a read starts that goes to the log's end.
    is_poll_due: bool,
    /// True while the running read ends exactly where an early commit begins.
    is_gap_read: bool,
    /// The largest position that a hint has named.
    hinted: Position,
    /// The value of `hinted` when the last read started.
    hinted_before_read: Position,
    /// True when the last read failed.
    is_failing: bool,
    /// The pause after the running read, in case it fails.
    backoff: Backoff,
}

impl TailReader {
    async fn run(mut self, poll_interval: Duration, hints: Arc<Hints>) {
        let mut poll = interval(poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut polls_left_out = 0;
        let mut reading = pin!(Fuse::<BoxFuture<'static, Result<TailRead, StoreError>>>::terminated());
        let mut is_reading = false;
        loop {
            if !is_reading && let Some(request) = self.next_read() {
                reading.set(self.read(request).fuse());
                (is_reading, polls_left_out) = (true, 0);
            }
            // A running read closes the gap by itself.
            let deadline = self.early.deadline().filter(|_| !is_reading);
            tokio::select! {
                commit = self.commits.recv() => match commit {
                    Ok(commit) => self.keep(commit),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.request(ReadRequest::All),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(update) = self.inbox.updates.recv() => self.receive(update),
                () = hints.received() => match hints.take() {
                    Hint::Through(position) => self.hinted = self.hinted.max(position),
                    Hint::Unknown => self.request(ReadRequest::All),
                },
                _ = poll.tick() => {
                    polls_left_out += 1;
                    let is_receiver = *self.inbox.role.borrow() == Role::Receiver;
                    if !is_receiver || polls_left_out > POLLS_LEFT_OUT {
                        self.request(ReadRequest::IfGrown);
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.close_gap(),
                found = &mut reading, if is_reading => {
                    is_reading = false;
                    self.finish_read(found);
                }
            }
        }
    }

    /// Requests a read. Of several requests the most urgent one is kept; a poll is kept beside it, since a gap read does not
    /// go to the log's end.
    fn request(&mut self, read: ReadRequest) {
        if read == ReadRequest::IfGrown {
            self.is_poll_due = true;
        } else {
            self.requested = self.requested.max(Some(read));
        }
    }

    /// Takes the read that must start now: one that was requested, one that a hint demands, or the poll's.
    fn next_read(&mut self) -> Option<ReadRequest> {
        let hinted = (self.hinted > self.downstream.through()).then_some(ReadRequest::Gap);
        let polled = self.is_poll_due.then_some(ReadRequest::IfGrown);
        let read = self.requested.take().max(hinted).or(polled)?;
        self.is_poll_due &= read == ReadRequest::Gap;
        Some(read)
    }

    /// Pushes a commit if it follows the window's end; else keeps it until the commits before it have been pushed.
    fn keep(&mut self, commit: Commit) {
        self.early.keep(commit);
        self.push_ready();
        if self.early.is_too_large() {
            metrics::counter!("sluice_tail_overflows_total").increment(1);
            self.early.clear();
            self.request(ReadRequest::All);
        }
    }

    /// Handles an update from NATS.
    fn receive(&mut self, update: TailUpdate) {
        match update {
            TailUpdate::Events(events) => {
                if events.first().is_some_and(|first| first.position > self.downstream.through().next()) {
                    metrics::counter!("sluice_nats_gaps_total").increment(1);
                }
                self.keep(events);
            }
            TailUpdate::Through(position) if position > self.downstream.through() => {
                metrics::counter!("sluice_nats_gaps_total").increment(1);
                self.hinted = self.hinted.max(position);
            }
            TailUpdate::Through(_) => {}
        }
    }

    /// Requests a read of the events that are missing before an early commit, after its deadline.
    fn close_gap(&mut self) {
        let waited = self.early.waited();
        metrics::counter!("sluice_tail_gaps_total").increment(1);
        metrics::histogram!("sluice_tail_gap_seconds").record(waited);
        let (after, seconds) = (self.downstream.through(), waited.as_secs_f64());
        tracing::debug!(%after, seconds, "reading what another gateway has appended in between");
        self.request(ReadRequest::Gap);
    }

    fn push_ready(&mut self) {
        let events = self.early.take_after(self.downstream.through());
        if let Some(newest) = events.last().map(|event| event.position) {
            self.downstream.push(&events, newest);
        }
    }

    /// Starts a read of the store from the window's end on.
    fn read(&mut self, request: ReadRequest) -> BoxFuture<'static, Result<TailRead, StoreError>> {
        let (log, events) = (self.log.clone(), self.events.clone());
        let (through, is_failing) = (self.downstream.through(), self.is_failing);
        let gap =
            self.early.first().filter(|first| request == ReadRequest::Gap && first.era_start() == through.era_start());
        let missing = gap.and_then(|first| usize::try_from(first.get().checked_sub(through.get() + 1)?).ok());
        let most = missing.map_or(READ, |missing| missing.clamp(1, READ));
        self.is_gap_read = missing == Some(most);
        self.hinted_before_read = self.hinted;
        let pause = self.backoff.pause();
        async move {
            let found = read_tail(&log, &events, through, (most, request)).await;
            if let Err(error) = &found {
                // One warning for an outage.
                if is_failing {
                    tracing::debug!(%error, "could not read the log's tail; trying again");
                } else {
                    tracing::warn!(%error, "could not read the log's tail; trying again until it can be read");
                }
                sleep(pause).await;
            }
            found
        }
        .boxed()
    }

    /// Pushes the events that a read returned, and requests the next read where one is needed.
    fn finish_read(&mut self, found: Result<TailRead, StoreError>) {
        self.is_failing = found.is_err();
        if !self.is_failing {
            self.backoff.reset();
        }
        let through = self.downstream.through();
        match found {
            Ok(TailRead::AtEnd) => self.drop_what_is_beyond_the_end(),
            // Each reader must ask at the border between two eras whether events were lost there.
            Ok(TailRead::Events(read)) if read.through.era_start() > through => {
                self.start_anew(read.through.era_start());
                self.request(ReadRequest::All);
            }
            Ok(TailRead::Events(read)) => {
                // Commits of this gateway may have been pushed during the read, so its events may be in the window already.
                let new = read.events.into_iter().filter(|event| event.position > through).map(Arc::new);
                let new: Vec<_> = new.collect();
                if read.through > through {
                    self.downstream.push(&new, read.through);
                }
                self.push_ready();
                if !read.at_end && !self.is_gap_read {
                    self.request(ReadRequest::Gap);
                }
            }
            Ok(TailRead::EmptyEra(start)) => {
                self.start_anew(start);
                // An event of the new era may have been committed, and its commit dropped, since the read.
                self.request(ReadRequest::IfGrown);
            }
            Err(_) => self.request(ReadRequest::All),
        }
    }

    /// Drops hints and early commits beyond the log's end, which exist after a restore that was not noticed yet.
    fn drop_what_is_beyond_the_end(&mut self) {
        if self.hinted == self.hinted_before_read {
            self.hinted = Position::START;
        }
        if self.early.first().is_some() {
            // Commits may also have arrived after the read began: the next look at the log's end finds them.
            self.early.clear();
            self.request(ReadRequest::IfGrown);
        }
    }

    /// Moves the window and all feeds to the start of another era.
    fn start_anew(&mut self, start: Position) {
        tracing::warn!(era = start.era_tag(), through = %self.downstream.through(), "the log goes on in another era");
        self.early.clear();
        self.hinted = Position::START;
        self.downstream.reset(start);
    }
}

async fn read_tail(
    log: &Log,
    events: &MatchingEvents,
    through: Position,
    (most, request): (usize, ReadRequest),
) -> Result<TailRead, StoreError> {
    match read_once(log, events, through, (most, request)).await {
        // The tables were restored while this gateway was running.
        Err(StoreError::Restored) => {
            log.check_era().await?;
            read_once(log, events, through, (most, ReadRequest::All)).await
        }
        found => found,
    }
}

async fn read_once(
    log: &Log,
    events: &MatchingEvents,
    through: Position,
    (most, request): (usize, ReadRequest),
) -> Result<TailRead, StoreError> {
    // Events from NATS were read from the log by another gateway. A head before them belongs to a restored log.
    let furthest = log.note_read(through);
    if request == ReadRequest::IfGrown && events.view().head().await? == through && furthest == through {
        return Ok(TailRead::AtEnd);
    }
    match events.read_after(through, most, true).await {
        Ok(read) if read.through > through => return Ok(TailRead::Events(read)),
        // A restored log ends before the window, or does not know the window's era.
        Ok(_) | Err(StoreError::UnknownEra(_)) => {}
        Err(error) => return Err(error),
    }
    let mut head = events.view().head().await?;
    if head < furthest {
        log.check_era().await?;
        head = events.view().head().await?;
    }
    Ok(if head.era_start() > through { TailRead::EmptyEra(head.era_start()) } else { TailRead::AtEnd })
}

#[cfg(test)]
mod tests;
