//! Open-loop load: single events at a fixed rate over many connections, independent of how fast answers come.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sluice::event::ReceivedEvent;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Connection, Delivery, Identities, PATIENCE};

/// A load of evenly spaced deliveries of one event each. A due delivery goes out on the next free connection, and so
/// goes out late while all connections are busy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paced {
    /// Events a second.
    pub(crate) rate: u32,
    /// Number of connections, and so of deliveries at once.
    pub(crate) connections: usize,
    /// Time during which deliveries are sent.
    pub(crate) duration: Duration,
}

/// The result of a paced load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacedResult {
    /// Number of acknowledged events.
    pub(crate) events: usize,
    /// Time from the first request to the last answer.
    pub(crate) elapsed: Duration,
}

impl Paced {
    /// Sends the events, each under a new identity, to a gateway's hook endpoint.
    ///
    /// # Errors
    /// Any answer but 200, and a connection that fails.
    pub(crate) async fn send(
        self,
        address: SocketAddr,
        pool: &[ReceivedEvent],
        identities: &Rc<Identities>,
    ) -> Result<PacedResult> {
        let connections = if self.rate == 0 { 0 } else { self.connections };
        let mut senders = Vec::with_capacity(connections);
        for number in 0..connections {
            let event = pool.iter().cycle().nth(number % pool.len());
            let delivery = Delivery::new(address, event.into_iter())?;
            senders.push((Connection::open(address).await.context("could not connect to the gateway")?, delivery));
        }
        let started = Instant::now();
        let next = Rc::new(Cell::new(0_u32));
        let events = LocalSet::new()
            .run_until(async {
                let mut sending = JoinSet::new();
                for (connection, delivery) in senders {
                    let (identities, next) = (Rc::clone(identities), Rc::clone(&next));
                    sending.spawn_local(self.send_by(connection, delivery, identities, next, started));
                }
                let mut events = 0;
                while let Some(sent) = sending.join_next().await {
                    events += sent??;
                }
                anyhow::Ok(events)
            })
            .await?;
        Ok(PacedResult { events, elapsed: started.elapsed() })
    }

    /// Sends deliveries by one connection, which takes the next due delivery each time; returns the number sent.
    async fn send_by(
        self,
        mut connection: Connection,
        mut delivery: Delivery,
        identities: Rc<Identities>,
        next: Rc<Cell<u32>>,
        started: Instant,
    ) -> Result<usize> {
        let end = started + self.duration;
        for sent in 0.. {
            let turn = next.replace(next.get() + 1);
            let due = started + Duration::from_secs(1) * turn / self.rate;
            // A late delivery that is not sent before the end is dropped.
            if due.max(Instant::now()) >= end {
                return Ok(sent);
            }
            sleep_until(due).await;
            let answer = timeout_at(end + PATIENCE, connection.exchange(delivery.renewed(&identities))).await;
            let status = answer.context("the gateway does not answer")?.context("the gateway broke off")?;
            ensure!(status == 200, "the gateway answered a delivery with {status}");
        }
        Ok(0)
    }
}

impl PacedResult {
    /// Acknowledged events a second.
    pub(crate) fn rate(self) -> f64 {
        crate::report::count(self.events) / self.elapsed.as_secs_f64()
    }
}
