//! Many subscribers on one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use sluice::event::Timestamp;
use tokio::task::{JoinSet, LocalSet};

use super::socket::Socket;

/// Subscribers of one server.
#[derive(Debug)]
pub(super) struct Crowd(Vec<Socket>);

/// What a crowd heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: usize,
    /// Of one message.
    pub(super) bytes: usize,
    pub(super) elapsed: Duration,
    /// From when an event was stored, or a frame made, to its receipt; of some of the messages, the shortest first.
    pub(super) latencies: Vec<Duration>,
}

/// Of how many messages one is looked at.
const LOOKED_AT: usize = 61;

impl Crowd {
    /// Subscribes so many times; each may have its own instance.
    pub(super) async fn gather(
        address: SocketAddr,
        subscribers: usize,
        query: &str,
        instance: impl Fn(usize) -> Option<String>,
    ) -> Result<Self> {
        let mut sockets = Vec::with_capacity(subscribers);
        for number in 0..subscribers {
            let variables = instance(number).map_or(Value::Null, |instance| json!({"instance": instance}));
            sockets.push(Socket::subscribe(address, query, &variables).await?);
        }
        // Nothing tells that a subscription has begun.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Self(sockets))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Listens until all is quiet.
    pub(super) async fn settle(&mut self) -> Result<()> {
        while self.hear(Duration::from_millis(500)).await?.messages > 0 {}
        Ok(())
    }

    /// Listens for a while.
    pub(super) async fn hear(&mut self, duration: Duration) -> Result<Heard> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + duration;
        let mut heard = Heard::default();
        let sockets = std::mem::take(&mut self.0);
        let mut listening = JoinSet::new();
        let local = LocalSet::new();
        for mut socket in sockets {
            listening.spawn_local_on(
                async move {
                    let mut heard = Heard::default();
                    let mut each = |message: &[u8]| heard.take(message);
                    loop {
                        match tokio::time::timeout_at(deadline, socket.count(&mut each)).await {
                            Ok(counted) => counted?,
                            Err(_) => return anyhow::Ok((socket, heard)),
                        }
                    }
                },
                &local,
            );
        }
        local
            .run_until(async {
                while let Some(one) = listening.join_next().await {
                    let (socket, one) = one??;
                    heard.messages += one.messages;
                    heard.bytes = heard.bytes.max(one.bytes);
                    heard.latencies.extend(one.latencies);
                    self.0.push(socket);
                }
                anyhow::Ok(())
            })
            .await?;
        heard.elapsed = started.elapsed();
        heard.latencies.sort_unstable();
        Ok(heard)
    }
}

impl Heard {
    fn take(&mut self, message: &[u8]) {
        self.messages += 1;
        if self.messages % LOOKED_AT == 1 {
            self.bytes = self.bytes.max(message.len());
            self.latencies.extend(age(message));
        }
    }
}

/// How old a message is, as far as it tells.
fn age(message: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(message).ok()?;
    let value = |key: &str| text.split_once(key)?.1.split_once('"').map(|(value, _)| value);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let then = if let Some(micros) = value(r#""sentAt":""#) {
        Duration::from_micros(micros.parse().ok()?)
    } else {
        let moment = Timestamp::parse(value(r#""receivedAt":""#)?)?;
        Duration::from_millis(u64::try_from(moment.millis()).ok()?)
    };
    Some(now.saturating_sub(then))
}
