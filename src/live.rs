//! The ways on: what happens now, to everybody who waits for it.
//!
//! A subscription is a read of the log that waits at its end. The newest events are in a [`Window`] in memory, which
//! the gateway's one tail reader fills; older ones are read from the store.

mod follow;
mod progress;
mod tail;
mod window;

pub use follow::{FollowRequest, Follower};
pub use progress::Progress;
pub use window::Window;

use std::sync::Arc;
use std::time::Duration;

use crate::event::Position;
use crate::log::Log;

/// Limits of live delivery.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// How many bytes of events the window holds.
    pub window_bytes: usize,
    /// How long after an append it is found at the latest, with every hint lost.
    pub poll_interval: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { window_bytes: 64 << 20, poll_interval: Duration::from_secs(1) }
    }
}

/// What the live side of a gateway holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Through where the log's tail has been read.
    pub through: Position,
    /// Bytes of events in memory.
    pub window_bytes: usize,
}

/// The live side of a gateway. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Live {
    log: Log,
    window: Arc<Window>,
}

impl Live {
    /// Starts to read the log's tail. It ends when `stop` does.
    pub fn start(log: Log, options: &LiveOptions, stop: tokio_util::sync::CancellationToken) -> Self {
        let head = *log.known_head().borrow();
        let window = Arc::new(Window::new(head, options.window_bytes));
        tail::start(log.clone(), Arc::clone(&window), options.poll_interval, stop);
        Self { log, window }
    }

    /// How far the log's tail has been read, and what that takes.
    pub fn usage(&self) -> Usage {
        Usage { through: *self.window.through().borrow(), window_bytes: self.window.bytes() }
    }
}
