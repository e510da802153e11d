//! Live delivery: new events of the log, pushed to every subscriber that wants them.
//!
//! A subscription is a read of the log that waits at the log's end. An event goes one way, through these modules:
//!
//! 1. `tail` reads the log's newest events, once for each gateway, and keeps them in a window in memory.
//! 2. `feed` routes each event to the feeds that want it. A feed renders it once: this is the fan-out, since all
//!    subscribers with the same request share one feed.
//! 3. `push` sends what is new in a feed straight onto the sockets of the subscribers that are parked there.
//!
//! Beside that way, `catch_up` brings a subscriber that is behind up to its feed. No queue is kept for a subscriber, so
//! none can overflow. Backpressure is this: a subscriber whose socket takes no more bytes is woken, reads on from its own
//! position when its client takes bytes again, and holds up nobody else.

mod tail;

mod feed;

mod push;

mod catch_up;

mod progress;
mod subscriber;

mod atomic_position;
mod measures;
mod options;
mod reached;

pub use feed::payload::Payload;
pub use feed::renderer::{
    ImmediateRenderer, OnDemandRenderer, PayloadEnds, PayloadWriter, RenderedEvent, RenderedTexts, Renderer,
};
pub use feed::request::{FeedRequest, Rendering};
pub use feed::router::FeedUsage;
pub use options::LiveOptions;
pub use progress::Progress;
pub use push::parked::{Outlet, Sent};
pub use subscriber::{NewSubscriber, Subscriber};
pub use tail::nats::{NatsServers, NatsServersError};
pub use tail::window::Window;

use std::sync::Arc;

use crate::event::Position;
use crate::log::Log;
use catch_up::CatchUp;
use catch_up::shared::SharedHistory;
use feed::router::Router;
use measures::LiveMetrics;
use push::scheduler::Scheduler;
use push::worker;
use tail::reader::{self, Downstream};

/// Sizes and positions of live delivery, for metrics and the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The position through which the log's tail has been read.
    pub through: Position,
    /// Total size of the events in the window, in bytes.
    pub window_bytes: usize,
    /// The feeds and their subscribers.
    pub feeds: FeedUsage,
}

/// The live delivery of a gateway. All clones share it.
#[derive(Clone, Debug)]
pub struct Live {
    window: Arc<Window>,
    router: Arc<Router>,
    catch_up: Arc<CatchUp>,
    metrics: Arc<LiveMetrics>,
}

impl Live {
    /// Starts the tail reader and the workers on the current runtime. They end when `stop` is cancelled.
    pub fn start(log: Log, options: &LiveOptions, stop: tokio_util::sync::CancellationToken) -> Self {
        let head = *log.known_head().borrow();
        let metrics = Arc::new(LiveMetrics::new());
        let window = Arc::new(Window::new(head, options.window_bytes));
        let scheduler = Arc::new(Scheduler::default());
        let router = Arc::new(Router::new(head, options.feed_bytes, Arc::clone(&scheduler), Arc::clone(&metrics)));
        let shared = Arc::new(SharedHistory::new(options.feed_bytes));
        worker::start(&scheduler, &metrics, &stop);
        let downstream =
            Downstream { window: Arc::clone(&window), shared: Arc::clone(&shared), router: Arc::clone(&router) };
        reader::start(log, downstream, options, stop);
        let catch_up = CatchUp::new(Arc::clone(&window), shared, options.catch_up_reads, Arc::clone(&metrics));
        Self { window, router, catch_up: Arc::new(catch_up), metrics }
    }

    /// The current sizes and positions.
    pub fn usage(&self) -> Usage {
        Usage {
            through: *self.window.through().borrow(),
            window_bytes: self.window.bytes(),
            feeds: self.router.usage(),
        }
    }
}
