//! The settings of the HTTP server.

use std::time::Duration;

use crate::auth::TrustedProxies;

/// Limits and times of the HTTP server.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Largest number of open connections for requests. Further ones wait.
    pub connections: usize,
    /// Largest number of connections of one client's address. Further ones are refused.
    pub connections_per_address: usize,
    /// Proxies whose headers with the client's address are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Time limit for a request's head, and for the silence between two requests.
    pub head_timeout: Duration,
    /// Time limit for a request's body.
    pub body_timeout: Duration,
    /// Largest number of open WebSockets. Further ones are refused.
    pub sockets: usize,
    /// Largest number of open WebSockets of one client's address.
    pub sockets_per_client: usize,
    /// Largest number of open streams (SSE and multipart). Further ones are refused.
    pub streams: usize,
    /// Largest number of open streams of one client's address.
    pub streams_per_client: usize,
    /// Largest number of operations that run on one WebSocket. Further ones are refused.
    pub operations_per_socket: usize,
    /// Time limit for `connection_init` on a WebSocket.
    pub init_timeout: Duration,
    /// Longest time that the client of a WebSocket or stream may take nothing of what is sent.
    pub write_timeout: Duration,
    /// Time between two pings of a WebSocket, and between two heartbeats of a stream.
    pub ping_interval: Duration,
    /// Time over which subscribers are dismissed when the gateway stops.
    pub drain: Duration,
    /// Largest size of a GraphQL request's body and of a WebSocket message, in bytes.
    pub query_body_bytes: usize,
    /// Largest number of GraphQL requests in one body; 0 if there are no batches.
    pub batch: usize,
    /// Largest size of a body with events, decompressed, in bytes.
    pub delivery_body_bytes: usize,
    /// Time limit of an event hook's delivery, from the end of its body to the answer.
    pub hook_patience: Duration,
}
