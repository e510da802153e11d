//! Nobody reads what is not theirs: random readers ask random documents over every transport. Every answer is that of a model,
//! and no frame has a canary of what the reader may not see.

pub(crate) mod cases;
pub(crate) mod checks;
pub(crate) mod filters;
pub(crate) mod readers;
pub(crate) mod world;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::leaks::cases::Case;
use crate::leaks::checks::check_events;
use crate::leaks::readers::TestReader;
use crate::leaks::world::{APPLICATIONS, ORGS, World, event_of};
use crate::socket::handshake;
use crate::traffic::seed;

/// Cases where the environment does not say: `SLUICE_LEAK_ROUNDS`.
const ROUNDS: usize = 1_000;

const READERS: usize = 40;

/// The longest that an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time in which an event that must not come would come.
const SILENCE: Duration = Duration::from_millis(40);

/// A canary: the letters before its number, and the number.
fn canaries(text: &str) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    for kind in ["rowx", "perx", "detx", "appx", "rejx", "orgx", "idx"] {
        for (at, _) in text.match_indices(kind) {
            let rest = &text[at + kind.len()..];
            if let Some((number, _)) = rest.split_once('x')
                && let Ok(number) = number.parse()
            {
                found.push((kind, number));
            }
        }
    }
    found
}

/// No canary in an answer is of what the reader may not see, unless the request has it, too.
fn assert_no_leak(world: &World, reader: &TestReader, request: &str, answer: &str) {
    let asked = canaries(request);
    for canary in canaries(answer).into_iter().filter(|canary| !asked.contains(canary)) {
        let (kind, number) = canary;
        let sees = |number: usize| world.cells.get(number).is_some_and(|cell| reader.sees(cell));
        let is_shown = match kind {
            "rowx" => sees(number),
            "perx" => sees(number) && reader.has("people:read"),
            "detx" => sees(number) && reader.has("events:details"),
            "appx" => world.cells.iter().any(|cell| {
                cell.application.is_some_and(|one| cell.org * APPLICATIONS.len() + one == number) && reader.sees(cell)
            }),
            "rejx" => reader.sees_ingestion(number) && reader.has("events:details"),
            "orgx" => reader.knows(number),
            _ => world
                .cells
                .iter()
                .any(|cell| cell.instance.as_deref() == Some(&format!("0oaidx{number:02}x")) && reader.sees(cell)),
        };
        assert!(is_shown, "{kind}{number}x may not be seen by {reader:?}\n{request}\n{answer}");
    }
}

async fn over_http(world: &World, reader: &TestReader, body: &Value) -> String {
    let request = world.gateway.client.post(world.gateway.url("/graphql")).bearer_auth(&reader.token).json(body);
    request.send().await.unwrap().text().await.unwrap()
}

/// A socket of a reader, which returns frames as they are.
struct RawSocket(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl RawSocket {
    async fn open(world: &World, reader: &TestReader) -> Self {
        let (mut socket, _) = connect_async(handshake(world.gateway.address, "graphql-transport-ws")).await.unwrap();
        let init = json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {}", reader.token)}});
        socket.send(Message::text(init.to_string())).await.unwrap();
        let mut socket = Self(socket);
        assert!(socket.frame(PATIENCE).await.unwrap().contains("connection_ack"));
        socket
    }

    async fn start(&mut self, id: &str, body: &Value) {
        let message = json!({"type": "subscribe", "id": id, "payload": body});
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next text; None if there is none for a while.
    async fn frame(&mut self, patience: Duration) -> Option<String> {
        loop {
            match timeout(patience, self.0.next()).await.ok()?.unwrap().unwrap() {
                Message::Text(text) if text.contains("\"ping\"") => {}
                Message::Text(text) => return Some(text.to_string()),
                other => assert!(!other.is_close(), "{other:?}"),
            }
        }
    }

    /// The answer to a query.
    async fn answer(&mut self, body: &Value) -> String {
        self.start("1", body).await;
        let text = self.frame(PATIENCE).await.unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["type"] == "next" {
            let end = self.frame(PATIENCE).await.unwrap();
            assert!(end.contains("complete"), "{end}");
            return message["payload"].to_string();
        }
        json!({"errors": message["payload"]}).to_string()
    }
}

/// Collects the events of payloads until there are as many as expected, and then waits for one too many.
async fn collect(
    expected: usize,
    mut next: impl AsyncFnMut(Duration) -> Option<String>,
) -> (Vec<Value>, String, Option<Value>) {
    let (mut events, mut all) = (Vec::new(), String::new());
    loop {
        let patience = if events.len() < expected { PATIENCE } else { SILENCE };
        let Some(text) = next(patience).await else { return (events, all, None) };
        all.push_str(&text);
        let message: Value = serde_json::from_str(&text).unwrap();
        let payload = if message.get("payload").is_some() { &message["payload"] } else { &message };
        if payload.is_array() || payload.get("errors").is_some() {
            let errors = if payload.is_array() { payload.clone() } else { payload["errors"].clone() };
            return (events, all, Some(json!({"errors": errors})));
        }
        let new = payload["data"]["a"]["events"].as_array();
        events.extend(new.into_iter().flatten().cloned());
    }
}

/// The events of a subscription as a stream of server-sent events.
async fn over_stream(
    world: &World,
    reader: &TestReader,
    body: &Value,
    expected: usize,
) -> (Vec<Value>, String, Option<Value>) {
    let request = world.gateway.client.post(world.gateway.url("/graphql")).bearer_auth(&reader.token);
    let request = request.header("accept", "text/event-stream").json(body);
    let mut response = request.send().await.unwrap();
    let mut read = String::new();
    collect(expected, async |patience| {
        loop {
            if let Some(end) = read.find("\n\n") {
                let frame: String = read.drain(..end + 2).collect();
                if let Some(data) =
                    frame.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.starts_with('{')))
                {
                    return Some(data.to_owned());
                }
                continue;
            }
            match timeout(patience, response.chunk()).await.ok()?.unwrap() {
                Some(chunk) => read.push_str(std::str::from_utf8(&chunk).unwrap()),
                // A refusal may be one answer and no stream.
                None => return Some(std::mem::take(&mut read)).filter(|rest| !rest.is_empty()),
            }
        }
    })
    .await
}

fn is_refused(case: &Case, reader: &TestReader) -> bool {
    case.needs.iter().any(|scope| !reader.has(scope))
}

fn assert_forbidden(case: &Case, answer: &Value) {
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{}: {answer}", case.query);
    assert!(answer.get("data").is_none_or(Value::is_null), "{}: {answer}", case.query);
}

#[tokio::test]
async fn random_readers_read_what_is_theirs_and_nothing_else() {
    let seed = seed();
    let rounds = std::env::var("SLUICE_LEAK_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(&mut random, READERS).await;
    let (mut hiding, mut refused) = (0, 0);
    for round in 0..rounds {
        let reader = world.readers.choose(&mut random).unwrap();
        let is_subscription = round % 12 == 0;
        let case =
            if is_subscription { Case::page(&mut random, &world, true) } else { Case::random(&mut random, &world) };
        let body = json!({"query": case.query, "variables": case.variables});
        let request = body.to_string();
        if is_subscription {
            let (expected, hidden) = case.expected(&world, reader);
            let number = if is_refused(&case, reader) { 0 } else { expected.len() };
            let (events, text, error) = if round % 24 == 0 {
                over_stream(&world, reader, &body, number).await
            } else {
                let mut socket = RawSocket::open(&world, reader).await;
                socket.start("1", &body).await;
                collect(number, async |patience| socket.frame(patience).await).await
            };
            assert_no_leak(&world, reader, &request, &text);
            if is_refused(&case, reader) {
                assert_forbidden(&case, &error.unwrap());
                refused += 1;
            } else {
                assert_eq!(error, None);
                check_events(reader, &expected, &events.iter().collect::<Vec<_>>());
                hiding += usize::from(hidden);
            }
            continue;
        }
        let text = match round % 3 {
            0 => RawSocket::open(&world, reader).await.answer(&body).await,
            _ => over_http(&world, reader, &body).await,
        };
        assert_no_leak(&world, reader, &request, &text);
        let answer: Value = serde_json::from_str(&text).unwrap();
        if is_refused(&case, reader) {
            assert_forbidden(&case, &answer);
            refused += 1;
        } else {
            let hidden = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.check(&world, reader, &answer)));
            let hidden = hidden.unwrap_or_else(|_| panic!("{reader:?}\n{request}\n{answer}"));
            hiding += usize::from(hidden);
        }
    }
    eprintln!("{rounds} cases: {hiding} hid something, {refused} were refused (SLUICE_TEST_SEED={seed})");
    assert!(hiding > rounds / 5 && refused > rounds / 50, "{hiding} hid something, {refused} were refused");
}

#[tokio::test]
async fn live_events_reach_those_who_may_see_them_once() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut world = World::new(&mut random, READERS).await;
    let mut subscribed = Vec::new();
    for reader in world.readers.clone().into_iter().filter(|reader| reader.has("events:read")) {
        let case = loop {
            let case = Case::page(&mut random, &world, true);
            if !is_refused(&case, &reader) {
                break case;
            }
        };
        // From now on, and another time without a filter.
        let live = case.query.replace(", from: {after: \"0\"}", "");
        let bodies = [json!({"query": live, "variables": case.variables}), json!({"query": live, "variables": {}})];
        let mut sockets = Vec::new();
        for body in &bodies {
            let mut socket = RawSocket::open(&world, &reader).await;
            socket.start("1", body).await;
            assert!(socket.frame(PATIENCE).await.unwrap().contains("\"next\""), "the first payload");
            sockets.push(socket);
        }
        subscribed.push((reader, case, sockets));
    }
    let before = world.events.len();
    let last = world.events.last().unwrap().position;
    let cells: Vec<_> = (0..8).flat_map(|_| world.cells.clone()).collect();
    for chunk in cells.chunks(60) {
        let events = chunk.iter().map(|cell| event_of(&mut random, cell, None)).collect();
        world.deliver(events).await;
    }
    assert_eq!(world.events.len(), before + cells.len());
    let mut hiding = 0;
    for (reader, case, sockets) in &mut subscribed {
        for (nth, socket) in sockets.iter_mut().enumerate() {
            let new = world.events.iter().filter(|event| event.position > last);
            let is_wanted = |event: &&world::WorldEvent| {
                nth == 1 || case.filter.as_ref().unwrap().matches(event, reader.has("people:read"))
            };
            let (expected, hidden): (Vec<_>, Vec<_>) =
                new.filter(is_wanted).partition(|event| reader.sees(&world.cells[event.cell]));
            let (events, text, error) = collect(expected.len(), async |patience| socket.frame(patience).await).await;
            assert_eq!(error, None);
            assert_no_leak(&world, reader, &case.query, &text);
            check_events(reader, &expected, &events.iter().collect::<Vec<_>>());
            hiding += usize::from(!hidden.is_empty());
        }
    }
    assert!(hiding > ORGS, "{hiding} of {} subscriptions hid something", 2 * subscribed.len());
}
