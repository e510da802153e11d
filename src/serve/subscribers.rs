//! The permits of subscribers, WebSockets and streams, which are limited in total and for each client. When the gateway
//! stops, subscribers are disconnected one after the other.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::options::ServeOptions;
use super::per_address::{AddressPermit, PerAddress};

/// The subscribers of a gateway. All clones share them.
#[derive(Clone, Debug)]
pub struct Subscribers {
    sockets: SubscriberPermits,
    streams: SubscriberPermits,
    tracker: TaskTracker,
    /// The runtime of live delivery.
    delivery: Handle,
    stop: CancellationToken,
    departure: Arc<Departure>,
}

/// The disconnection of all subscribers when the gateway stops.
#[derive(Debug)]
struct Departure {
    /// The time over which disconnections are spread.
    spread: Duration,
    /// The number of subscribers at the first disconnection.
    all: OnceLock<u32>,
    /// The number of subscribers whose time is set.
    scheduled: AtomicU32,
}

/// The reason why a subscriber gets no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSubscriberPermit {
    #[error("the gateway is stopping")]
    Stopping,
    #[error("the limit of open {0} is reached (limits.{0})")]
    InAll(&'static str),
    #[error("the limit of open {0} of this client's address is reached (limits.{0}_per_client)")]
    OfClient(&'static str),
}

impl NoSubscriberPermit {
    /// Returns the HTTP status and error code of the refusal.
    pub(super) const fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::Stopping | Self::InAll(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::OfClient(_) => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_SUBSCRIBERS"),
        }
    }
}

impl Subscribers {
    /// Creates permits according to the options. Subscribers' tasks run on the runtime of live delivery.
    pub fn new(options: &ServeOptions, delivery: Handle, stop: CancellationToken) -> Self {
        Self {
            sockets: SubscriberPermits::new("sockets", options.sockets, options.sockets_per_client),
            streams: SubscriberPermits::new("streams", options.streams, options.streams_per_client),
            tracker: TaskTracker::new(),
            delivery,
            stop,
            departure: Arc::new(Departure {
                spread: options.drain,
                all: OnceLock::new(),
                scheduled: AtomicU32::new(0),
            }),
        }
    }

    /// Spawns a subscriber's task on the runtime of live delivery.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.delivery.spawn(task));
    }

    /// Waits until all subscribers have left.
    pub async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Takes a permit for a WebSocket of a client.
    pub(super) fn socket(&self, client: IpAddr) -> Result<SubscriberPermit, NoSubscriberPermit> {
        self.take(&self.sockets, client)
    }

    /// Takes a permit for a stream of a client.
    pub(super) fn stream(&self, client: IpAddr) -> Result<SubscriberPermit, NoSubscriberPermit> {
        self.take(&self.streams, client)
    }

    fn take(&self, permits: &SubscriberPermits, client: IpAddr) -> Result<SubscriberPermit, NoSubscriberPermit> {
        if self.stop.is_cancelled() {
            return Err(NoSubscriberPermit::Stopping);
        }
        permits.take(client, self.tracker.token())
    }

    /// Waits until this subscriber must be disconnected because the gateway stops. Disconnections are spread over some
    /// time, so that the subscribers do not all reconnect to the other gateways at once.
    pub(super) async fn dismissed(&self) {
        self.stop.cancelled().await;
        let Departure { spread, all, scheduled } = &*self.departure;
        let all = *all.get_or_init(|| u32::try_from(self.tracker.len()).unwrap_or(u32::MAX).max(1));
        let before = scheduled.fetch_add(1, Ordering::Relaxed).min(all);
        tokio::time::sleep(spread.mul_f64(f64::from(before) / f64::from(all))).await;
    }
}

/// The permits for one kind of subscribers.
#[derive(Clone, Debug)]
struct SubscriberPermits {
    kind: &'static str,
    free: Arc<Semaphore>,
    per_client: PerAddress,
}

/// A subscriber's permit, given back on drop.
#[derive(Debug)]
pub(super) struct SubscriberPermit {
    _held: AddressPermit,
    _permit: OwnedSemaphorePermit,
    _token: TaskTrackerToken,
}

impl SubscriberPermits {
    fn new(kind: &'static str, limit: usize, per_client: usize) -> Self {
        Self { kind, free: Arc::new(Semaphore::new(limit)), per_client: PerAddress::new(per_client) }
    }

    fn take(&self, client: IpAddr, token: TaskTrackerToken) -> Result<SubscriberPermit, NoSubscriberPermit> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| NoSubscriberPermit::InAll(self.kind))?;
        let held = self.per_client.take(client).ok_or(NoSubscriberPermit::OfClient(self.kind))?;
        Ok(SubscriberPermit { _held: held, _permit: permit, _token: token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_for_each_client_and_given_back() {
        let tracker = TaskTracker::new();
        let permits = SubscriberPermits::new("sockets", 3, 2);
        let take = |client: &str| permits.take(client.parse().unwrap(), tracker.token());
        let held = [take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap()];
        assert_eq!(take("192.0.2.1").err(), Some(NoSubscriberPermit::OfClient("sockets")));
        let other = take("2001:db8::1").unwrap();
        assert_eq!(take("2001:db8::2").err(), Some(NoSubscriberPermit::InAll("sockets")));
        drop((held, other));
        assert!(take("192.0.2.1").is_ok());
    }
}
