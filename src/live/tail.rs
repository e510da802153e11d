//! The tail reader: one for each gateway, whatever the number of subscribers.
//!
//! Three things tell it that the log has grown: this gateway's own commits, which bring their events along; other gateways,
//! by NOTIFY or NATS; and a poll, with all of them lost. It hears every one of them at any time, also while it reads the
//! store or waits for what is missing between two commits.

mod early;
mod hint;
mod listen;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Fuse;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::nats::{self, Inbox, News, Standing};
use super::router::Router;
use super::{LiveOptions, Window};
use crate::event::{Filter, Position, SyncEvent};
use crate::log::{Commit, Log};
use crate::store::{ReadThrough, Store, StoreError};
use early::EarlyCommits;
use hint::{Hint, Told};

/// How many events one read takes.
const READ: usize = 1000;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_millis(200);

/// How many polls are left out where NATS tells.
const POLLS_LEFT_OUT: u32 = 4;

/// Starts the reader, and the listener that hurries it.
pub(super) fn start(
    log: Log,
    window: Arc<Window>,
    router: Arc<Router>,
    options: &LiveOptions,
    stop: CancellationToken,
) {
    let hint = Arc::new(Hint::default());
    let (inbox, nats) = nats::open(options.nats.clone(), log.clone(), Arc::clone(&window));
    let listener = listen::listen(log.clone(), Arc::clone(&window), Arc::clone(&hint), inbox.standing.clone());
    let commits = log.commits();
    let end = End { window, router };
    let tail = Tail {
        log,
        end,
        commits,
        inbox,
        early: EarlyCommits::default(),
        due: Some(Due::Tail),
        is_exact: false,
        told: Position::START,
        is_failing: false,
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(nats));
    tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
    tokio::spawn(stop.run_until_cancelled_owned(tail.run(options.poll_interval, hint)));
}

/// Where the newest events are handed on.
struct End {
    window: Arc<Window>,
    router: Arc<Router>,
}

impl End {
    fn through(&self) -> Position {
        *self.window.through().borrow()
    }

    fn push(&self, events: &[Arc<SyncEvent>], through: Position) {
        // First, so that who is told by the feeds finds the window there, too.
        self.window.push(events.to_vec(), through);
        self.router.route(events, through);
    }

    fn reset(&self, start: Position) {
        self.window.reset(start);
        self.router.reset(start);
    }
}

/// Which read of the store is to be started. The later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Only where the log's end is another one than the window's.
    Look,
    /// What is missing before the first early commit; without one, what comes after the window.
    Gap,
    /// What comes after the window.
    Tail,
}

/// What a read of the store found.
enum Found {
    /// The window ends where the log does.
    AtEnd,
    /// What comes after the window.
    Read(ReadThrough),
    /// The log has an era that begins here and is empty so far.
    EmptyEra(Position),
}

struct Tail {
    log: Log,
    end: End,
    commits: broadcast::Receiver<Commit>,
    /// What other gateways have appended.
    inbox: Inbox,
    /// Commits, and what NATS has told, whose turn has not come.
    early: EarlyCommits,
    /// The read that follows the one that is under way.
    due: Option<Due>,
    /// Whether the read that is under way ends where an early commit begins.
    is_exact: bool,
    /// Through where others have told that the log goes.
    told: Position,
    /// Whether the last read failed.
    is_failing: bool,
}

impl Tail {
    async fn run(mut self, poll_interval: Duration, hint: Arc<Hint>) {
        let mut poll = interval(poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut polls_left_out = 0;
        let mut reading = pin!(Fuse::<BoxFuture<'static, Result<Found, StoreError>>>::terminated());
        let mut is_reading = false;
        loop {
            if self.told > self.end.through() {
                self.is_due(Due::Gap);
            }
            if !is_reading && let Some(due) = self.due.take() {
                reading.set(self.read(due).fuse());
                (is_reading, polls_left_out) = (true, 0);
            }
            // While a read is under way, it closes the gap.
            let deadline = self.early.deadline().filter(|_| !is_reading);
            tokio::select! {
                commit = self.commits.recv() => match commit {
                    Ok(commit) => self.keep(commit),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.is_due(Due::Tail),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(news) = self.inbox.news.recv() => self.hear(news),
                () = hint.told() => match hint.take() {
                    Told::Through(position) => self.told = self.told.max(position),
                    Told::Anything => self.is_due(Due::Tail),
                },
                _ = poll.tick() => {
                    polls_left_out += 1;
                    let is_served = *self.inbox.standing.borrow() == Standing::Served;
                    if !is_served || polls_left_out > POLLS_LEFT_OUT {
                        self.is_due(Due::Look);
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.close_gap(),
                found = &mut reading, if is_reading => {
                    is_reading = false;
                    self.take_in(found);
                }
            }
        }
    }

    fn is_due(&mut self, due: Due) {
        self.due = self.due.max(Some(due));
    }

    /// Keeps a commit until its turn comes, which may be now.
    fn keep(&mut self, commit: Commit) {
        self.early.keep(commit);
        self.push_what_is_due();
        if self.early.is_too_large() {
            metrics::counter!("sluice_tail_overflows_total").increment(1);
            self.early.clear();
            self.is_due(Due::Tail);
        }
    }

    /// Takes what NATS tells.
    fn hear(&mut self, news: News) {
        match news {
            News::Events(events) => {
                if events.first().is_some_and(|first| first.position > self.end.through().next()) {
                    metrics::counter!("sluice_nats_gaps_total").increment(1);
                }
                self.keep(events);
            }
            News::Through(position) if position > self.end.through() => {
                metrics::counter!("sluice_nats_gaps_total").increment(1);
                self.told = self.told.max(position);
            }
            News::Through(_) => {}
        }
    }

    /// Has what is missing before an early commit be read: it did not come in time.
    fn close_gap(&mut self) {
        let waited = self.early.waited();
        metrics::counter!("sluice_tail_gaps_total").increment(1);
        metrics::histogram!("sluice_tail_gap_seconds").record(waited);
        tracing::debug!(after = %self.end.through(), ?waited, "reading what another gateway has appended in between");
        self.is_due(Due::Gap);
    }

    fn push_what_is_due(&mut self) {
        let events = self.early.take_after(self.end.through());
        if let Some(newest) = events.last().map(|event| event.position) {
            self.end.push(&events, newest);
        }
    }

    /// Reads the store from the window's end on.
    fn read(&mut self, due: Due) -> BoxFuture<'static, Result<Found, StoreError>> {
        let (log, through, is_failing) = (self.log.clone(), self.end.through(), self.is_failing);
        let gap = self.early.first().filter(|first| due == Due::Gap && first.era_start() == through.era_start());
        let missing = gap.and_then(|first| usize::try_from(first.get().checked_sub(through.get() + 1)?).ok());
        let most = missing.map_or(READ, |missing| missing.clamp(1, READ));
        self.is_exact = missing == Some(most);
        async move {
            let found = read_after(&log, through, most, due).await;
            if let Err(error) = &found {
                // Once for as long as it fails.
                if is_failing {
                    tracing::debug!(%error, "could not read the log's tail; trying again");
                } else {
                    tracing::warn!(%error, "could not read the log's tail; trying again until it can be read");
                }
                sleep(PAUSE).await;
            }
            found
        }
        .boxed()
    }

    /// Takes in what was read.
    fn take_in(&mut self, found: Result<Found, StoreError>) {
        self.is_failing = found.is_err();
        let through = self.end.through();
        match found {
            Ok(Found::AtEnd) => self.forget_what_is_not_there(),
            // Nobody may step over the border between eras without asking whether something was lost there.
            Ok(Found::Read(read)) if read.through.era_start() > through => {
                self.start_anew(read.through.era_start());
                self.is_due(Due::Tail);
            }
            Ok(Found::Read(read)) => {
                // This gateway's own commits have gone on meanwhile.
                let new = read.events.into_iter().filter(|event| event.position > through).map(Arc::new);
                let new: Vec<_> = new.collect();
                if read.through > through {
                    self.end.push(&new, read.through);
                }
                self.push_what_is_due();
                if !read.at_end && !self.is_exact {
                    self.is_due(Due::Gap);
                }
            }
            Ok(Found::EmptyEra(start)) => self.start_anew(start),
            Err(_) => self.is_due(Due::Tail),
        }
    }

    /// Forgets what the log was told to have and does not have, as after a restore that nobody has noticed yet.
    fn forget_what_is_not_there(&mut self) {
        self.told = Position::START;
        if self.early.first().is_some() {
            // It may also have come while the log was being read.
            self.early.clear();
            self.is_due(Due::Look);
        }
    }

    /// Goes on in another era.
    fn start_anew(&mut self, start: Position) {
        tracing::warn!(era = start.era_tag(), through = %self.end.through(), "the log goes on in another era");
        self.early.clear();
        self.told = Position::START;
        self.end.reset(start);
    }
}

async fn read_after(log: &Log, through: Position, most: usize, due: Due) -> Result<Found, StoreError> {
    match find_after(log.store(), through, most, due).await {
        // The tables were restored under this gateway.
        Err(StoreError::Restored) => {
            log.store().check_era().await?;
            find_after(log.store(), through, most, Due::Tail).await
        }
        found => found,
    }
}

async fn find_after(store: &Store, through: Position, most: usize, due: Due) -> Result<Found, StoreError> {
    // What came by NATS was read from the log, too. A head before what was read is that of a restored log.
    let furthest = store.have_read(through).max(store.furthest());
    if due == Due::Look && store.head().await? == through && furthest == through {
        return Ok(Found::AtEnd);
    }
    match store.read_after(through, most, &Filter::default(), true).await {
        Ok(read) if read.through > through => return Ok(Found::Read(read)),
        // A database that was replaced by an older one ends before what was read, or does not know its era.
        Ok(_) | Err(StoreError::UnknownEra(_)) => {}
        Err(error) => return Err(error),
    }
    let mut head = store.head().await?;
    if head < furthest {
        store.check_era().await?;
        head = store.head().await?;
    }
    Ok(if head.era_start() > through { Found::EmptyEra(head.era_start()) } else { Found::AtEnd })
}
