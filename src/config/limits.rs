//! Limits on everything that grows.

use std::time::Duration;

use serde::Deserialize;

use crate::graphql::DocumentLimits;
use crate::store::ReadLimits;

/// The `[limits]` table. Every limit has a default that suits a small machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections for requests that clients hold open at once; more wait. WebSockets, and streams over HTTP/1.1, have
    /// places of their own as soon as they have begun.
    pub connections: usize,
    /// The share of one client's address in `connections`; more are answered with 429. By default a quarter. For a
    /// trusted proxy, requests under way are counted instead, for the address that it names.
    pub connections_per_address: Option<usize>,
    /// Seconds a client may take to send a request's head, or be silent between two requests; then the connection is closed.
    pub head_seconds: u64,
    /// Seconds a client may take to send a request's body, or in an import each piece of it; then the answer is 408.
    pub body_seconds: u64,
    /// WebSockets open at once; more are answered with 503.
    pub sockets: usize,
    /// WebSockets of one client's address open at once; more are answered with 429.
    pub sockets_per_client: usize,
    /// Streams (SSE and multipart) open at once; more are answered with 503.
    pub streams: usize,
    /// Streams of one client's address open at once; more are answered with 429.
    pub streams_per_client: usize,
    /// Operations running at once on one WebSocket; more are refused.
    pub operations_per_socket: usize,
    /// Seconds a WebSocket has to send `connection_init`.
    pub connection_init_seconds: u64,
    /// Seconds a client may take nothing of what is sent, as an answer, on a WebSocket or on a stream; then it is cut off, and
    /// resumes where it was.
    pub socket_write_seconds: u64,
    /// Seconds between the pings that find out whether a quiet WebSocket still lives, and the signs of life on streams.
    pub socket_ping_seconds: u64,
    /// Seconds over which subscribers are sent away when the gateway stops; 0 is at once.
    pub drain_seconds: u64,
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
    /// Bytes of events as they are told that all feeds hold together, and as much again of what is told to subscribers
    /// that catch up together; who is further behind reads the window or the database.
    pub feed_bytes: usize,
    /// Subscribers that read the database at once to catch up; more wait for their turn.
    pub catch_up_reads: usize,
    /// Seconds a GraphQL query may take, in the database and out of it; then it is stopped.
    pub query_seconds: u64,
    /// GraphQL requests in one body, a batch; 0 is no batches.
    pub batch: usize,
    /// What answering a GraphQL request may cost: each field as often as its pages have room for it.
    pub complexity: usize,
    /// Bytes of a GraphQL document.
    pub document_bytes: usize,
    /// Tokens of a GraphQL document.
    pub document_tokens: usize,
    /// How deep fields may be nested; GraphiQL needs 15.
    pub document_depth: usize,
    /// Fields of a document, its fragments expanded.
    pub document_fields: usize,
    /// Fields at the root of an operation.
    pub document_root_fields: usize,
    /// Aliases of an operation, its fragments expanded.
    pub document_aliases: usize,
    /// Directives of an operation, its fragments expanded.
    pub document_directives: usize,
    /// Values in an operation's arguments, variables counted as often as they are used.
    pub document_values: usize,
    /// Bytes of the documents that clients may register by their hashes; 0 is none.
    pub persisted_bytes: usize,
    /// Seconds an append may take in the database, the wait for its turn included.
    pub append_seconds: u64,
    /// Seconds from the receipt of an event hook's delivery to the answer 503, if it is not stored by then. Okta waits
    /// for 3.
    pub hook_seconds: u64,
    /// Connections to the database that queries use at once. One reader uses at most three quarters of them.
    pub query_connections: u32,
    /// Seconds that a statement of a query waits for a connection to the database, while others of its reader use that
    /// reader's share; then the query is refused.
    pub query_wait_seconds: u64,
    /// Statements of one reader that wait for a connection to the database; more are refused at once.
    pub query_waiting: usize,
    /// Statements of one reader that the database executes at once while they take 50 ms or more on average, and while
    /// others ask, too. A database with many processors has room for more.
    pub query_long_statements: usize,
    /// Statements of one query that the database executes at once; its others wait for these.
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
    /// What is wrong with them: each has to be from 1 to what makes sense, or from 0 where that turns something off.
    pub(super) fn faults(&self) -> Vec<String> {
        const NUMBER: u64 = 1_000_000;
        const BYTES: u64 = 1 << 40;
        const SECONDS: u64 = 86_400;
        const PRICE: u64 = 1_000_000_000;
        // As deep as the parser goes.
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

    /// Tells that one address may have all connections, and so keep all others out.
    fn share_fault(&self) -> Option<String> {
        let (all, share) = (self.connections, self.connections_per_address.filter(|share| *share > 0)?);
        (share >= all && all > 0).then(|| {
            format!(
                "limits.connections_per_address: must be less than limits.connections ({all}): otherwise one address keeps \
                 all others out"
            )
        })
    }

    /// Connections that one client's address may have open.
    pub fn connections_per_address(&self) -> usize {
        self.connections_per_address.unwrap_or_else(|| self.connections.div_ceil(4))
    }

    /// What a GraphQL request is held to.
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

    /// Returns the limits of connections that read.
    pub const fn reads(&self) -> ReadLimits {
        ReadLimits {
            connections: self.query_connections,
            wait: Duration::from_secs(self.query_wait_seconds),
            waiting: self.query_waiting,
            long_statements: self.query_long_statements,
            request_statements: self.query_statements,
        }
    }

    /// How long a query may take.
    pub const fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.query_seconds)
    }

    /// How long an append may take in the database.
    pub const fn append_timeout(&self) -> Duration {
        Duration::from_secs(self.append_seconds)
    }
}
