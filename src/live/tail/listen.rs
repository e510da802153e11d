//! NOTIFY: another gateway says that the log has grown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::PAUSE;
use super::hint::{Hint, Told};
use crate::live::Window;
use crate::live::nats::Standing;
use crate::log::Log;

/// How long to wait for NATS to bring what NOTIFY has told of, before the store is read instead.
const GRACE: Duration = Duration::from_millis(100);

/// Listens, and hurries the tail reader where the log has grown beyond the window. Makes a new connection whenever one is
/// lost.
pub(super) async fn listen(log: Log, window: Arc<Window>, hint: Arc<Hint>, standing: watch::Receiver<Standing>) {
    let mut through = window.through();
    loop {
        match log.store().listen().await {
            Ok(mut listener) => loop {
                hint.tell(Told::Anything);
                // Mostly it is this gateway's own commit, which is in the window before anybody is told of it.
                let news = loop {
                    match listener.wait().await {
                        Ok(Some(position)) if position <= *through.borrow() => {}
                        Ok(Some(position)) if *standing.borrow() == Standing::Served => {
                            let is_there = through.wait_for(|through| *through >= position);
                            if timeout(GRACE, is_there).await.is_err() {
                                metrics::counter!("sluice_nats_fallbacks_total").increment(1);
                                hint.tell(Told::Through(position));
                            }
                        }
                        Ok(Some(position)) => hint.tell(Told::Through(position)),
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
        hint.tell(Told::Anything);
        sleep(PAUSE).await;
    }
}
