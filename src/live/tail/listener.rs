//! The listener: receives the NOTIFY messages by which gateways announce that the log has grown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::hints::{Hint, Hints};
use super::nats::Role;
use super::window::Window;
use crate::backoff::Backoff;
use crate::log::Log;

/// First and longest pause before a lost connection is replaced.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Time that NATS has to deliver the events that a NOTIFY has announced, before the store is read instead.
const GRACE: Duration = Duration::from_millis(100);

/// Listens, and sends the tail reader a hint when the log has grown beyond the window. A lost connection is replaced.
pub(super) async fn listen(log: Log, window: Arc<Window>, hints: Arc<Hints>, role: watch::Receiver<Role>) {
    let mut through = window.through();
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1).with_jitter();
    loop {
        match log.listen().await {
            Ok(mut listener) => loop {
                backoff.reset();
                hints.send(Hint::Unknown);
                // Most messages announce this gateway's own commits, which are in the window by then.
                let news = loop {
                    match listener.wait().await {
                        Ok(Some(position)) if position <= *through.borrow() => {}
                        Ok(Some(position)) if *role.borrow() == Role::Receiver => {
                            let has_come = through.wait_for(|through| *through >= position);
                            if timeout(GRACE, has_come).await.is_err() {
                                metrics::counter!("sluice_nats_fallbacks_total").increment(1);
                                hints.send(Hint::Through(position));
                            }
                        }
                        Ok(Some(position)) => hints.send(Hint::Through(position)),
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
        hints.send(Hint::Unknown);
        sleep(backoff.pause()).await;
    }
}
