//! Polling only what was woken. A socket waits for many things, and mostly one of them has happened: to look at all the
//! others each time would take longer than to tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Whether something that a task waits for was woken.
pub(super) struct Woken {
    flag: Arc<Flag>,
    waker: Waker,
}

struct Flag {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Default for Woken {
    /// Nobody has polled it yet, so it is to be polled.
    fn default() -> Self {
        let flag = Arc::new(Flag { is_woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Arc::clone(&flag).into(), flag }
    }
}

impl Woken {
    /// Polls, if it was woken or ready the last time.
    pub(super) fn poll<T>(&self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // First: who wakes it from here on wakes this task.
        self.flag.task.register(context.waker());
        if !self.flag.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.flag.is_woken.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_was_not_woken_is_not_polled() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let woken = Woken::default();
        let mut polls = 0;
        let mut next = |context: &mut Context<'_>| {
            woken.poll(context, |context| {
                polls += 1;
                receiver.poll_recv(context)
            })
        };
        // Once, to wait; then not before something comes.
        for _ in 0..3 {
            assert_eq!(std::future::poll_fn(&mut next).now_or_never(), None);
        }
        let waiting = std::future::poll_fn(&mut next);
        let sending = async { sender.send(7).unwrap() };
        assert_eq!(tokio::join!(waiting, sending).0, Some(7));
        // What was ready may be so again.
        sender.send(8).unwrap();
        assert_eq!(std::future::poll_fn(&mut next).await, Some(8));
        assert_eq!(polls, 3);
    }
}
