//! The settings of live delivery.

use std::time::Duration;

use super::tail::nats::NatsServers;

/// Limits of live delivery.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Largest total size of the events in the window, in bytes.
    pub window_bytes: usize,
    /// Largest total size of the rendered events of all feeds, in bytes. What they render for subscribers that catch up
    /// may take as much again.
    pub feed_bytes: usize,
    /// Number of subscribers that may read the database at the same time to catch up.
    pub catch_up_reads: usize,
    /// Longest time until an append is noticed with every hint lost; five times as long while NATS works.
    pub poll_interval: Duration,
    /// The NATS servers by which gateways send each other the log's tail, if there are any.
    pub nats: Option<NatsServers>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            window_bytes: 64 << 20,
            feed_bytes: 64 << 20,
            catch_up_reads: 4,
            poll_interval: Duration::from_secs(1),
            nats: None,
        }
    }
}
