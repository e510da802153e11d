//! The connection to NATS: made again whenever it is lost, and used for one log after the other.

use std::time::Duration;

use async_nats::{Client, Event};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::inbox::Role;
use super::message::Channel;
use super::participant::{PATIENCE, Participant};
use super::servers::NatsServers;
use super::{publisher, receiver};
use crate::backoff::Backoff;

/// Pause before anything is tried again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Time between two checks that the database still has the same log.
const LOG_CHECK: Duration = Duration::from_secs(5);

/// Time between two pings by which a lost connection is noticed.
const PING: Duration = Duration::from_secs(5);

/// Number of received messages that may wait. They are bounded in bytes, too: see `message::MAX_BYTES`.
const WAITING_MESSAGES: usize = 64;

/// Connects, takes part, and connects again with backoff when the connection is lost.
pub(super) async fn keep_connected(participant: &Participant, servers: &NatsServers) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).with_jitter();
    let mut is_logged = false;
    loop {
        participant.set_role(Role::Disconnected);
        match connect(servers).await {
            Ok(connection) => {
                tracing::info!("connected to NATS");
                backoff.reset();
                is_logged = false;
                take_part(participant, connection).await;
                participant.set_role(Role::Disconnected);
                tracing::warn!("the connection to NATS is lost; reading the database meanwhile");
            }
            Err(error) if !is_logged => {
                tracing::warn!(%error, "could not connect to NATS; reading the database meanwhile");
                is_logged = true;
            }
            Err(error) => tracing::debug!(%error, "could not connect to NATS"),
        }
        sleep(backoff.pause()).await;
    }
}

/// Receives and publishes until the connection is lost.
async fn take_part(participant: &Participant, mut connection: NatsConnection) {
    let NatsConnection { client, lost } = &mut connection;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).with_jitter();
    loop {
        let part = async {
            match participant.log.identity().await {
                Ok(identity) => {
                    backoff.reset();
                    take_part_in(participant, client, &Channel::of(identity)).await;
                }
                Err(error) => tracing::debug!(%error, "could not ask the database which log it has"),
            }
            // After a change of the log, the tail reader must notice it, too.
            sleep(backoff.pause()).await;
        };
        tokio::select! {
            () = part => {}
            _ = lost.wait_for(|lost| *lost) => return,
        }
    }
}

/// Receives and publishes the tail of one log, until the database has another one.
async fn take_part_in(participant: &Participant, client: &Client, channel: &Channel) {
    tokio::select! {
        () = receiver::receive(participant, client, channel) => {}
        () = publisher::publish(participant, client, channel) => {}
        () = wait_for_another_log(participant, channel) => {}
    }
}

/// Returns when the database has another log, or the log another era.
async fn wait_for_another_log(participant: &Participant, channel: &Channel) {
    let mut window_through = participant.window.through();
    let mut check = interval_at(Instant::now() + LOG_CHECK, LOG_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = check.tick() => {}
            _ = window_through.wait_for(|through| through.era_start() > channel.era()) => return,
        }
        // While the database is unavailable, the log counts as the same.
        if let Ok(identity) = participant.log.identity().await
            && !channel.is_of(&identity)
        {
            tracing::info!(database = identity.database, era = %identity.era, "the log is another one now");
            return;
        }
    }
}

struct NatsConnection {
    client: Client,
    lost: watch::Receiver<bool>,
}

async fn connect(servers: &NatsServers) -> Result<NatsConnection, String> {
    let (set_lost, lost) = watch::channel(false);
    let options = servers
        .options()
        .name("sluice")
        .no_echo()
        .ping_interval(PING)
        .connection_timeout(PATIENCE)
        .subscription_capacity(WAITING_MESSAGES)
        .client_capacity(16)
        // One attempt for each server: what happens without a connection is decided here.
        .max_reconnects(servers.addresses().len())
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => _ = set_lost.send_replace(true),
                // For example, this account may not publish or subscribe to the subject.
                Event::ServerError(error) => tracing::warn!(%error, "NATS refuses"),
                Event::SlowConsumer(_) => metrics::counter!("sluice_nats_overflows_total").increment(1),
                Event::Connected | Event::LameDuckMode | Event::Draining | Event::ClientError(_) => {}
            }
            async {}
        });
    match timeout(PATIENCE * 2, options.connect(servers.addresses())).await {
        Ok(Ok(client)) => Ok(NatsConnection { client, lost }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes too long".to_owned()),
    }
}
