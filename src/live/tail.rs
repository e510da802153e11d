//! The tail reader: one for each gateway, whatever the number of subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::nats::{self, Inbox, News, Standing};
use super::router::Router;
use super::{LiveOptions, Window};
use crate::event::{Filter, Position, SyncEvent};
use crate::log::{Commit, Log};
use crate::store::StoreError;

/// How many events one read takes.
const READ: usize = 1000;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_millis(200);

/// How long to wait for a commit that comes out of turn, before the store is read instead.
const TURN: Duration = Duration::from_millis(2);

/// How long to wait for NATS to bring what NOTIFY has told of, before the store is read instead.
const GRACE: Duration = Duration::from_millis(100);

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
    let hint = Arc::new(Notify::new());
    let (inbox, nats) = nats::open(options.nats.clone(), log.clone(), Arc::clone(&window));
    let listener = listen(log.clone(), Arc::clone(&window), Arc::clone(&hint), inbox.standing.clone());
    let commits = log.commits();
    let tail = Tail { log, end: End { window, router }, commits, inbox, early: BTreeMap::new() };
    tokio::spawn(stop.clone().run_until_cancelled_owned(nats));
    tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
    tokio::spawn(stop.run_until_cancelled_owned(tail.read(options.poll_interval, hint)));
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

struct Tail {
    log: Log,
    end: End,
    commits: broadcast::Receiver<Commit>,
    /// What other gateways have appended.
    inbox: Inbox,
    /// Commits, and what NATS has told, whose turn has not come, by their first position.
    early: BTreeMap<Position, Commit>,
}

impl Tail {
    async fn read(mut self, poll_interval: Duration, hint: Arc<Notify>) {
        let mut poll = interval(poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left_out = 0;
        loop {
            let in_turn = tokio::select! {
                commit = self.commits.recv() => match commit {
                    Ok(commit) => self.take(commit).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => false,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(news) = self.inbox.news.recv() => self.hear(news).await,
                () = hint.notified() => false,
                _ = poll.tick() => {
                    left_out += 1;
                    let is_served = *self.inbox.standing.borrow() == Standing::Served;
                    (is_served && left_out <= POLLS_LEFT_OUT) || self.is_at_end().await
                }
            };
            if in_turn {
                continue;
            }
            left_out = 0;
            self.early.clear();
            if let Err(error) = read_to_end(&self.log, &self.end).await {
                tracing::warn!(%error, "could not read the log's tail; trying again");
                sleep(PAUSE).await;
                hint.notify_one();
            }
        }
    }

    /// Whether there is nothing to read, as far as can be told.
    async fn is_at_end(&self) -> bool {
        self.log.store().head().await.is_ok_and(|head| head == self.end.through())
    }

    /// Takes what NATS tells. Gives false where something is missing before it.
    async fn hear(&mut self, news: News) -> bool {
        let is_next = match news {
            News::Events(events) => self.take(events).await,
            News::Through(position) => position <= self.end.through(),
        };
        if !is_next {
            metrics::counter!("sluice_nats_gaps_total").increment(1);
        }
        is_next
    }

    /// Takes a commit, and a little later those that it waits for. Gives false where they do not come.
    async fn take(&mut self, commit: Commit) -> bool {
        self.keep(commit);
        loop {
            self.push_what_is_due();
            if self.early.is_empty() {
                return true;
            }
            match timeout(TURN, self.next_commit()).await {
                Ok(Some(commit)) => self.keep(commit),
                Ok(None) | Err(_) => return false,
            }
        }
    }

    async fn next_commit(&mut self) -> Option<Commit> {
        tokio::select! {
            commit = self.commits.recv() => commit.ok(),
            Some(news) = self.inbox.news.recv() => match news {
                News::Events(events) => Some(events),
                News::Through(_) => None,
            },
        }
    }

    fn keep(&mut self, commit: Commit) {
        if let Some(first) = commit.first() {
            self.early.insert(first.position, commit);
        }
    }

    fn push_what_is_due(&mut self) {
        while let Some(earliest) = self.early.first_entry() {
            let through = self.end.through();
            if *earliest.key() > through.next() {
                return;
            }
            let commit = earliest.remove();
            let new: Vec<_> = commit.iter().filter(|event| event.position > through).cloned().collect();
            if let Some(newest) = new.last().map(|event| event.position) {
                self.end.push(&new, newest);
            }
        }
    }
}

async fn read_to_end(log: &Log, end: &End) -> Result<(), StoreError> {
    loop {
        let through = end.through();
        let read = log.store().read_after(through, READ, &Filter::default(), true).await?;
        if read.through == through {
            return follow_another_log(log, end, through).await;
        }
        if read.through.era_start() > through {
            // Nobody may step over the border between eras without asking whether something was lost there.
            end.reset(read.through.era_start());
            continue;
        }
        let events: Vec<_> = read.events.into_iter().map(Arc::new).collect();
        end.push(&events, read.through);
        if read.at_end {
            return Ok(());
        }
    }
}

/// A database that was replaced by an older one ends before what was read, or has a new era that is empty so far: start
/// anew from its end.
async fn follow_another_log(log: &Log, end: &End, through: Position) -> Result<(), StoreError> {
    let head = log.store().head().await?;
    if head < through {
        tracing::error!(%head, %through, "the log ends before what was read of it: was the database restored?");
        end.reset(head);
    } else if head.era_start() > through {
        end.reset(head.era_start());
    }
    Ok(())
}

async fn listen(log: Log, window: Arc<Window>, hint: Arc<Notify>, standing: watch::Receiver<Standing>) {
    let mut through = window.through();
    loop {
        match log.store().listen().await {
            Ok(mut listener) => loop {
                hint.notify_one();
                // Mostly it is this gateway's own commit, which is in the window before anybody is told of it.
                let news = loop {
                    match listener.wait().await {
                        Ok(Some(position)) if position <= *through.borrow() => {}
                        Ok(Some(position)) if *standing.borrow() == Standing::Served => {
                            let told = through.wait_for(|through| *through >= position);
                            if timeout(GRACE, told).await.is_err() {
                                metrics::counter!("sluice_nats_fallbacks_total").increment(1);
                                hint.notify_one();
                            }
                        }
                        news => break news,
                    }
                };
                if let Err(error) = news {
                    tracing::debug!(%error, "lost the connection that listens; making another");
                    break;
                }
            },
            Err(error) => tracing::debug!(%error, "could not listen for appends; polling meanwhile"),
        }
        hint.notify_one();
        sleep(PAUSE).await;
    }
}
