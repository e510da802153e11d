//! The tail reader: one for each gateway, whatever the number of subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Window;
use super::router::Router;
use crate::event::{Filter, Position, SyncEvent};
use crate::log::{Commit, Log};
use crate::store::StoreError;

/// How many events one read takes.
const READ: usize = 1000;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_millis(200);

/// How long to wait for a commit that comes out of turn, before the store is read instead.
const TURN: Duration = Duration::from_millis(2);

/// Starts the reader, and the listener that hurries it.
pub(super) fn start(
    log: Log,
    window: Arc<Window>,
    router: Arc<Router>,
    poll_interval: Duration,
    stop: CancellationToken,
) {
    let hint = Arc::new(Notify::new());
    let listener = listen(log.clone(), Arc::clone(&window), Arc::clone(&hint));
    let commits = log.commits();
    let end = End { window, router };
    let tail = Tail { log, end, commits, early: BTreeMap::new() };
    tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
    tokio::spawn(stop.run_until_cancelled_owned(tail.read(poll_interval, hint)));
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
    /// This gateway's commits whose turn has not come, by their first position.
    early: BTreeMap<Position, Commit>,
}

impl Tail {
    async fn read(mut self, poll_interval: Duration, hint: Arc<Notify>) {
        let mut poll = interval(poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let in_turn = tokio::select! {
                commit = self.commits.recv() => match commit {
                    Ok(commit) => self.take(commit).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => false,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = hint.notified() => false,
                _ = poll.tick() => false,
            };
            if in_turn {
                continue;
            }
            self.early.clear();
            if let Err(error) = read_to_end(&self.log, &self.end).await {
                tracing::warn!(%error, "could not read the log's tail; trying again");
                sleep(PAUSE).await;
                hint.notify_one();
            }
        }
    }

    /// Takes a commit, and a little later those that it waits for. Gives false where they do not come.
    async fn take(&mut self, commit: Commit) -> bool {
        self.keep(commit);
        loop {
            self.push_what_is_due();
            if self.early.is_empty() {
                return true;
            }
            match timeout(TURN, self.commits.recv()).await {
                Ok(Ok(commit)) => self.keep(commit),
                Ok(Err(_)) | Err(_) => return false,
            }
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

async fn listen(log: Log, window: Arc<Window>, hint: Arc<Notify>) {
    loop {
        match log.store().listen().await {
            Ok(mut listener) => loop {
                hint.notify_one();
                // Mostly it is this gateway's own commit, which is in the window before anybody is told of it.
                let news = loop {
                    match listener.wait().await {
                        Ok(Some(position)) if position <= *window.through().borrow() => {}
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
