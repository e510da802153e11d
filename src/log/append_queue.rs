//! The queue of requests that wait to be appended. Its two lanes keep small requests from waiting behind many large ones.
//!
//! The primary writer takes from both lanes in turn. A second writer takes small requests while many of their events wait
//! or the primary is busy. It takes large ones only where no small ones come, which would wait for both appends, or where
//! the primary seems to be stuck.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Mutex, MutexGuard, Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::append_request::{AppendError, QueuedRequest};

/// The number of requests that a lane's channel holds.
const LANE_LENGTH: usize = 4096;

/// The maximum number of events of a small request. A hook's delivery is small; an import's batch is large.
const SMALL_REQUEST: usize = 64;

/// The small lane's share of the waiting bytes is one part of this many.
const SMALL_PART: usize = 8;

/// The number of queued events in a lane from which a second writer pays: it prepares its append while the other one
/// holds the lock of the log's head. Fewer events cost less in one append than in two.
const BATCH_THRESHOLD: usize = 256;

/// The time after which the second writer takes small requests, because the primary is still busy.
const PATIENCE: Duration = Duration::from_millis(100);

/// The multiple of [`PATIENCE`] after which the second writer takes large requests too, because the primary seems to be
/// stuck, for example on a connection that does not respond.
const STUCK_AFTER: u32 = 10;

/// The time without small requests after which the second writer takes large ones.
const NO_SMALL_REQUESTS: Duration = Duration::from_secs(1);

/// The number of bytes per permit. The semaphore counts permits in 32 bits, so a permit is a kibibyte.
const PERMIT_BYTES: usize = 1024;

/// Opens a queue for at most `waiting_bytes` of events. The queue closes when all senders are dropped.
pub(super) fn open(waiting_bytes: usize) -> (AppendSender, AppendQueue) {
    let permits = waiting_bytes / PERMIT_BYTES;
    let (small_sender, small) = lane(permits / SMALL_PART);
    let (large_sender, large) = lane(permits - permits / SMALL_PART);
    let load = Arc::new(Load::new());
    let lanes = Lanes { small, large, large_is_next: false };
    let sender = AppendSender { small: small_sender, large: large_sender, load: Arc::clone(&load) };
    (sender, AppendQueue { lanes: Mutex::new(lanes), load })
}

fn lane(permits: usize) -> (LaneSender, Lane) {
    let (requests, receiver) = mpsc::channel(LANE_LENGTH);
    let size = permits.max(1);
    (LaneSender { requests, permits: Arc::new(Semaphore::new(size)), size }, Lane { receiver, returned: None })
}

/// The sending end of the queue. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct AppendSender {
    small: LaneSender,
    large: LaneSender,
    load: Arc<Load>,
}

#[derive(Clone, Debug)]
struct LaneSender {
    requests: mpsc::Sender<QueuedRequest>,
    /// Bounds the bytes of the events that are queued or being appended.
    permits: Arc<Semaphore>,
    size: usize,
}

impl AppendSender {
    fn lane(&self, events: usize) -> &LaneSender {
        if events <= SMALL_REQUEST { &self.small } else { &self.large }
    }

    /// Waits for the permit to queue events of this number and size. The permit is held until they are appended
    /// (backpressure).
    pub(super) async fn permit(&self, events: usize, bytes: usize) -> Result<OwnedSemaphorePermit, AppendError> {
        let lane = self.lane(events);
        let permits = (bytes / PERMIT_BYTES).clamp(1, lane.size);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        Arc::clone(&lane.permits).acquire_many_owned(permits).await.map_err(|_| AppendError::Closed)
    }

    /// Adds a request to its lane, waiting while the lane is full.
    pub(super) async fn send(&self, queued: QueuedRequest) -> Result<(), AppendError> {
        let events = queued.request.events.len();
        let place = self.lane(events).requests.reserve().await.map_err(|_| AppendError::Closed)?;
        self.load.add(events);
        place.send(queued);
        if self.load.is_batch() {
            self.load.wake_second.notify_one();
        }
        Ok(())
    }
}

/// The receiving end of the queue, for the writers.
pub(super) struct AppendQueue {
    lanes: Mutex<Lanes>,
    load: Arc<Load>,
}

/// The queued requests. Each lane is in the order of arrival.
struct Lanes {
    small: Lane,
    large: Lane,
    /// True after the primary's append began with a small request. Neither lane then waits for more than one append of
    /// the other.
    large_is_next: bool,
}

struct Lane {
    receiver: mpsc::Receiver<QueuedRequest>,
    /// A request that a writer took and put back. It precedes those of the channel.
    returned: Option<QueuedRequest>,
}

impl Lane {
    fn try_recv(&mut self) -> Result<QueuedRequest, TryRecvError> {
        self.returned.take().map_or_else(|| self.receiver.try_recv(), Ok)
    }
}

impl Lanes {
    fn try_recv(&mut self) -> Result<QueuedRequest, TryRecvError> {
        let Self { small, large, large_is_next } = self;
        let (first, second) = if *large_is_next { (large, small) } else { (small, large) };
        first.try_recv().or_else(|_| second.try_recv())
    }

    /// Waits for the next request. Returns None when the queue is closed and empty.
    async fn recv(&mut self) -> Option<QueuedRequest> {
        if let Ok(queued) = self.try_recv() {
            return Some(queued);
        }
        tokio::select! {
            biased;
            Some(queued) = self.small.receiver.recv() => Some(queued),
            Some(queued) = self.large.receiver.recv() => Some(queued),
            else => None,
        }
    }
}

/// The load of the queue, by which the second writer is woken.
#[derive(Debug)]
struct Load {
    small_events: AtomicUsize,
    large_events: AtomicUsize,
    opened: Instant,
    /// The time of the last small request, in milliseconds since `opened`.
    last_small: AtomicU64,
    /// The multiple of [`PATIENCE`] for which the primary writer had been busy when it last woke the second writer.
    primary_busy: AtomicU32,
    /// Wakes the second writer, because many events are queued or the primary is busy.
    wake_second: Notify,
}

impl Load {
    fn new() -> Self {
        Self {
            small_events: AtomicUsize::new(0),
            large_events: AtomicUsize::new(0),
            opened: Instant::now(),
            last_small: AtomicU64::new(0),
            primary_busy: AtomicU32::new(0),
            wake_second: Notify::new(),
        }
    }

    const fn lane(&self, events: usize) -> &AtomicUsize {
        if events <= SMALL_REQUEST { &self.small_events } else { &self.large_events }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn add(&self, events: usize) {
        self.lane(events).fetch_add(events, Ordering::Relaxed);
        if events <= SMALL_REQUEST {
            self.last_small.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Returns true if enough large requests, and no small ones, are queued for the second writer.
    fn is_large_batch(&self) -> bool {
        let no_small = || {
            let quiet = self.now().saturating_sub(self.last_small.load(Ordering::Relaxed));
            u128::from(quiet) >= NO_SMALL_REQUESTS.as_millis()
        };
        self.large_events.load(Ordering::Relaxed) >= BATCH_THRESHOLD && no_small()
    }

    /// Returns true if enough events are queued for the second writer.
    fn is_batch(&self) -> bool {
        self.small_events.load(Ordering::Relaxed) >= BATCH_THRESHOLD || self.is_large_batch()
    }
}

impl AppendQueue {
    /// Waits for the next request, and returns it with the guard that takes more. Returns None when the queue is
    /// closed.
    pub(super) async fn next(&self) -> Option<(QueuedRequest, QueueGuard<'_>)> {
        let mut lanes = self.lanes.lock().await;
        let Some(first) = lanes.recv().await else {
            // The second writer ends too, and needs the lanes to notice it.
            drop(lanes);
            self.wake_second(STUCK_AFTER);
            return None;
        };
        lanes.large_is_next = first.request.events.len() <= SMALL_REQUEST;
        let guard = QueueGuard { queue: self, lanes, may_take_large: true };
        guard.count(&first);
        Some((first, guard))
    }

    /// Runs the primary writer's work. While the work takes long, the second writer is woken to take the queued
    /// requests.
    pub(super) async fn while_busy<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        for busy_for in 1.. {
            if let Ok(done) = timeout(PATIENCE, &mut work).await {
                return done;
            }
            self.wake_second(busy_for);
        }
        work.await
    }

    fn wake_second(&self, busy_for: u32) {
        self.load.primary_busy.store(busy_for, Ordering::Release);
        self.load.wake_second.notify_one();
    }

    /// Waits for the next request for the second writer: until many events are queued or the primary is busy. Returns
    /// None when the queue is closed.
    pub(super) async fn next_for_second(&self) -> Option<(QueuedRequest, QueueGuard<'_>)> {
        loop {
            let (is_batch, is_large_batch) = (self.load.is_batch(), self.load.is_large_batch());
            let busy_for = self.load.primary_busy.swap(0, Ordering::AcqRel);
            if !is_batch && busy_for == 0 {
                // The primary may have taken the requests in the meantime.
                self.load.wake_second.notified().await;
                continue;
            }
            let Ok(lanes) = self.lanes.try_lock() else {
                // The primary is about to take the requests.
                tokio::task::yield_now().await;
                continue;
            };
            let mut guard =
                QueueGuard { queue: self, lanes, may_take_large: is_large_batch || busy_for >= STUCK_AFTER };
            let first = if guard.may_take_large { guard.lanes.try_recv() } else { guard.lanes.small.try_recv() };
            match first {
                Ok(first) => {
                    guard.count(&first);
                    return Some((first, guard));
                }
                Err(TryRecvError::Disconnected) => return None,
                // The request has been counted and is about to arrive.
                Err(TryRecvError::Empty) => drop(guard),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A writer's exclusive access to the queue while it collects requests for one append.
pub(super) struct QueueGuard<'a> {
    queue: &'a AppendQueue,
    lanes: MutexGuard<'a, Lanes>,
    may_take_large: bool,
}

impl QueueGuard<'_> {
    fn count(&self, taken: &QueuedRequest) {
        let events = taken.request.events.len();
        self.queue.load.lane(events).fetch_sub(events, Ordering::Relaxed);
    }

    /// Takes the next request, small ones first, if it has at most `most_events` events and meets the condition.
    pub(super) fn take(&mut self, most_events: usize, suits: impl Fn(&QueuedRequest) -> bool) -> Option<QueuedRequest> {
        let of_lane = |lane: &mut Lane| {
            let queued = lane.try_recv().ok()?;
            if queued.request.events.len() <= most_events && suits(&queued) {
                return Some(queued);
            }
            lane.returned = Some(queued);
            None
        };
        let Lanes { small, large, .. } = &mut *self.lanes;
        let taken = of_lane(small).or_else(|| self.may_take_large.then(|| of_lane(large)).flatten())?;
        self.count(&taken);
        Some(taken)
    }
}
