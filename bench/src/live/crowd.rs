//! Many subscribers on one thread.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use super::stream::Stream;
use crate::socket::{Socket, events, positions};

/// Subscribers of one server.
#[derive(Debug)]
pub(super) struct Crowd(Vec<Subscriber>);

/// One of them, by WebSocket or by server-sent events.
#[derive(Debug)]
enum Subscriber {
    Socket(Socket),
    Stream(Stream),
}

impl Subscriber {
    async fn count(&mut self, each: &mut impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Socket(socket) => socket.count(each).await,
            Self::Stream(stream) => stream.count(each).await,
        }
    }
}

/// What a crowd heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: usize,
    /// Number of events in these messages; of each frame of a raw broadcast 0.
    pub(super) events: usize,
    /// Of all messages together.
    pub(super) bytes: usize,
    pub(super) elapsed: Duration,
    /// What was received when, since 1970; some of the messages.
    pub(super) receipts: Vec<(Origin, Duration)>,
}

/// Where a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A frame that was made then.
    Made(Duration),
    /// The event at this position.
    Event(i64),
}

impl Crowd {
    /// Opens WebSockets that subscribe to the same; each may name its own instance.
    pub(super) async fn gather(
        address: SocketAddr,
        subscribers: usize,
        query: &str,
        instance: impl Fn(usize) -> Option<String>,
    ) -> Result<Self> {
        let mut sockets = Vec::with_capacity(subscribers);
        for number in 0..subscribers {
            let variables = instance(number).map_or(Value::Null, |instance| json!({"instance": instance}));
            sockets.push(Subscriber::Socket(Socket::subscribe(address, query, &variables).await?));
        }
        Ok(Self(sockets))
    }

    /// Opens WebSockets that subscribe by these documents in turn.
    pub(super) async fn gather_by(address: SocketAddr, subscribers: usize, documents: &[String]) -> Result<Self> {
        let mut sockets = Vec::with_capacity(subscribers);
        for query in documents.iter().cycle().take(subscribers) {
            sockets.push(Subscriber::Socket(Socket::subscribe(address, query, &Value::Null).await?));
        }
        Ok(Self(sockets))
    }

    /// Opens streams of server-sent events that subscribe to the same.
    pub(super) async fn gather_streams(
        address: SocketAddr,
        subscribers: usize,
        query: &str,
        variables: &Value,
    ) -> Result<Self> {
        let mut streams = Vec::with_capacity(subscribers);
        for _ in 0..subscribers {
            streams.push(Subscriber::Stream(Stream::open(address, query, variables).await?));
        }
        Ok(Self(streams))
    }

    /// Waits until the subscriptions have begun, which a gateway acknowledges by the first payload of each.
    pub(super) async fn acknowledged(mut self) -> Result<Self> {
        for subscriber in &mut self.0 {
            let mut is_acknowledged = false;
            while !is_acknowledged {
                subscriber.count(&mut |_| is_acknowledged = true).await?;
            }
        }
        Ok(self)
    }

    /// Waits until the subscriptions have begun, where the server does not acknowledge them.
    pub(super) async fn begun(self) -> Self {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Listens until all is quiet.
    pub(super) async fn settle(&mut self) -> Result<()> {
        while self.hear(Duration::from_millis(500), 1).await?.messages > 0 {}
        Ok(())
    }

    /// Listens for a while, and looks at one of so many messages.
    pub(super) async fn hear(&mut self, duration: Duration, one_of: usize) -> Result<Heard> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + duration;
        let mut heard = Heard::default();
        let subscribers = std::mem::take(&mut self.0);
        let mut listening = JoinSet::new();
        let local = LocalSet::new();
        for (number, mut subscriber) in subscribers.into_iter().enumerate() {
            listening.spawn_local_on(
                async move {
                    let mut heard = Heard::default();
                    // Each looks at others.
                    let mut turn = number;
                    let mut each = |message: &[u8]| {
                        heard.take(message, turn.is_multiple_of(one_of));
                        turn += 1;
                    };
                    loop {
                        match tokio::time::timeout_at(deadline, subscriber.count(&mut each)).await {
                            Ok(counted) => counted?,
                            Err(_) => return anyhow::Ok((subscriber, heard)),
                        }
                    }
                },
                &local,
            );
        }
        local
            .run_until(async {
                while let Some(one) = listening.join_next().await {
                    let (subscriber, one) = one??;
                    heard.messages += one.messages;
                    heard.events += one.events;
                    heard.bytes += one.bytes;
                    heard.receipts.extend(one.receipts);
                    self.0.push(subscriber);
                }
                anyhow::Ok(())
            })
            .await?;
        heard.elapsed = started.elapsed();
        Ok(heard)
    }
}

impl Heard {
    fn take(&mut self, message: &[u8], is_looked_at: bool) {
        self.messages += 1;
        self.events += events(message);
        self.bytes += message.len();
        if is_looked_at {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.receipts.extend(Origin::of(message).map(|origin| (origin, now)));
        }
    }

    /// The positions of the first and the last event that was looked at.
    pub(super) fn events(&self) -> Option<(i64, i64)> {
        let positions = self.receipts.iter().filter_map(|(origin, _)| match origin {
            Origin::Event(position) => Some(*position),
            Origin::Made(_) => None,
        });
        positions.map(|position| (position, position)).reduce(|(first, last), (one, _)| (first.min(one), last.max(one)))
    }

    /// From when an event was committed, or a frame made, to its receipt; the shortest first.
    pub(super) fn latencies(&self, commits: &HashMap<i64, Duration>) -> Vec<Duration> {
        let latency = |(origin, then): &(Origin, Duration)| {
            let from = match origin {
                Origin::Made(at) => Some(*at),
                Origin::Event(position) => commits.get(position).copied(),
            };
            from.map(|from| then.saturating_sub(from))
        };
        let mut latencies: Vec<_> = self.receipts.iter().filter_map(latency).collect();
        latencies.sort_unstable();
        latencies
    }
}

impl Origin {
    /// The origin of a message's first event, as far as it tells.
    fn of(message: &[u8]) -> Option<Self> {
        if let Some(position) = positions(message).next() {
            return Some(Self::Event(position));
        }
        let (_, made) = std::str::from_utf8(message).ok()?.split_once(r#""sentAt":""#)?;
        let (micros, _) = made.split_once('"')?;
        Some(Self::Made(Duration::from_micros(micros.parse().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_from_the_commit_or_from_when_a_frame_was_made() {
        let at = Duration::from_micros;
        let mut heard = Heard::default();
        for (message, expected) in [
            (r#"{"data":{"syncEvents":{"events":[{"position":"17"},{"position":"19"}]}}}"#, Some(Origin::Event(17))),
            (r#"{"position":18}"#, Some(Origin::Event(18))),
            (r#"{"sentAt":"1000","text":"xxx"}"#, Some(Origin::Made(at(1000)))),
            (r#"{"data":{"syncEvents":{"events":[]}}}"#, None),
            (r#"{"type":"ping"}"#, None),
        ] {
            assert_eq!(Origin::of(message.as_bytes()), expected, "{message}");
            heard.receipts.extend(expected.map(|origin| (origin, at(1500))));
        }
        assert_eq!(heard.events(), Some((17, 18)));
        assert_eq!(heard.latencies(&HashMap::from([(17, at(800))])), [at(500), at(700)]);
    }
}
