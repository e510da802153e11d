//! A subscriber that keeps its place, comes back where it was, and checks that it misses and repeats nothing.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, ensure};
use memchr::memmem::find;
use serde_json::{Value, json};

use crate::socket::{Socket, positions};

/// What it asks for: large events, each as Okta sent it.
pub(super) const LARGE: &str = "subscription ($from: SyncEventStart) { syncEvents(from: $from) { events { position uuid receivedAt eventDetails } } }";

/// What it asks for where there are many.
pub(super) const SMALL: &str = "subscription ($from: SyncEventStart) { syncEvents(from: $from) \
    { events { position uuid eventType published message receivedAt } } }";

/// A subscriber of every event.
#[derive(Debug)]
pub(super) struct Follower {
    socket: Socket,
    query: &'static str,
    /// The position of the event that it got last.
    at: Option<u64>,
    /// How often it was closed and came back.
    pub(super) closed: usize,
}

impl Follower {
    /// From now on, by a socket that is felt soon when nobody reads it.
    pub(super) async fn narrow(address: SocketAddr, query: &'static str) -> Result<Self> {
        let socket = Socket::subscribe_narrow(address, query, &Value::Null).await?;
        Ok(Self { socket, query, at: None, closed: 0 })
    }

    /// From after a position on.
    pub(super) async fn resume(address: SocketAddr, query: &'static str, after: u64) -> Result<Self> {
        let socket = Socket::subscribe(address, query, &after_position(after)).await?;
        Ok(Self { socket, query, at: Some(after), closed: 0 })
    }

    /// Reads for a while.
    pub(super) async fn read_until(&mut self, deadline: Instant) -> Result<()> {
        loop {
            match tokio::time::timeout_at(deadline.into(), self.read()).await {
                Ok(read) => read?,
                Err(_) => return Ok(()),
            }
        }
    }

    /// Reads through a position; where it is closed, it comes back.
    pub(super) async fn read_through(&mut self, address: SocketAddr, position: u64) -> Result<()> {
        while self.at.is_none_or(|at| at < position) {
            let at = self.at;
            if let Err(error) = self.read().await {
                ensure!(self.at.is_some(), "a subscriber was closed before it was told anything: {error}");
                ensure!(self.at != at || self.closed < 10, "a subscriber does not get on: {error}");
                let variables = after_position(self.at.unwrap_or_default());
                self.socket = Socket::subscribe(address, self.query, &variables).await?;
                self.closed += 1;
            }
        }
        Ok(())
    }

    /// Reads what is there; waits until there is something.
    ///
    /// # Panics
    /// An event is missing or comes again: that is no reason to come back.
    async fn read(&mut self) -> Result<()> {
        let Self { socket, at, .. } = self;
        let mut fault = None;
        let mut each = |message: &[u8]| {
            if find(message, br#""type":"next""#).is_none() {
                fault = fault.take().or_else(|| Some(String::from_utf8_lossy(message).into_owned()));
            }
            for told in positions(message).filter_map(|position| u64::try_from(position).ok()) {
                if at.is_none_or(|at| told == at + 1) {
                    *at = Some(told);
                } else {
                    fault = fault.take().or_else(|| Some(format!("{told} came after {at:?}")));
                }
            }
        };
        let counted = socket.count(&mut each).await;
        assert!(fault.is_none(), "{fault:?}");
        counted
    }
}

/// The variables of a subscription that begins after a position.
fn after_position(after: u64) -> Value {
    json!({"from": {"after": after.to_string()}})
}
