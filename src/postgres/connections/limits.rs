//! Limits of connections that read.

use std::time::Duration;

/// Limits of connections that read, which all credentials share.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Largest number of connections.
    pub connections: u32,
    /// Longest wait of a statement for a connection.
    pub wait: Duration,
    /// Largest number of statements of one credential that wait for a connection.
    pub waiting: usize,
    /// Largest number of statements of one credential that are executed at once while they take long, and while others
    /// read, too.
    pub long_statements: usize,
    /// Largest number of statements of one request that are executed at once.
    pub request_statements: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            connections: 16,
            wait: Duration::from_secs(2),
            waiting: 1_000,
            long_statements: 1,
            request_statements: 4,
        }
    }
}
