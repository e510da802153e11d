//! Refusing a connection: an answer that needs no task and no wait.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use serde_json::json;
use tokio::net::TcpStream;

/// The least time between two log lines, since a client may be refused thousands of times a second.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A log line that is written seldom, however often there is a reason for it.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    logged: Option<Instant>,
    reasons: u64,
}

impl Seldom {
    /// Counts a reason. Returns the number of reasons since the last line when the next one is due.
    pub(super) fn due(&mut self) -> Option<u64> {
        self.reasons += 1;
        if self.logged.is_some_and(|logged| logged.elapsed() < LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(Instant::now());
        Some(std::mem::take(&mut self.reasons))
    }
}

/// Refuses a connection of an address that has as many as it may: with an answer by HTTP that closes it.
pub(super) fn refuse(stream: &TcpStream, address: IpAddr, limit: usize, line: &mut Seldom) {
    metrics::counter!("sluice_connections_refused_total").increment(1);
    if let Some(refused) = line.due() {
        tracing::warn!(
            %address,
            limit,
            refused,
            "refused connections of an address that has as many as it may (limits.connections_per_address)"
        );
    }
    let message = format!("{address} has {limit} connections open already (limits.connections_per_address)");
    let body = json!({ "error": { "code": "TOO_MANY_CONNECTIONS", "message": message } }).to_string();
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The answer fits into the buffer of a new connection. Bytes left unread would take it back at the close.
    _ = send(stream, answer.as_bytes(), SendFlags::empty());
    _ = shutdown(stream, Shutdown::Write);
    _ = recv(stream, &mut [0_u8; 4096], RecvFlags::empty());
}
