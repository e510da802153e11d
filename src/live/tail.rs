//! The tail reader: one for each gateway, whatever the number of subscribers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Window;
use crate::event::{Filter, Position};
use crate::log::Log;
use crate::store::StoreError;

/// How many events one read takes.
const READ: usize = 1000;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts the reader, and the listener that hurries it.
pub(super) fn start(log: Log, window: Arc<Window>, poll_interval: Duration, stop: CancellationToken) {
    let hint = Arc::new(Notify::new());
    let listener = listen(log.clone(), Arc::clone(&hint));
    let reader = read(log, window, poll_interval, hint);
    tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
    tokio::spawn(stop.run_until_cancelled_owned(reader));
}

async fn read(log: Log, window: Arc<Window>, poll_interval: Duration, hint: Arc<Notify>) {
    let mut appended = log.known_head();
    let mut poll = interval(poll_interval);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut appends = true;
    loop {
        tokio::select! {
            changed = appended.changed(), if appends => appends = changed.is_ok(),
            () = hint.notified() => {}
            _ = poll.tick() => {}
        }
        if let Err(error) = read_to_end(&log, &window).await {
            tracing::warn!(%error, "could not read the log's tail; trying again");
            sleep(PAUSE).await;
            hint.notify_one();
        }
    }
}

async fn read_to_end(log: &Log, window: &Window) -> Result<(), StoreError> {
    loop {
        let through = *window.through().borrow();
        let read = log.store().read_after(through, READ, &Filter::default(), true).await?;
        if read.through == through {
            return go_back_if_the_log_did(log, window, through).await;
        }
        window.push(read.events.into_iter().map(Arc::new).collect(), read.through);
        if read.at_end {
            return Ok(());
        }
    }
}

/// A database that was replaced by an older one ends before what was read: start anew from its end.
async fn go_back_if_the_log_did(log: &Log, window: &Window, through: Position) -> Result<(), StoreError> {
    let head = log.store().head().await?;
    if head < through {
        tracing::error!(%head, %through, "the log ends before what was read of it: was the database restored?");
        window.reset(head);
    } else if head.era_start() > through {
        // A new era is empty so far: its start is where the log goes on.
        window.push(Vec::new(), head.era_start());
    }
    Ok(())
}

async fn listen(log: Log, hint: Arc<Notify>) {
    loop {
        match log.store().listen().await {
            Ok(mut listener) => loop {
                hint.notify_one();
                if let Err(error) = listener.wait().await {
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
