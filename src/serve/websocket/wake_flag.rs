//! Polling of woken futures only. A socket waits for many futures of which usually one is ready, and polling all of
//! them each time would take longer than sending an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A flag that is set when a future of a task is woken.
pub(super) struct WakeFlag {
    state: Arc<WakeState>,
    waker: Waker,
}

struct WakeState {
    is_woken: AtomicBool,
    /// The task that waits, which is woken too.
    task: AtomicWaker,
}

impl Wake for WakeState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Default for WakeFlag {
    /// Creates a flag that is set, since a future must be polled once before it can wake.
    fn default() -> Self {
        let state = Arc::new(WakeState { is_woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Arc::clone(&state).into(), state }
    }
}

impl WakeFlag {
    /// Polls if the flag is set. A ready result sets the flag again, since more may be ready.
    pub(super) fn poll<T>(&self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // The task is registered first, so that whatever sets the flag from now on wakes it.
        self.state.task.register(context.waker());
        if !self.state.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.state.is_woken.store(true, Ordering::Release);
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
        let flag = WakeFlag::default();
        let mut polls = 0;
        let mut next = |context: &mut Context<'_>| {
            flag.poll(context, |context| {
                polls += 1;
                receiver.poll_recv(context)
            })
        };
        // One poll begins the wait; the next one follows when something comes.
        for _ in 0..3 {
            assert_eq!(std::future::poll_fn(&mut next).now_or_never(), None);
        }
        let waiting = std::future::poll_fn(&mut next);
        let sending = async { sender.send(7).unwrap() };
        assert_eq!(tokio::join!(waiting, sending).0, Some(7));
        // After a ready result, more may be ready.
        sender.send(8).unwrap();
        assert_eq!(std::future::poll_fn(&mut next).await, Some(8));
        assert_eq!(polls, 3);
    }
}
