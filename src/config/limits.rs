//! Limits on everything that grows.

use std::time::Duration;

use serde::Deserialize;

/// The `[limits]` table. Every limit has a default that suits a small machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections that clients hold open at once, of every kind; more wait.
    pub connections: usize,
    /// WebSockets open at once; more are answered with 503.
    pub sockets: usize,
    /// Operations running at once on one WebSocket; more are refused.
    pub operations_per_socket: usize,
    /// Seconds a WebSocket has to send `connection_init`.
    pub connection_init_seconds: u64,
    /// Seconds a WebSocket may take to accept a frame; slower ones are closed and resume where they were.
    pub socket_write_seconds: u64,
    /// Seconds between the pings that find out whether a quiet WebSocket still lives.
    pub socket_ping_seconds: u64,
    /// Bytes of a request's body on `/graphql`, and of a WebSocket message.
    pub query_body_bytes: usize,
    /// Bytes of a request's body on the ways in, unpacked.
    pub delivery_body_bytes: usize,
    /// Events in one delivery.
    pub delivery_events: usize,
    /// Bytes of events that wait for their commit; more wait at the door.
    pub waiting_bytes: usize,
    /// Bytes of the newest events that are kept in memory for subscribers.
    pub window_bytes: usize,
    /// Seconds a query may take in the database.
    pub query_seconds: u64,
    /// Seconds an append may take in the database, the wait for its turn included.
    pub append_seconds: u64,
    /// Connections to the database that queries use at once.
    pub query_connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            sockets: 10_000,
            operations_per_socket: 100,
            connection_init_seconds: 10,
            socket_write_seconds: 30,
            socket_ping_seconds: 25,
            query_body_bytes: 1 << 20,
            delivery_body_bytes: 32 << 20,
            delivery_events: 20_000,
            waiting_bytes: 128 << 20,
            window_bytes: 64 << 20,
            query_seconds: 30,
            append_seconds: 10,
            query_connections: 16,
        }
    }
}

impl Limits {
    /// What is wrong with them: each has to be from 1 to what makes sense.
    pub(super) fn faults(&self) -> Vec<String> {
        const NUMBER: u64 = 1_000_000;
        const BYTES: u64 = 1 << 40;
        const SECONDS: u64 = 86_400;
        let limits = [
            ("connections", self.connections as u64, NUMBER),
            ("sockets", self.sockets as u64, NUMBER),
            ("operations_per_socket", self.operations_per_socket as u64, NUMBER),
            ("connection_init_seconds", self.connection_init_seconds, SECONDS),
            ("socket_write_seconds", self.socket_write_seconds, SECONDS),
            ("socket_ping_seconds", self.socket_ping_seconds, SECONDS),
            ("query_body_bytes", self.query_body_bytes as u64, BYTES),
            ("delivery_body_bytes", self.delivery_body_bytes as u64, BYTES),
            ("delivery_events", self.delivery_events as u64, NUMBER),
            ("waiting_bytes", self.waiting_bytes as u64, BYTES),
            ("window_bytes", self.window_bytes as u64, BYTES),
            ("query_seconds", self.query_seconds, SECONDS),
            ("append_seconds", self.append_seconds, SECONDS),
            ("query_connections", self.query_connections.into(), NUMBER),
        ];
        let wrong = limits.into_iter().filter(|(_, limit, most)| !(1..=*most).contains(limit));
        wrong.map(|(name, _, most)| format!("limits.{name}: must be from 1 to {most}")).collect()
    }

    /// How long a query may take in the database.
    pub const fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.query_seconds)
    }

    /// How long an append may take in the database.
    pub const fn append_timeout(&self) -> Duration {
        Duration::from_secs(self.append_seconds)
    }
}
