//! The log's tail by NATS: one gateway publishes what is appended, and the others need not read it from the database.
//!
//! The publisher is found by leader election: of all gateways over a database, one holds the lease (`store/lead.rs`).
//!
//! NATS is not trusted. Messages are signed with a key that only the database has, and an event is accepted only right
//! after the window's end: messages that NATS loses, repeats, reorders or makes up cost time and nothing else. What is
//! missing is read from the store, after a NOTIFY or at the latest after a poll. `docs/scale-out.md` has the format.

mod inbox;

mod servers;

mod connection;
mod participant;
mod publisher;
mod receiver;

mod message;

pub(super) use inbox::{NatsInbox, Role, TailUpdate};
pub use servers::{NatsServers, NatsServersError};

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::window::Window;
use crate::log::Log;
use participant::Participant;

/// Number of updates that may wait for the tail reader. Further ones are dropped, and the reader reads the store.
const WAITING_UPDATES: usize = 64;

/// Returns the tail reader's inbox, and the task that fills it for as long as it is polled.
pub(super) fn open(
    servers: Option<NatsServers>,
    log: Log,
    window: Arc<Window>,
) -> (NatsInbox, impl Future<Output = ()> + Send + use<>) {
    let (updates, receiver) = mpsc::channel(WAITING_UPDATES);
    let role = watch::Sender::new(Role::Disconnected);
    let inbox = NatsInbox { updates: receiver, role: role.subscribe() };
    let participant = Participant::new(log, window, updates, role);
    (inbox, async move {
        match servers {
            Some(servers) => connection::keep_connected(&participant, &servers).await,
            // The participant is held, since the tail reader takes a closed channel for the end.
            None => std::future::pending().await,
        }
    })
}
