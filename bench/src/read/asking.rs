//! A closed loop of questions: each connection asks again when it has its answer.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::load::Connection;

/// How long an answer may be late at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, and the body that was found to be right. The log does not change: every later answer has to be the same,
/// byte for byte, which costs the load next to nothing to check.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// What came of asking for a while.
#[derive(Debug)]
pub(super) struct Answered {
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
    /// From each request to its answer, the shortest first.
    pub(super) latencies: Vec<Duration>,
}

/// Asks once; gives the data of an answer without errors.
pub(super) async fn once(connection: &mut Connection, request: &[u8]) -> Result<Value> {
    let status = timeout(PATIENCE, connection.exchange(request)).await.context("no answer")??;
    let body = connection.body();
    let mut answer: Value = serde_json::from_slice(body)
        .with_context(|| format!("status {status}, and no JSON: {}", String::from_utf8_lossy(body)))?;
    ensure!(status == 200 && answer.get("errors").is_none(), "status {status}: {answer}");
    Ok(answer["data"].take())
}

/// Asks for a while; `turns` says in which order, each connection starting elsewhere in it.
///
/// # Errors
/// Any answer but the right one: a load that is partly refused measures nothing.
pub(super) async fn ask(
    address: SocketAddr,
    asked: &Rc<[Asked]>,
    turns: &Rc<[usize]>,
    connections: usize,
    duration: Duration,
) -> Result<Answered> {
    let mut askers = Vec::with_capacity(connections);
    for number in 0..connections {
        let connection = Connection::open(address).await.context("could not connect")?;
        let start = number * turns.len() / connections;
        askers.push(Asker { connection, asked: Rc::clone(asked), turns: Rc::clone(turns), start });
    }
    let started = Instant::now();
    let deadline = started + duration;
    let mut latencies = LocalSet::new()
        .run_until(async {
            let mut asking = JoinSet::new();
            for asker in askers {
                asking.spawn_local(asker.ask_until(deadline));
            }
            let mut latencies = Vec::new();
            while let Some(answered) = asking.join_next().await {
                latencies.extend(answered??);
            }
            anyhow::Ok(latencies)
        })
        .await?;
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Answered { elapsed, latencies })
}

struct Asker {
    connection: Connection,
    asked: Rc<[Asked]>,
    turns: Rc<[usize]>,
    start: usize,
}

impl Asker {
    async fn ask_until(mut self, deadline: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let patience = deadline.saturating_duration_since(Instant::now()) + PATIENCE;
        let asking = async {
            for turn in self.start.. {
                if Instant::now() >= deadline {
                    break;
                }
                let Asked { request, body } = &self.asked[self.turns[turn % self.turns.len()]];
                let sent = Instant::now();
                let status = self.connection.exchange(request).await.context("the server broke off")?;
                latencies.push(sent.elapsed());
                let answer = self.connection.body();
                if status != 200 || answer != body {
                    let answer = String::from_utf8_lossy(&answer[..answer.len().min(500)]);
                    bail!("the server answers with {status} and not as before: {answer}");
                }
            }
            Ok(())
        };
        timeout(patience, asking).await.context("the server does not answer")??;
        Ok(latencies)
    }
}
