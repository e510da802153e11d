//! A gateway's part in the exchange: it has the log's tail to publish, and hands what it receives to the tail reader.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::inbox::{Role, TailUpdate};
use crate::live::tail::window::Window;
use crate::log::Log;

/// Longest time that a connection may take, or that handing a message to it may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// This gateway's part in the exchange.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) log: Log,
    pub(super) window: Arc<Window>,
    updates: mpsc::Sender<TailUpdate>,
    role: watch::Sender<Role>,
}

/// The tail reader has ended.
#[derive(Debug)]
pub(super) struct ReaderGone;

impl Participant {
    pub(super) const fn new(
        log: Log,
        window: Arc<Window>,
        updates: mpsc::Sender<TailUpdate>,
        role: watch::Sender<Role>,
    ) -> Self {
        Self { log, window, updates, role }
    }

    /// Announces the gateway's role to the tail reader and in the metrics.
    pub(super) fn set_role(&self, role: Role) {
        self.role.send_replace(role);
        let is = |yes: bool| f64::from(u8::from(yes));
        metrics::gauge!("sluice_nats_connected").set(is(role != Role::Disconnected));
        metrics::gauge!("sluice_nats_publishing").set(is(role == Role::Publisher));
    }

    /// Hands an update to the tail reader. While its inbox is full, updates are dropped: the reader finds the gap.
    pub(super) fn hand_over(&self, update: TailUpdate) -> Result<(), ReaderGone> {
        match self.updates.try_send(update) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                metrics::counter!("sluice_nats_overflows_total").increment(1);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(ReaderGone),
        }
    }
}
