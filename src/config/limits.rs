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
    /// The limits that are zero, which none may be.
    pub(super) fn zeros(&self) -> Vec<&'static str> {
        let numbers = [
            ("connections", self.connections),
            ("sockets", self.sockets),
            ("operations_per_socket", self.operations_per_socket),
            ("query_body_bytes", self.query_body_bytes),
            ("delivery_body_bytes", self.delivery_body_bytes),
            ("delivery_events", self.delivery_events),
            ("waiting_bytes", self.waiting_bytes),
            ("window_bytes", self.window_bytes),
            ("query_connections", self.query_connections as usize),
        ];
        let seconds = [
            ("connection_init_seconds", self.connection_init_seconds),
            ("socket_write_seconds", self.socket_write_seconds),
            ("socket_ping_seconds", self.socket_ping_seconds),
            ("query_seconds", self.query_seconds),
            ("append_seconds", self.append_seconds),
        ];
        let numbers = numbers.into_iter().filter(|(_, number)| *number == 0).map(|(name, _)| name);
        numbers.chain(seconds.into_iter().filter(|(_, number)| *number == 0).map(|(name, _)| name)).collect()
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
