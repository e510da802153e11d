//! The settings of the HTTP server.

use std::time::Duration;

use crate::auth::{AllowedOrigins, TrustedProxies};

/// The limits and timeouts of the HTTP server.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The maximum number of open connections for requests; further ones wait.
    pub connections: usize,
    /// The maximum number of connections of one client address; further ones are refused.
    pub connections_per_address: usize,
    /// The proxies whose headers name the client.
    pub trusted_proxies: TrustedProxies,
    /// The origins of other sites whose pages may query and subscribe.
    pub allowed_origins: AllowedOrigins,
    /// The time limit for a request's head, and for the silence between two requests.
    pub head_timeout: Duration,
    /// The time limit for a request's body.
    pub body_timeout: Duration,
    /// The maximum number of open WebSockets; further ones are refused.
    pub sockets: usize,
    /// The maximum number of open WebSockets of one client address.
    pub sockets_per_client: usize,
    /// The maximum number of open streams (SSE and multipart); further ones are refused.
    pub streams: usize,
    /// The maximum number of open streams of one client address.
    pub streams_per_client: usize,
    /// The maximum number of running operations on one WebSocket; further ones are refused.
    pub operations_per_socket: usize,
    /// The time limit for `connection_init` on a WebSocket.
    pub init_timeout: Duration,
    /// The time after which a WebSocket or stream is closed if its client reads nothing.
    pub write_timeout: Duration,
    /// The interval between two pings of a WebSocket, and between two heartbeats of a stream.
    pub ping_interval: Duration,
    /// The time over which subscribers are disconnected when the gateway stops.
    pub drain: Duration,
    /// The maximum size of a GraphQL request's body and of a WebSocket message, in bytes.
    pub query_body_bytes: usize,
    /// The maximum number of GraphQL requests in a batch; 0 turns batches off.
    pub batch: usize,
    /// The maximum size of a decompressed body with events, in bytes.
    pub delivery_body_bytes: usize,
    /// The time limit of an event hook's delivery, from the end of its body to the response.
    pub hook_patience: Duration,
}
