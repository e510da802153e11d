//! Reading a request's whole body within limits of size and time.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::future::poll_immediate;
use http_body_util::LengthLimitError;
use tokio::time::timeout;

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// The maximum size in bytes, as received.
    pub(super) bytes: usize,
    /// The time limit for its arrival.
    pub(super) timeout: Duration,
}

/// The reason why a body could not be read.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// The body is larger than its limit.
    TooLarge,
    /// The body did not arrive within its time limit.
    TooSlow,
    /// The connection ended before the body did.
    BrokenOff(axum::Error),
}

impl BodyLimits {
    /// Reads a body.
    pub(super) async fn read(self, body: Body) -> Result<Bytes, BodyFault> {
        let mut read = pin!(axum::body::to_bytes(body, self.bytes));
        // Most bodies arrive with their heads and need no timer.
        let read = match poll_immediate(&mut read).await {
            Some(read) => read,
            None => timeout(self.timeout, read).await.map_err(|_| too_slow())?,
        };
        read.map_err(|error| {
            let is_too_large =
                std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
            if is_too_large { BodyFault::TooLarge } else { BodyFault::BrokenOff(error) }
        })
    }
}

/// Counts a body that exceeded its time limit.
pub(super) fn too_slow() -> BodyFault {
    metrics::counter!("sluice_bodies_timed_out_total").increment(1);
    tracing::debug!("a request's body did not arrive in time");
    BodyFault::TooSlow
}

/// The message to a client whose body did not arrive in time.
pub(super) const TOO_SLOW: &str = "the body took too long to arrive (limits.body_seconds): send it again";
