//! Who is connected to wait: WebSockets and streams, so many in all and of one client; and how they are sent away.

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

use super::ServeOptions;
use super::per_address::{Held, PerAddress};

/// The subscribers of a gateway. Clones are the same.
#[derive(Clone, Debug)]
pub struct Subscribers {
    sockets: Room,
    streams: Room,
    tracker: TaskTracker,
    /// Where they are told what happens.
    delivery: Handle,
    stop: CancellationToken,
    departure: Arc<Departure>,
}

/// How they leave when the gateway stops.
#[derive(Debug)]
struct Departure {
    /// The time over which they are spread.
    spread: Duration,
    /// How many there were when it began.
    all: OnceLock<u32>,
    /// How many know by when they leave.
    told: AtomicU32,
}

/// Why there is no place for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("the gateway is stopping")]
    Stopping,
    #[error("there are as many {0} as there may be (limits.{0})")]
    InAll(&'static str),
    #[error("there are as many {0} of this client's address as there may be (limits.{0}_per_client)")]
    OfClient(&'static str),
}

impl NoPlace {
    /// The status that tells it, and the code.
    pub(super) const fn told(self) -> (StatusCode, &'static str) {
        match self {
            Self::Stopping | Self::InAll(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::OfClient(_) => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_SUBSCRIBERS"),
        }
    }
}

impl Subscribers {
    /// Room for as many as the options say, until `stop`. They are told what happens on a runtime that may be another
    /// than that of requests.
    pub fn new(options: &ServeOptions, delivery: Handle, stop: CancellationToken) -> Self {
        Self {
            sockets: Room::new("sockets", options.sockets, options.sockets_per_client),
            streams: Room::new("streams", options.streams, options.streams_per_client),
            tracker: TaskTracker::new(),
            delivery,
            stop,
            departure: Arc::new(Departure { spread: options.drain, all: OnceLock::new(), told: AtomicU32::new(0) }),
        }
    }

    /// Has somebody be told what happens.
    pub(super) fn spawn(&self, telling: impl Future<Output = ()> + Send + 'static) {
        drop(self.delivery.spawn(telling));
    }

    /// Waits until all have left.
    pub async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// A place for a WebSocket of a client.
    pub(super) fn socket(&self, client: IpAddr) -> Result<Place, NoPlace> {
        self.take(&self.sockets, client)
    }

    /// A place for a stream of a client.
    pub(super) fn stream(&self, client: IpAddr) -> Result<Place, NoPlace> {
        self.take(&self.streams, client)
    }

    fn take(&self, room: &Room, client: IpAddr) -> Result<Place, NoPlace> {
        if self.stop.is_cancelled() {
            return Err(NoPlace::Stopping);
        }
        room.take(client, self.tracker.token())
    }

    /// Waits until it is this subscriber's turn to leave, as the gateway stops. They come to the other gateways one after
    /// the other, and not all at once.
    pub(super) async fn dismissed(&self) {
        self.stop.cancelled().await;
        let Departure { spread, all, told } = &*self.departure;
        let all = *all.get_or_init(|| u32::try_from(self.tracker.len()).unwrap_or(u32::MAX).max(1));
        let before = told.fetch_add(1, Ordering::Relaxed).min(all);
        tokio::time::sleep(spread.mul_f64(f64::from(before) / f64::from(all))).await;
    }
}

/// Room for subscribers of one kind.
#[derive(Clone, Debug)]
struct Room {
    kind: &'static str,
    free: Arc<Semaphore>,
    per_client: PerAddress,
}

/// A subscriber's place: free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _held: Held,
    _permit: OwnedSemaphorePermit,
    _token: TaskTrackerToken,
}

impl Room {
    fn new(kind: &'static str, limit: usize, per_client: usize) -> Self {
        Self { kind, free: Arc::new(Semaphore::new(limit)), per_client: PerAddress::new(per_client) }
    }

    fn take(&self, client: IpAddr, token: TaskTrackerToken) -> Result<Place, NoPlace> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| NoPlace::InAll(self.kind))?;
        let held = self.per_client.take(client).ok_or(NoPlace::OfClient(self.kind))?;
        Ok(Place { _held: held, _permit: permit, _token: token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_gets_them_back() {
        let tracker = TaskTracker::new();
        let room = Room::new("sockets", 3, 2);
        let take = |client: &str| room.take(client.parse().unwrap(), tracker.token());
        let held = [take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap()];
        assert_eq!(take("192.0.2.1").err(), Some(NoPlace::OfClient("sockets")));
        let other = take("2001:db8::1").unwrap();
        assert_eq!(take("2001:db8::2").err(), Some(NoPlace::InAll("sockets")));
        drop((held, other));
        assert!(take("192.0.2.1").is_ok());
    }
}
