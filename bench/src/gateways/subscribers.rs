//! Subscribers that record when each event arrives, and check that every event arrives once and in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use memchr::memmem::find;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

use crate::socket::{Socket, positions};

/// The subscription of each subscriber. It asks for one field only, so that the clients leave most of the CPU to the
/// gateways.
const SUBSCRIPTION: &str =
    "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";

/// Time limit for the last event, from the end of the load.
const PATIENCE: Duration = Duration::from_secs(30);

/// Subscribers to all events after a position.
#[derive(Debug)]
pub(super) struct Subscribers {
    sockets: Vec<Socket>,
    after: i64,
}

/// The events that one subscriber, or all of them together, received.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Positions, each with the time of its arrival since 1970.
    receipts: Vec<(i64, Duration)>,
    /// The longest time between two events of one subscriber.
    pub(super) silence: Duration,
    /// Number of events that never arrived.
    pub(super) lost: u64,
    /// Number of events that arrived again, or after a later one.
    pub(super) doubled: u64,
}

impl Subscribers {
    /// Opens a number of subscriptions to the events after a position.
    pub(super) async fn gather(address: SocketAddr, number: usize, after: i64) -> Result<Self> {
        let variables = json!({"after": after.to_string()});
        let mut sockets = Vec::with_capacity(number);
        for _ in 0..number {
            sockets.push(Socket::subscribe(address, SUBSCRIPTION, &variables).await?);
        }
        for socket in &mut sockets {
            // The first payload acknowledges the subscription.
            let mut is_acknowledged = false;
            while !is_acknowledged {
                socket.count(&mut |_| is_acknowledged = true).await?;
            }
        }
        Ok(Self { sockets, after })
    }

    /// Receives events up to a position, which the caller sends on the channel after the end of the load.
    pub(super) async fn listen(self, through: watch::Receiver<Option<i64>>) -> Result<Received> {
        let local = LocalSet::new();
        let mut listening = JoinSet::new();
        let after = self.after;
        for socket in self.sockets {
            listening.spawn_local_on(listen(socket, after, through.clone()), &local);
        }
        let mut all = Received::default();
        local
            .run_until(async {
                while let Some(one) = listening.join_next().await {
                    all.add(one??);
                }
                anyhow::Ok(())
            })
            .await?;
        Ok(all)
    }
}

/// Receives the events of one socket.
async fn listen(mut socket: Socket, after: i64, mut through: watch::Receiver<Option<i64>>) -> Result<Received> {
    let mut got = Received::default();
    let mut last = after;
    let mut fault = None;
    let mut deadline = None;
    loop {
        let goal = *through.borrow_and_update();
        if let Some(goal) = goal {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            if last >= goal || Instant::now() >= deadline {
                got.lost += u64::try_from(goal - last).unwrap_or_default();
                return Ok(got);
            }
        }
        let mut each = |message: &[u8]| match check(message) {
            Ok(()) => positions(message).for_each(|position| got.take(&mut last, position)),
            Err(error) => fault = Some(error),
        };
        tokio::select! {
            counted = socket.count(&mut each) => counted?,
            _ = through.changed(), if goal.is_none() => {}
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
}

impl Received {
    /// Records an event that one subscriber received, and updates `last`, that subscriber's newest position.
    fn take(&mut self, last: &mut i64, position: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some((_, before)) = self.receipts.last() {
            self.silence = self.silence.max(now.saturating_sub(*before));
        }
        self.receipts.push((position, now));
        match u64::try_from(position - *last) {
            Ok(step @ 1..) => {
                self.lost += step - 1;
                *last = position;
            }
            _ => self.doubled += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.receipts.extend(other.receipts);
        self.silence = self.silence.max(other.silence);
        self.lost += other.lost;
        self.doubled += other.doubled;
    }

    /// Returns the lag of each receipt, from the event's commit to its arrival, in ascending order.
    pub(super) fn lags(&self, commits: &HashMap<i64, Duration>) -> Vec<Duration> {
        let lag = |(position, then): &(i64, Duration)| Some(then.saturating_sub(*commits.get(position)?));
        let mut lags: Vec<_> = self.receipts.iter().filter_map(lag).collect();
        lags.sort_unstable();
        lags
    }
}

/// Checks that a message is a payload.
fn check(message: &[u8]) -> Result<()> {
    ensure!(find(message, br#""type":"next""#).is_some(), "a subscriber got {}", String::from_utf8_lossy(message));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_and_what_comes_again_is_counted() {
        let mut got = Received::default();
        let mut last = 10;
        for position in [11, 12, 14, 14, 13, 15] {
            got.take(&mut last, position);
        }
        assert_eq!((got.lost, got.doubled, last), (1, 2, 15));
        let commits = HashMap::from([(11, Duration::ZERO), (15, Duration::ZERO)]);
        assert_eq!(got.lags(&commits).len(), 2);
    }

    #[test]
    fn a_message_that_is_no_payload_is_a_fault() {
        check(br#"{"type":"next","id":"1","payload":{"data":{"syncEvents":{"events":[]}}}}"#).unwrap();
        assert!(check(br#"{"type":"error"}"#).unwrap_err().to_string().contains("error"));
    }
}
