//! Clients of Python against a gateway: queries, subscriptions, and how they resume (tests/python/).

use std::path::Path;
use std::process::Stdio;

use sluice::auth::Readers;
use tokio::process::Command;
use tokio::time::timeout;

use crate::gateway::{Gateway, HOOK_SECRET, ORG};
use crate::npm::{cuts, patience};

const TOKEN: &str = "the reader's token";

/// Runs the checks of a client, which delivers its events itself: each one after the client has the one before it.
async fn check(client: &str) {
    let gateway = Gateway::start_with(|settings| {
        settings.readers = Readers::new(vec![("client".to_owned(), TOKEN.into())]);
        // No sign of life comes between two events: it would push an event out that a client holds back.
        settings.limits.socket_ping_seconds = 3600;
    })
    .await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let program = directory.join(".venv/bin/python");
    assert!(program.is_file(), "the environment of Python is not prepared: run `make test`");
    let hook = gateway.url(&format!("/okta/{ORG}/hooks"));
    let mut python = Command::new(program);
    let [seed, cuts] = cuts();
    python.args(["check.py", client, &seed, &cuts, &gateway.url("/graphql"), TOKEN, &hook, HOOK_SECRET]);
    python.current_dir(directory).env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    python.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(patience(), python.output()).await.expect("the check ends in time").unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    eprint!("{said}");
    assert!(output.status.success(), "{client}:\n{said}");
}

#[tokio::test]
async fn gql_subscribes_over_multipart_http() {
    check("gql_multipart").await;
}

#[tokio::test]
async fn gql_subscribes_over_a_websocket_of_websockets() {
    check("gql_websockets").await;
}

#[tokio::test]
async fn gql_subscribes_over_a_websocket_of_aiohttp() {
    check("gql_aiohttp_websockets").await;
}

#[tokio::test]
async fn gql_asks_over_requests_and_httpx() {
    check("gql_queries").await;
}

#[tokio::test]
async fn httpx_sse_subscribes() {
    check("httpx_sse_events").await;
}

#[tokio::test]
async fn aiohttp_reads_multipart_http() {
    check("aiohttp_multipart").await;
}
