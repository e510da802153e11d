//! Whether the gateway can serve: the database answers, and takes writes.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::serve::Ready;
use crate::store::{Probe, Store, StoreError};

/// How long the database may take to answer for the gateway to be called ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a write is tried while writes succeed.
const PAUSE: Duration = Duration::from_secs(5);

/// How often a write is tried while writes fail.
const PAUSE_WHILE_FAILING: Duration = Duration::from_secs(1);

/// How long a write may stay unconfirmed before another connection tries: each one that is given up may leave a process of the
/// database waiting.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// What a gateway that starts waits for, in words. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Mutex<Option<&'static str>>>);

impl Waiting {
    /// Waits for something else from now on.
    pub(super) fn wait_for(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// The readiness of a gateway that starts: it has none.
    pub(super) fn ready(&self) -> Ready {
        let waiting = self.clone();
        Arc::new(move || {
            let what = waiting.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or("starting");
            Box::pin(std::future::ready(Some(what.to_owned())))
        })
    }
}

/// The readiness of a gateway that serves, and the watch over its writes, to be run for as long as it does.
pub(super) fn of(store: &Store) -> (Ready, impl Future<Output = ()> + Send + use<>) {
    let answers = Arc::new(store.probe());
    let (tell, writes) = watch::channel(true);
    let ready = move || {
        let (answers, writes) = (Arc::clone(&answers), writes.clone());
        let look = async move {
            match timeout(PATIENCE, answers.answers()).await {
                Ok(Ok(())) if *writes.borrow() => None,
                Ok(Ok(())) => Some("the database does not take writes".to_owned()),
                Ok(Err(_)) | Err(_) => Some("the database does not answer".to_owned()),
            }
        };
        Box::pin(look) as futures_util::future::BoxFuture<'static, Option<String>>
    };
    (Arc::new(ready), watch_writes(store.probe(), tell))
}

/// Tries a write again and again, and tells whether it was confirmed.
async fn watch_writes(probe: Probe, tell: watch::Sender<bool>) {
    let mut failing_since = None;
    metrics::gauge!("sluice_writes_failing").set(0.0);
    loop {
        let mut write = pin!(probe.takes_writes());
        let written = if let Ok(written) = timeout(PATIENCE, &mut write).await {
            written
        } else {
            note_failure(&tell, &mut failing_since, &StoreError::NoAnswer);
            timeout(LONGEST_WRITE, write).await.unwrap_or(Err(StoreError::NoAnswer))
        };
        match written {
            Ok(()) => {
                if let Some(since) = failing_since.take() {
                    let seconds = Instant::elapsed(&since).as_secs_f64();
                    tracing::info!(seconds, "the database takes writes again");
                    metrics::gauge!("sluice_writes_failing").set(0.0);
                    tell.send_replace(true);
                }
                sleep(PAUSE).await;
            }
            Err(error) => {
                note_failure(&tell, &mut failing_since, &error);
                sleep(PAUSE_WHILE_FAILING).await;
            }
        }
    }
}

fn note_failure(tell: &watch::Sender<bool>, failing_since: &mut Option<Instant>, error: &StoreError) {
    if failing_since.is_none() {
        tracing::warn!(%error, "the database does not take writes; hooks are answered with 503 meanwhile");
        metrics::gauge!("sluice_writes_failing").set(1.0);
        *failing_since = Some(Instant::now());
        tell.send_replace(false);
    }
}
