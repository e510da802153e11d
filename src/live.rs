//! The ways on: what happens now, to everybody who waits for it.
//!
//! A subscription is a read of the log that waits at its end. The newest events are in a [`Window`] in memory, which
//! the gateway's one tail reader fills; older ones are read from the store.

mod tail;

mod feed;

mod push;

mod catch_up;

mod measures;
mod progress;
mod subscriber;

pub use feed::router::FeedUsage;
pub use feed::{FeedRequest, TellAtOnce, TellOnDemand, Teller, Told};
pub use progress::Progress;
pub use push::parked::{Outlet, Sent};
pub use subscriber::Member;
pub use tail::nats::{NatsServers, NatsServersError};
pub use tail::window::Window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::event::Position;
use crate::log::Log;
use crate::store::{Credential, Store};
use feed::router::Router;
use measures::Measures;
use push::worker;
use tail::reader;

/// Limits of live delivery.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// How many bytes of events the window holds.
    pub window_bytes: usize,
    /// How many bytes of told events all feeds hold together; and as much again of what they tell those who catch up.
    pub feed_bytes: usize,
    /// How many subscribers read the database at once to catch up.
    pub catch_up_reads: usize,
    /// How long after an append it is found at the latest, with every hint lost; five times as long where NATS tells.
    pub poll_interval: Duration,
    /// Where NATS is, by which gateways tell each other of the log's tail.
    pub nats: Option<NatsServers>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            window_bytes: 64 << 20,
            feed_bytes: 64 << 20,
            catch_up_reads: 4,
            poll_interval: Duration::from_secs(1),
            nats: None,
        }
    }
}

/// What the live side of a gateway holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Through where the log's tail has been read.
    pub through: Position,
    /// Bytes of events in memory.
    pub window_bytes: usize,
    /// What feeds hold.
    pub feeds: FeedUsage,
}

/// The live side of a gateway. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Live {
    log: Log,
    window: Arc<Window>,
    router: Arc<Router>,
    /// The store as subscriptions read it that catch up.
    history: Store,
    /// Turns to read the database for who catches up.
    catching_up: Arc<Semaphore>,
    measures: Arc<Measures>,
}

impl Live {
    /// Starts to read the log's tail and to tell of it, on the current runtime. It ends when `stop` does.
    pub fn start(log: Log, options: &LiveOptions, stop: tokio_util::sync::CancellationToken) -> Self {
        let head = *log.known_head().borrow();
        let window = Arc::new(Window::new(head, options.window_bytes));
        let measures = Arc::new(Measures::new());
        let router = Arc::new(Router::new(head, options.feed_bytes, Arc::clone(&measures)));
        worker::start(&router, &measures, &stop);
        reader::start(log.clone(), Arc::clone(&window), Arc::clone(&router), options, stop);
        let catching_up = Arc::new(Semaphore::new(options.catch_up_reads));
        let history = log.store().for_credential(&Credential::Subscriptions);
        Self { log, window, router, history, catching_up, measures }
    }

    /// How far the log's tail has been read, and what that takes.
    pub fn usage(&self) -> Usage {
        Usage {
            through: *self.window.through().borrow(),
            window_bytes: self.window.bytes(),
            feeds: self.router.usage(),
        }
    }
}
