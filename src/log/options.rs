//! The settings of the log.

use std::time::Duration;

/// Limits of the log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Largest number of events in one commit.
    pub group_events: usize,
    /// Largest number of bytes of events that wait for their commit. An eighth is kept for small requests.
    pub waiting_bytes: usize,
    /// Time for which an append is retried while the database is unavailable.
    pub retry_for: Duration,
    /// Time limit of one attempt, including the database's own time limit.
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
