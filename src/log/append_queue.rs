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

use super::append_request::{AppendError, Waiting};

/// Number of requests that a lane's channel holds.
const LANE_LENGTH: usize = 4096;

/// Largest number of events of a small request. A delivery of a hook is small; a batch is large.
const SMALL_REQUEST: usize = 64;

/// The small lane's part of the bytes that may wait is one of this many.
const SMALL_PART: usize = 8;

/// Number of waiting events of a lane from which a second writer is of use: the database prepares its append while the
/// other one holds the log's head. Fewer events cost less in one append than in two that take turns.
const BATCH_THRESHOLD: usize = 256;

/// Time after which the second writer takes small requests, because the primary is still busy.
const PATIENCE: Duration = Duration::from_millis(100);

/// Number of times [`PATIENCE`] after which the second writer takes large requests, too, because the primary seems to be
/// stuck, for example with a connection that does not answer.
const STUCK_AFTER: u32 = 10;

/// Time without small requests after which the second writer takes large ones.
const NO_SMALL_REQUESTS: Duration = Duration::from_secs(1);

/// Bytes for which one permit stands: permits are counted in 32 bits, so they are kibibytes.
const PERMIT_BYTES: usize = 1024;

/// Opens a queue of requests with at most `waiting_bytes` of events. The queue is closed when every sender is gone.
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

/// The queue's end for those who append. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub(super) struct AppendSender {
    small: LaneSender,
    large: LaneSender,
    load: Arc<Load>,
}

#[derive(Clone, Debug)]
struct LaneSender {
    requests: mpsc::Sender<Waiting>,
    /// Bounds the bytes of events that wait or are being appended.
    permits: Arc<Semaphore>,
    size: usize,
}

impl AppendSender {
    fn lane(&self, events: usize) -> &LaneSender {
        if events <= SMALL_REQUEST { &self.small } else { &self.large }
    }

    /// Waits until that many events with so many bytes may wait. The permit is held until they are appended.
    pub(super) async fn permit(&self, events: usize, bytes: usize) -> Result<OwnedSemaphorePermit, AppendError> {
        let lane = self.lane(events);
        let permits = (bytes / PERMIT_BYTES).clamp(1, lane.size);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        Arc::clone(&lane.permits).acquire_many_owned(permits).await.map_err(|_| AppendError::Closed)
    }

    /// Puts a request at the end of its lane, as soon as there is a place.
    pub(super) async fn send(&self, waiting: Waiting) -> Result<(), AppendError> {
        let events = waiting.request.events.len();
        let place = self.lane(events).requests.reserve().await.map_err(|_| AppendError::Closed)?;
        self.load.add(events);
        place.send(waiting);
        if self.load.is_batch() {
            self.load.wake_second.notify_one();
        }
        Ok(())
    }
}

/// The queue's end for writers.
pub(super) struct AppendQueue {
    lanes: Mutex<Lanes>,
    load: Arc<Load>,
}

/// Requests that wait. Each lane is in the order of arrival.
struct Lanes {
    small: Lane,
    large: Lane,
    /// True after an append of the primary that began with a small request, so that neither lane waits for more than one
    /// append of the other.
    large_is_next: bool,
}

struct Lane {
    receiver: mpsc::Receiver<Waiting>,
    /// Request that a writer took and put back. It comes before those of the channel.
    returned: Option<Waiting>,
}

impl Lane {
    fn try_recv(&mut self) -> Result<Waiting, TryRecvError> {
        self.returned.take().map_or_else(|| self.receiver.try_recv(), Ok)
    }
}

impl Lanes {
    /// Takes the next request, if there is one.
    fn try_recv(&mut self) -> Result<Waiting, TryRecvError> {
        let Self { small, large, large_is_next } = self;
        let (first, second) = if *large_is_next { (large, small) } else { (small, large) };
        first.try_recv().or_else(|_| second.try_recv())
    }

    /// Takes the next request as soon as there is one. Returns None when the queue is closed and empty.
    async fn recv(&mut self) -> Option<Waiting> {
        if let Ok(waiting) = self.try_recv() {
            return Some(waiting);
        }
        tokio::select! {
            biased;
            Some(waiting) = self.small.receiver.recv() => Some(waiting),
            Some(waiting) = self.large.receiver.recv() => Some(waiting),
            else => None,
        }
    }
}

#[derive(Debug)]
struct Load {
    /// Numbers of events that wait.
    small_events: AtomicUsize,
    large_events: AtomicUsize,
    opened: Instant,
    /// Moment at which the last small request came, in milliseconds since `opened`.
    last_small: AtomicU64,
    /// Number of times [`PATIENCE`] for which the primary writer has been busy since the second last looked.
    primary_busy: AtomicU32,
    /// Wakes the second writer, since many events wait or the primary is busy.
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

    /// Counts a request of so many events.
    fn add(&self, events: usize) {
        self.lane(events).fetch_add(events, Ordering::Relaxed);
        if events <= SMALL_REQUEST {
            self.last_small.store(self.now(), Ordering::Relaxed);
        }
    }

    /// True where so many large requests wait, and no small ones come, that the second writer takes large ones.
    fn is_large_batch(&self) -> bool {
        let no_small = || {
            let quiet = self.now().saturating_sub(self.last_small.load(Ordering::Relaxed));
            u128::from(quiet) >= NO_SMALL_REQUESTS.as_millis()
        };
        self.large_events.load(Ordering::Relaxed) >= BATCH_THRESHOLD && no_small()
    }

    /// True where enough waits for the second writer.
    fn is_batch(&self) -> bool {
        self.small_events.load(Ordering::Relaxed) >= BATCH_THRESHOLD || self.is_large_batch()
    }
}

impl AppendQueue {
    /// Takes the next request as soon as it comes, with the guard to take more. Returns None when the queue is closed.
    pub(super) async fn next(&self) -> Option<(Waiting, QueueGuard<'_>)> {
        let mut lanes = self.lanes.lock().await;
        let Some(first) = lanes.recv().await else {
            // The second writer ends, too, and needs the lanes for that.
            drop(lanes);
            self.wake_second(STUCK_AFTER);
            return None;
        };
        lanes.large_is_next = first.request.events.len() <= SMALL_REQUEST;
        let guard = QueueGuard { queue: self, lanes, may_take_large: true };
        guard.count(&first);
        Some((first, guard))
    }

    /// Runs work that keeps the primary writer from the queue. Where the work takes long, the second writer takes what
    /// waits.
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

    /// Takes the next request for the second writer, as soon as many events wait or the primary is busy. Returns None when
    /// the queue is closed.
    pub(super) async fn next_for_second(&self) -> Option<(Waiting, QueueGuard<'_>)> {
        loop {
            let (is_batch, is_large_batch) = (self.load.is_batch(), self.load.is_large_batch());
            let busy_for = self.load.primary_busy.swap(0, Ordering::AcqRel);
            if !is_batch && busy_for == 0 {
                // The primary may have taken the requests by the time of the call.
                self.load.wake_second.notified().await;
                continue;
            }
            let Ok(lanes) = self.lanes.try_lock() else {
                // The primary is about to take what waits.
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
                // The request has been counted and is about to come.
                Err(TryRecvError::Empty) => drop(guard),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The writer's exclusive right to take requests for one append.
pub(super) struct QueueGuard<'a> {
    queue: &'a AppendQueue,
    lanes: MutexGuard<'a, Lanes>,
    may_take_large: bool,
}

impl QueueGuard<'_> {
    fn count(&self, taken: &Waiting) {
        let events = taken.request.events.len();
        self.queue.load.lane(events).fetch_sub(events, Ordering::Relaxed);
    }

    /// Takes the next request if there is one of at most so many events that meets the condition; small ones come first.
    pub(super) fn take(&mut self, most_events: usize, suits: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let of_lane = |lane: &mut Lane| {
            let waiting = lane.try_recv().ok()?;
            if waiting.request.events.len() <= most_events && suits(&waiting) {
                return Some(waiting);
            }
            lane.returned = Some(waiting);
            None
        };
        let Lanes { small, large, .. } = &mut *self.lanes;
        let taken = of_lane(small).or_else(|| self.may_take_large.then(|| of_lane(large)).flatten())?;
        self.count(&taken);
        Some(taken)
    }
}
