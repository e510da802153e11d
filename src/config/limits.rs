//! Limits on everything that grows.

use std::time::Duration;

use serde::Deserialize;

use crate::graphql::DocumentLimits;
use crate::store::ReadLimits;

/// The `[limits]` table. Every limit has a default that suits a small machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum open connections for requests; further ones wait. WebSockets, and streams over HTTP/1.1, count
    /// separately once they have begun.
    pub connections: usize,
    /// Maximum of `connections` for one client address; further ones get 429. The default is a quarter. For a trusted
    /// proxy, running requests are counted instead, by the address that it names.
    pub connections_per_address: Option<usize>,
    /// Seconds for a client to send a request's head, and for the silence between two requests; then the connection is
    /// closed.
    pub head_seconds: u64,
    /// Seconds for a client to send a request's body, or each piece of an import's body; then the response is 408.
    pub body_seconds: u64,
    /// Maximum open WebSockets; further ones get 503.
    pub sockets: usize,
    /// Maximum open WebSockets of one client address; further ones get 429.
    pub sockets_per_client: usize,
    /// Maximum open streams (SSE and multipart); further ones get 503.
    pub streams: usize,
    /// Maximum open streams of one client address; further ones get 429.
    pub streams_per_client: usize,
    /// Maximum running operations on one WebSocket; further ones are refused.
    pub operations_per_socket: usize,
    /// Seconds for a WebSocket's client to send `connection_init`.
    pub connection_init_seconds: u64,
    /// Seconds for which a client may read nothing of a response, WebSocket or stream; then it is disconnected, and can
    /// resume.
    pub socket_write_seconds: u64,
    /// Seconds between the pings by which dead WebSockets are detected, and between the keep-alive messages of streams.
    pub socket_ping_seconds: u64,
    /// Seconds over which subscribers are disconnected when the gateway stops; 0 means at once.
    pub drain_seconds: u64,
    /// Maximum size of a request's body on `/graphql` and of a WebSocket message, in bytes.
    pub query_body_bytes: usize,
    /// Maximum size of a decompressed request's body on the other routes, in bytes.
    pub delivery_body_bytes: usize,
    /// Maximum number of events in a delivery, in a body of Log Streaming or Workflows, and in a record of an import.
    pub delivery_events: usize,
    /// Maximum size of the events that wait for their commit, in bytes; further requests wait (backpressure).
    pub waiting_bytes: usize,
    /// Size of the newest events that are kept in memory for subscribers, in bytes.
    pub window_bytes: usize,
    /// Maximum size of the rendered events of all feeds, in bytes, and of those for subscribers that catch up together.
    /// A subscriber that is further behind reads from the window or the database.
    pub feed_bytes: usize,
    /// Maximum number of subscribers that read the database at the same time to catch up; further ones wait.
    pub catch_up_reads: usize,
    /// Seconds for a GraphQL query, inside and outside the database; then it is cancelled.
    pub query_seconds: u64,
    /// Maximum number of GraphQL requests in a batch; 0 turns batches off.
    pub batch: usize,
    /// Maximum cost of a GraphQL request, in which each field counts as often as its pages have space for it.
    pub complexity: usize,
    /// Maximum size of a GraphQL document, in bytes.
    pub document_bytes: usize,
    /// Maximum number of tokens of a GraphQL document.
    pub document_tokens: usize,
    /// Maximum depth of nested fields; GraphiQL needs 15.
    pub document_depth: usize,
    /// Maximum number of fields of a document, with its fragments expanded.
    pub document_fields: usize,
    /// Maximum number of fields at the root of an operation.
    pub document_root_fields: usize,
    /// Maximum number of aliases of an operation, with its fragments expanded.
    pub document_aliases: usize,
    /// Maximum number of directives of an operation, with its fragments expanded.
    pub document_directives: usize,
    /// Maximum number of values in an operation's arguments. A variable counts once for each use.
    pub document_values: usize,
    /// Size of the documents that clients may register by hash, in bytes; 0 turns that off.
    pub persisted_bytes: usize,
    /// Seconds for an append in the database, including the wait for its turn.
    pub append_seconds: u64,
    /// Seconds until an event hook's delivery that is not stored is answered with 503. Okta waits 3 seconds.
    pub hook_seconds: u64,
    /// Maximum number of database connections for queries. One reader uses at most three quarters of them.
    pub query_connections: u32,
    /// Seconds for which a query's statement waits for a database connection while its reader uses its whole share;
    /// then the query is refused.
    pub query_wait_seconds: u64,
    /// Maximum number of one reader's statements that wait for a database connection; further ones are refused at once.
    pub query_waiting: usize,
    /// Maximum number of concurrent statements of one reader while they take 10 ms or more on average and other readers
    /// use the database, too. A database with many processors supports more.
    pub query_long_statements: usize,
    /// Maximum number of concurrent statements of one query; its others wait.
    pub query_statements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let documents = DocumentLimits::default();
        let reads = ReadLimits::default();
        Self {
            connections: 20_000,
            connections_per_address: None,
            head_seconds: 60,
            body_seconds: 30,
            sockets: 10_000,
            sockets_per_client: 10_000,
            streams: 10_000,
            streams_per_client: 10_000,
            operations_per_socket: 100,
            connection_init_seconds: 10,
            socket_write_seconds: 30,
            socket_ping_seconds: 25,
            drain_seconds: 5,
            query_body_bytes: 1 << 20,
            delivery_body_bytes: 32 << 20,
            delivery_events: 20_000,
            waiting_bytes: 128 << 20,
            window_bytes: 64 << 20,
            feed_bytes: 64 << 20,
            catch_up_reads: 4,
            query_seconds: 30,
            batch: 10,
            complexity: documents.complexity,
            document_bytes: documents.bytes,
            document_tokens: documents.tokens,
            document_depth: documents.depth,
            document_fields: documents.fields,
            document_root_fields: documents.root_fields,
            document_aliases: documents.aliases,
            document_directives: documents.directives,
            document_values: documents.values,
            persisted_bytes: 8 << 20,
            append_seconds: 10,
            hook_seconds: 2,
            query_connections: reads.connections,
            query_wait_seconds: reads.wait.as_secs(),
            query_waiting: reads.waiting,
            query_long_statements: reads.long_statements,
            query_statements: reads.request_statements,
        }
    }
}

impl Limits {
    /// Returns the limits that are out of range: each must be between 1, or 0 where that turns something off, and a
    /// maximum.
    pub(super) fn faults(&self) -> Vec<String> {
        const NUMBER: u64 = 1_000_000;
        const BYTES: u64 = 1 << 40;
        const SECONDS: u64 = 86_400;
        const PRICE: u64 = 1_000_000_000;
        // The parser's own limit.
        const DEPTH: u64 = 64;
        let limits = [
            ("connections", self.connections as u64, NUMBER),
            ("connections_per_address", self.connections_per_address.unwrap_or(1) as u64, NUMBER),
            ("head_seconds", self.head_seconds, SECONDS),
            ("body_seconds", self.body_seconds, SECONDS),
            ("sockets", self.sockets as u64, NUMBER),
            ("sockets_per_client", self.sockets_per_client as u64, NUMBER),
            ("streams", self.streams as u64, NUMBER),
            ("streams_per_client", self.streams_per_client as u64, NUMBER),
            ("operations_per_socket", self.operations_per_socket as u64, NUMBER),
            ("connection_init_seconds", self.connection_init_seconds, SECONDS),
            ("socket_write_seconds", self.socket_write_seconds, SECONDS),
            ("socket_ping_seconds", self.socket_ping_seconds, SECONDS),
            ("query_body_bytes", self.query_body_bytes as u64, BYTES),
            ("delivery_body_bytes", self.delivery_body_bytes as u64, BYTES),
            ("delivery_events", self.delivery_events as u64, NUMBER),
            ("waiting_bytes", self.waiting_bytes as u64, BYTES),
            ("window_bytes", self.window_bytes as u64, BYTES),
            ("feed_bytes", self.feed_bytes as u64, BYTES),
            ("catch_up_reads", self.catch_up_reads as u64, NUMBER),
            ("query_seconds", self.query_seconds, SECONDS),
            ("complexity", self.complexity as u64, PRICE),
            ("document_bytes", self.document_bytes as u64, BYTES),
            ("document_tokens", self.document_tokens as u64, NUMBER),
            ("document_depth", self.document_depth as u64, DEPTH),
            ("document_fields", self.document_fields as u64, NUMBER),
            ("document_root_fields", self.document_root_fields as u64, NUMBER),
            ("document_aliases", self.document_aliases as u64, NUMBER),
            ("document_directives", self.document_directives as u64, NUMBER),
            ("document_values", self.document_values as u64, NUMBER),
            ("append_seconds", self.append_seconds, SECONDS),
            ("hook_seconds", self.hook_seconds, SECONDS),
            ("query_connections", self.query_connections.into(), NUMBER),
            ("query_wait_seconds", self.query_wait_seconds, SECONDS),
            ("query_waiting", self.query_waiting as u64, NUMBER),
            ("query_long_statements", self.query_long_statements as u64, NUMBER),
            ("query_statements", self.query_statements as u64, NUMBER),
        ];
        let wrong = limits.into_iter().filter(|(_, limit, most)| !(1..=*most).contains(limit));
        let wrong = wrong.map(|(name, _, most)| format!("limits.{name}: must be from 1 to {most}"));
        let off = [
            ("batch", self.batch as u64, NUMBER),
            ("persisted_bytes", self.persisted_bytes as u64, BYTES),
            ("drain_seconds", self.drain_seconds, SECONDS),
        ];
        let off = off.into_iter().filter(|(_, limit, most)| limit > most);
        let all = wrong.chain(off.map(|(name, _, most)| format!("limits.{name}: must be from 0 to {most}")));
        all.chain(self.share_fault()).collect()
    }

    /// Returns a fault if one address may have all connections, which would lock out all others.
    fn share_fault(&self) -> Option<String> {
        let (all, share) = (self.connections, self.connections_per_address.filter(|share| *share > 0)?);
        (share >= all && all > 0).then(|| {
            format!(
                "limits.connections_per_address: must be less than limits.connections ({all}); otherwise one address can \
                 lock out all others"
            )
        })
    }

    /// Returns the maximum number of connections of one client address.
    pub fn connections_per_address(&self) -> usize {
        self.connections_per_address.unwrap_or_else(|| self.connections.div_ceil(4))
    }

    /// Returns the limits of GraphQL requests.
    pub const fn documents(&self) -> DocumentLimits {
        DocumentLimits {
            bytes: self.document_bytes,
            tokens: self.document_tokens,
            depth: self.document_depth,
            fields: self.document_fields,
            root_fields: self.document_root_fields,
            aliases: self.document_aliases,
            directives: self.document_directives,
            values: self.document_values,
            complexity: self.complexity,
        }
    }

    /// Returns the limits of connections for queries.
    pub const fn reads(&self) -> ReadLimits {
        ReadLimits {
            connections: self.query_connections,
            wait: Duration::from_secs(self.query_wait_seconds),
            waiting: self.query_waiting,
            long_statements: self.query_long_statements,
            request_statements: self.query_statements,
        }
    }

    /// Returns the time limit of a query.
    pub const fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.query_seconds)
    }

    /// Returns the time limit of an append in the database.
    pub const fn append_timeout(&self) -> Duration {
        Duration::from_secs(self.append_seconds)
    }
}
