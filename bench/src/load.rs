//! Load on the hook endpoint: a closed loop, each connection sends its next delivery when the last one is answered.

mod connection;
mod delivery;
mod identity;
mod paced;

pub(crate) use connection::Connection;
pub(crate) use delivery::Delivery;
pub(crate) use identity::Identities;
pub(crate) use paced::{Paced, PacedResult};

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sluice::event::ReceivedEvent;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{interval, timeout};

/// How many deliveries of different events a connection has, sent in turn.
const DELIVERIES: usize = 4;

/// How long an answer may be late at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a load was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Events in a delivery.
    pub(crate) events: usize,
    /// Connections that send at once.
    pub(crate) connections: usize,
    /// How long they do.
    pub(crate) duration: Duration,
}

/// A load that does not ask how fast it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Deliveries a second.
    pub(crate) deliveries: u32,
    /// Events in each.
    pub(crate) events: usize,
}

impl Pace {
    /// So many deliveries a second of one event.
    pub(crate) const fn of_single(deliveries: u32) -> Self {
        Self { deliveries, events: 1 }
    }
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Answered {
    /// How many events were acknowledged.
    pub(crate) events: usize,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// From each request to its answer, the shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    /// Sends events, each under a new identity, to a gateway's hook endpoint.
    ///
    /// # Errors
    /// Any answer but 200: a load that is partly refused measures nothing.
    pub(crate) async fn send(
        self,
        address: SocketAddr,
        pool: &[ReceivedEvent],
        identities: &Rc<Identities>,
    ) -> Result<Answered> {
        let mut senders = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let first = number * DELIVERIES * self.events;
            let deliveries = (0..DELIVERIES)
                .map(|nth| {
                    let events = pool.iter().cycle().skip((first + nth * self.events) % pool.len());
                    Delivery::new(address, events.take(self.events))
                })
                .collect::<Result<_>>()?;
            let connection = Connection::open(address).await.context("could not connect to the gateway")?;
            senders.push(Sender { connection, deliveries, identities: Rc::clone(identities) });
        }
        let started = Instant::now();
        let deadline = started + self.duration;
        let mut latencies = LocalSet::new()
            .run_until(async {
                let mut sending = JoinSet::new();
                for sender in senders {
                    sending.spawn_local(sender.send_until(deadline));
                }
                let mut latencies = Vec::new();
                while let Some(sent) = sending.join_next().await {
                    latencies.extend(sent??);
                }
                anyhow::Ok(latencies)
            })
            .await?;
        let elapsed = started.elapsed();
        latencies.sort_unstable();
        Ok(Answered { events: latencies.len() * self.events, elapsed, latencies })
    }
}

impl Load {
    /// Sends so many deliveries a second, one after the other, of so many events each.
    ///
    /// # Errors
    /// Any answer but 200.
    pub(crate) async fn send_at(
        address: SocketAddr,
        pool: &[ReceivedEvent],
        identities: &Rc<Identities>,
        pace: Pace,
        duration: Duration,
    ) -> Result<()> {
        let Pace { deliveries: rate, events } = pace;
        let mut connection = Connection::open(address).await.context("could not connect to the gateway")?;
        let mut delivery = Delivery::new(address, pool.iter().cycle().take(events))?;
        let mut tick = interval(Duration::from_secs(1) / rate);
        let deadline = Instant::now() + duration;
        while Instant::now() < deadline {
            tick.tick().await;
            let status = connection.exchange(delivery.renewed(identities)).await.context("the gateway broke off")?;
            if status != 200 {
                bail!("the gateway answered a delivery with {status}");
            }
        }
        Ok(())
    }
}

/// One connection and what it sends.
struct Sender {
    connection: Connection,
    deliveries: Vec<Delivery>,
    identities: Rc<Identities>,
}

impl Sender {
    async fn send_until(mut self, deadline: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let patience = deadline.saturating_duration_since(Instant::now()) + PATIENCE;
        let sending = async {
            for turn in 0.. {
                if Instant::now() >= deadline {
                    break;
                }
                let request = self.deliveries[turn % DELIVERIES].renewed(&self.identities);
                let sent = Instant::now();
                let status = self.connection.exchange(request).await.context("the gateway broke off")?;
                latencies.push(sent.elapsed());
                if status != 200 {
                    bail!("the gateway answered a delivery with {status}");
                }
            }
            Ok(())
        };
        timeout(patience, sending).await.context("the gateway does not answer")??;
        Ok(latencies)
    }
}
