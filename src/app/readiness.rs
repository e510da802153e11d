//! Readiness: a gateway is ready while the database responds and confirms writes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::serve::Ready;
use crate::store::{Probe, Store, StoreError};

/// The time for the database to respond; a slower database makes the gateway not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two test writes while writes succeed.
const PAUSE: Duration = Duration::from_secs(5);

/// The pause between two test writes while writes fail.
const PAUSE_WHILE_FAILING: Duration = Duration::from_secs(1);

/// The time after which an unconfirmed test write is abandoned and its connection replaced. An abandoned write may
/// leave a server process waiting, so connections must not be replaced often.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// The current step of a starting gateway, as `/readyz` shows it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct StartupStep(Arc<Mutex<Option<&'static str>>>);

impl StartupStep {
    pub(super) fn enter(&self, step: &'static str) {
        *self.0.lock() = Some(step);
    }

    /// Returns the readiness of a starting gateway: never ready, with the current step as the reason.
    pub(super) fn ready(&self) -> Ready {
        let current = self.clone();
        Arc::new(move || {
            let step = current.0.lock().unwrap_or("starting");
            Box::pin(std::future::ready(Some(step.to_owned())))
        })
    }
}

/// Returns the readiness of a serving gateway, and a task that tests writes, which the caller must run.
pub(super) fn of(store: &Store) -> (Ready, impl Future<Output = ()> + Send + use<>) {
    let answers = Arc::new(store.probe());
    let (publish, writes) = watch::channel(true);
    let ready = move || {
        let (answers, writes) = (Arc::clone(&answers), writes.clone());
        let check = async move {
            match timeout(PATIENCE, answers.check_primary()).await {
                Ok(Ok(())) if *writes.borrow() => None,
                Ok(Ok(())) => Some("the database does not take writes".to_owned()),
                Ok(Err(_)) | Err(_) => Some("the database does not answer".to_owned()),
            }
        };
        Box::pin(check) as futures_util::future::BoxFuture<'static, Option<String>>
    };
    (Arc::new(ready), watch_writes(store.probe(), publish))
}

/// Repeats a test write, and publishes whether the database confirms it.
async fn watch_writes(probe: Probe, publish: watch::Sender<bool>) {
    let mut failing_since = None;
    metrics::gauge!("sluice_writes_failing").set(0.0);
    loop {
        let mut write = pin!(probe.check_writes());
        let written = if let Ok(written) = timeout(PATIENCE, &mut write).await {
            written
        } else {
            note_failure(&publish, &mut failing_since, &StoreError::NoAnswer);
            timeout(LONGEST_WRITE, write).await.unwrap_or(Err(StoreError::NoAnswer))
        };
        match written {
            Ok(()) => {
                if let Some(since) = failing_since.take() {
                    let seconds = Instant::elapsed(&since).as_secs_f64();
                    tracing::info!(seconds, "the database takes writes again");
                    metrics::gauge!("sluice_writes_failing").set(0.0);
                    publish.send_replace(true);
                }
                sleep(PAUSE).await;
            }
            Err(error) => {
                note_failure(&publish, &mut failing_since, &error);
                sleep(PAUSE_WHILE_FAILING).await;
            }
        }
    }
}

fn note_failure(publish: &watch::Sender<bool>, failing_since: &mut Option<Instant>, error: &StoreError) {
    if failing_since.is_none() {
        tracing::warn!(%error, "the database does not take writes; hooks are answered with 503 meanwhile");
        metrics::gauge!("sluice_writes_failing").set(1.0);
        *failing_since = Some(Instant::now());
        publish.send_replace(false);
    }
}
