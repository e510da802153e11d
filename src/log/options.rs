//! The settings of the log.

use std::time::Duration;

/// Limits of the log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The maximum number of events in one commit.
    pub group_events: usize,
    /// The maximum number of bytes of events that wait for their commit. An eighth is reserved for small requests.
    pub waiting_bytes: usize,
    /// The time for which an append is retried while the database is unavailable.
    pub retry_for: Duration,
    /// The timeout of one attempt, including the database's own statement timeout.
    pub append_timeout: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            group_events: 1024,
            waiting_bytes: 128 << 20,
            retry_for: Duration::from_secs(2),
            append_timeout: Duration::from_secs(15),
        }
    }
}
