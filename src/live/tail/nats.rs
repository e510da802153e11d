//! The log's tail by NATS: of all gateways over a database one, elected, publishes what is appended, and the others need
//! not read it themselves.
//!
//! NATS is never trusted. Messages are signed with a key that only the database has, and an event is taken only where it
//! comes right after the window's end: what NATS loses, repeats, reorders or makes up costs time and nothing else. What
//! is missing is read from the store, hurried by NOTIFY, at the latest by a poll. `docs/scale-out.md` has the format.

mod message;
mod publisher;
mod receiver;
mod servers;

pub use servers::{NatsServers, NatsServersError};

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::window::Window;
use crate::event::Position;
use crate::log::{Commit, Log};
use message::Channel;

/// What NATS tells of the log's tail.
#[derive(Debug)]
pub(super) enum News {
    /// Events, one right after the other.
    Events(Commit),
    /// That the log goes at least this far: its events do not fit into a message.
    Through(Position),
}

/// What a gateway can expect of NATS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: there is no connection.
    Alone,
    /// News, most of the time.
    Served,
    /// Nothing: it is the one that publishes.
    Publishing,
}

/// The end of the tail reader.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) news: mpsc::Receiver<News>,
    pub(super) standing: watch::Receiver<Standing>,
}

/// How many news may wait for the tail reader; those that do not fit are lost.
const WAITING: usize = 64;

/// How long a connection may take, or a message to be handed to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long to wait before anything is tried again, at first.
const PAUSE: Duration = Duration::from_millis(50);

/// How often to look whether the log is still the same one.
const LOOK: Duration = Duration::from_secs(5);

/// How often NATS is asked whether it is still there.
const PING: Duration = Duration::from_secs(5);

/// What is needed to take part.
#[derive(Clone, Debug)]
struct Post {
    log: Log,
    window: Arc<Window>,
    news: mpsc::Sender<News>,
    standing: Arc<watch::Sender<Standing>>,
}

/// An inbox, and what fills it for as long as it is polled.
pub(super) fn open(
    servers: Option<NatsServers>,
    log: Log,
    window: Arc<Window>,
) -> (Inbox, impl Future<Output = ()> + Send + use<>) {
    let (news, inbox) = mpsc::channel(WAITING);
    let standing = watch::Sender::new(Standing::Alone);
    let inbox = Inbox { news: inbox, standing: standing.subscribe() };
    let post = Post { log, window, news, standing: Arc::new(standing) };
    (inbox, async move {
        match servers {
            Some(servers) => post.stay_connected(&servers).await,
            // Held, so that nobody takes it for the end.
            None => std::future::pending().await,
        }
    })
}

impl Post {
    fn stands(&self, standing: Standing) {
        self.standing.send_replace(standing);
        let is = |yes: bool| f64::from(u8::from(yes));
        metrics::gauge!("sluice_nats_connected").set(is(standing != Standing::Alone));
        metrics::gauge!("sluice_nats_publishing").set(is(standing == Standing::Publishing));
    }

    async fn stay_connected(&self, servers: &NatsServers) {
        let mut pause = PAUSE;
        let mut is_told = false;
        loop {
            self.stands(Standing::Alone);
            match connect(servers).await {
                Ok(connection) => {
                    tracing::info!("connected to NATS");
                    (pause, is_told) = (PAUSE, false);
                    self.take_part(connection).await;
                    self.stands(Standing::Alone);
                    tracing::warn!("the connection to NATS is lost; reading the database meanwhile");
                }
                Err(error) if !is_told => {
                    tracing::warn!(%error, "could not connect to NATS; reading the database meanwhile");
                    is_told = true;
                }
                Err(error) => tracing::debug!(%error, "could not connect to NATS"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Receives and publishes, until the connection is lost.
    async fn take_part(&self, mut connection: Connection) {
        let Connection { client, lost } = &mut connection;
        loop {
            let part = async {
                match self.log.store().identity().await {
                    Ok(identity) => {
                        self.take_part_in(client, &Channel::of(identity)).await;
                        // Until the tail reader has found that its log is another one.
                        sleep(PAUSE).await;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "could not ask the database which log it has");
                        sleep(LONGEST_PAUSE).await;
                    }
                }
            };
            tokio::select! {
                () = part => {}
                _ = lost.wait_for(|lost| *lost) => return,
            }
        }
    }

    /// The same for one log, until it is another one.
    async fn take_part_in(&self, client: &Client, channel: &Channel) {
        tokio::select! {
            () = receiver::receive(self, client, channel) => {}
            () = publisher::publish(self, client, channel) => {}
            () = self.look_for_another(channel) => {}
        }
    }

    /// Returns when the log is another one, or in another era.
    async fn look_for_another(&self, channel: &Channel) {
        let mut through = self.window.through();
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = through.wait_for(|through| through.era_start() > channel.era()) => return,
            }
            // While the database is away nobody says so.
            if let Ok(identity) = self.log.store().identity().await
                && !channel.is_of(&identity)
            {
                tracing::info!(database = identity.database, era = %identity.era, "the log is another one now");
                return;
            }
        }
    }
}

struct Connection {
    client: Client,
    lost: watch::Receiver<bool>,
}

async fn connect(servers: &NatsServers) -> Result<Connection, String> {
    let (tell, lost) = watch::channel(false);
    let options = servers
        .options()
        .name("sluice")
        .no_echo()
        .ping_interval(PING)
        .connection_timeout(PATIENCE)
        // In messages, which are bounded: see `message::MOST_BYTES`.
        .subscription_capacity(WAITING)
        .client_capacity(16)
        // One try each: what is to be done when there is no connection is decided here.
        .max_reconnects(servers.addresses().len())
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => _ = tell.send_replace(true),
                // Among others that this account may not publish or subscribe there.
                Event::ServerError(error) => tracing::warn!(%error, "NATS refuses"),
                Event::SlowConsumer(_) => metrics::counter!("sluice_nats_overflows_total").increment(1),
                Event::Connected | Event::LameDuckMode | Event::Draining | Event::ClientError(_) => {}
            }
            async {}
        });
    match timeout(PATIENCE * 2, options.connect(servers.addresses())).await {
        Ok(Ok(client)) => Ok(Connection { client, lost }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes too long".to_owned()),
    }
}
