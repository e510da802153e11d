//! Clients that send slowly, or much, before it is known who they are.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sluice::auth::Readers;
use sluice::config::Settings;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::gateway::{Gateway, HOOK_SECRET};
use crate::process::GatewayProcess;
use crate::raw_http::RawHttp;
use crate::socket::{Heard, Socket, handshake};

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Routes that take bodies.
const ROUTES: [&str; 5] =
    ["/graphql", "/okta/acme/hooks", "/okta/acme/log-stream", "/okta/acme/workflows", "/okta/acme/import"];

/// A WebSocket's handshake.
const HANDSHAKE: &str = "GET /graphql HTTP/1.1\r\nhost: @host\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         sec-websocket-protocol: graphql-transport-ws\r\n\r\n";

/// Bytes of a body that is too large to be held for everybody, and within every limit.
const LARGE: usize = 950_000;

/// Number of clients that send such a body.
const MANY: usize = 300;

/// Largest growth of the gateway's memory, in bytes, for all these clients together.
const MOST_MEMORY: u64 = 64 << 20;

fn with_reader(settings: &mut Settings) {
    settings.readers = Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
}

/// The head of a POST.
fn head(host: impl std::fmt::Display, path: &str, length: usize, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn who_asks_comes_before_the_body() {
    let gateway = Gateway::start_with(with_reader).await;
    for path in ROUTES {
        for wrong in ["", "authorization: Bearer another\r\n"] {
            let mut connection = RawHttp::connect(gateway.address).await;
            connection.send(head(gateway.address, path, LARGE, wrong) + "{").await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, 401, "{path}: {answer:?}");
            // The gateway discards the rest of the body, so that the client sees its answer and may send another request.
            connection.send(vec![b' '; LARGE - 1]).await;
            connection.send(format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address)).await;
            assert_eq!(connection.answer().await.status, 200, "{path}");
        }
    }
    let mut asking_first = RawHttp::connect(gateway.address).await;
    asking_first.send(head(gateway.address, "/graphql", LARGE, "expect: 100-continue\r\n")).await;
    assert_eq!(asking_first.answer().await.status, 401);
    asking_first.closed().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408_and_the_connection_closed() {
    let gateway = Gateway::start_with(|settings| settings.limits.body_seconds = 1).await;
    let secret = format!("authorization: {HOOK_SECRET}\r\n");
    let slow = join_all(ROUTES.map(async |path| {
        let mut connection = RawHttp::connect(gateway.address).await;
        connection.send(head(gateway.address, path, 100, &secret) + "{").await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 408, "{path}: {answer:?}");
        assert!(answer.head.contains("connection: close\r\n"), "{path}: {answer:?}");
        for part in ["REQUEST_TIMEOUT", "limits.body_seconds"] {
            assert!(answer.body.contains(part), "{path}: {answer:?}");
        }
        connection.closed().await;
    }));
    slow.await;
    assert!(gateway.has_metric("sluice_bodies_timed_out_total").await);
    assert_eq!(gateway.ask("{ __typename }", json!({})).await["data"]["__typename"], "Query");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = Gateway::start().await;
    let mut connection = RawHttp::connect(gateway.address).await;
    connection.send("GET /livez HTTP/1.1\r\nx: ").await;
    connection.try_send(vec![b'x'; 200 << 10]).await;
    assert_eq!(connection.answer().await.status, 431);
    connection.closed().await;
}

#[tokio::test]
async fn a_first_message_that_is_too_large_closes_the_socket() {
    let gateway = Gateway::start_with(with_reader).await;
    let connect = || Socket::connect(handshake(gateway.address, "graphql-transport-ws"));
    let init = |padding: usize| {
        let payload = json!({"authorization": "Bearer the token", "padding": "x".repeat(padding)});
        json!({"type": "connection_init", "payload": payload})
    };
    let mut large = connect().await.unwrap();
    large.try_send(init(LARGE)).await;
    assert_eq!(large.hear().await, Heard::Closed(Some(4400)));
    let mut long = connect().await.unwrap();
    long.send(init(12 << 10)).await;
    assert_eq!(long.hear().await, Heard::Message(json!({"type": "connection_ack"})));
    // Once it is known who asks, messages may be as large as bodies.
    long.send(json!({"type": "ping", "payload": {"padding": "x".repeat(LARGE)}})).await;
    assert_eq!(long.hear().await, Heard::Message(json!({"type": "pong"})));
}

#[tokio::test]
async fn without_a_token_little_memory_is_to_be_had() {
    let process = GatewayProcess::start_for_reader("the-reader's-token").await;
    let address = process.address;
    let (before, bytes) = (process.memory(), vec![b' '; LARGE]);
    let bodies = join_all((0..MANY).map(async |at| {
        let mut connection = RawHttp::connect(address).await;
        connection.send(head(address, ROUTES[at % ROUTES.len()], LARGE, "")).await;
        connection.try_send(&bytes[1..]).await;
        assert_eq!(connection.answer().await.status, 401);
        connection
    }));
    let bodies = bodies.await;
    assert_memory("unfinished bodies", before, process.memory());
    drop(bodies);
    let heads = join_all((0..MANY).map(async |_| {
        let mut connection = RawHttp::connect(address).await;
        connection.send("GET /livez HTTP/1.1\r\nx: ").await;
        connection.try_send(&bytes).await;
        connection
    }));
    let heads = heads.await;
    assert_memory("heads without an end", before, process.memory());
    drop(heads);
    let sockets = join_all((0..MANY).map(async |_| {
        let mut connection = RawHttp::connect(address).await;
        connection.send(HANDSHAKE.replace("@host", &address.to_string())).await;
        assert_eq!(connection.answer().await.status, 101);
        // A text of this length, masked with zeros.
        connection.send(b"\x81\xff").await;
        connection.send((LARGE as u64).to_be_bytes()).await;
        connection.send([0; 4]).await;
        connection.try_send(&bytes[1..]).await;
        connection.closed().await;
        connection
    }));
    let sockets = sockets.await;
    assert_memory("first messages", before, process.memory());
    drop(sockets);
}

fn assert_memory(case: &str, before: u64, after: u64) {
    let more = after.saturating_sub(before);
    assert!(more <= MOST_MEMORY, "{case}: {} MiB more", more >> 20);
    eprintln!("{case}: {} MiB more", more >> 20);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_is_cut_off() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_write_seconds = 1).await;
    let mut connection = RawHttp::connect(gateway.address).await;
    // Answers of which the systems between take no more, at some time.
    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address);
    let is_cut_off = async { while connection.stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, is_cut_off).await.expect("the client is cut off in time");
    assert!(gateway.has_metric("sluice_connections_cut_total{reason=\"slow_reader\"}").await);
}
