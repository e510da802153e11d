//! The refusal of a connection, with a response that needs no task and no waiting.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use serde_json::json;
use tokio::net::TcpStream;

/// The minimum time between two log lines, since a client may be refused thousands of times a second.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A rate limit of a log line.
#[derive(Debug, Default)]
pub(super) struct RateLimitedLog {
    logged: Option<Instant>,
    occurrences: u64,
}

impl RateLimitedLog {
    /// Counts an occurrence. Returns the number of occurrences since the last line if the next line is due.
    pub(super) fn due(&mut self) -> Option<u64> {
        self.occurrences += 1;
        if self.logged.is_some_and(|logged| logged.elapsed() < LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(Instant::now());
        Some(std::mem::take(&mut self.occurrences))
    }
}

/// Refuses a connection of an address that is at its limit, with an HTTP response that closes the connection.
pub(super) fn refuse(stream: &TcpStream, address: IpAddr, limit: usize, log: &mut RateLimitedLog) {
    metrics::counter!("sluice_connections_refused_total").increment(1);
    if let Some(refused) = log.due() {
        tracing::warn!(
            %address,
            limit,
            refused,
            "refused connections of an address that is at its limit (limits.connections_per_address)"
        );
    }
    let message = format!("{address} has {limit} open connections already (limits.connections_per_address)");
    let body = json!({ "error": { "code": "TOO_MANY_CONNECTIONS", "message": message } }).to_string();
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The response fits into the buffer of a new connection. Unread bytes would cause a reset that discards it.
    _ = send(stream, answer.as_bytes(), SendFlags::empty());
    _ = shutdown(stream, Shutdown::Write);
    _ = recv(stream, &mut [0_u8; 4096], RecvFlags::empty());
}
