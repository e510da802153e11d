//! The scheduler: the queue of the feeds that have new events for their parked subscribers.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::live::feed::Feed;

/// The queue between the router and the workers. A feed stands in it at most once.
#[derive(Debug, Default)]
pub(in crate::live) struct Scheduler {
    queue: Mutex<VecDeque<Arc<Feed>>>,
    queued: Notify,
}

impl Scheduler {
    /// Schedules delivery of the feed's new events to its parked subscribers.
    pub(in crate::live) fn schedule(&self, feed: Arc<Feed>) {
        if feed.mark_for_visits() {
            self.enqueue(feed);
        }
    }

    /// Puts a feed with subscribers that are still to be visited at the queue's end.
    pub(super) fn enqueue(&self, feed: Arc<Feed>) {
        self.queue.lock().push_back(feed);
        self.queued.notify_one();
    }

    /// Takes the first feed from the queue; waits while the queue is empty.
    pub(super) async fn next(&self) -> Arc<Feed> {
        loop {
            let next = self.queue.lock().pop_front();
            if let Some(feed) = next {
                return feed;
            }
            self.queued.notified().await;
        }
    }
}
