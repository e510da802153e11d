//! The first log lines of a gateway, for people and programs, and its metrics, which begin with 0.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde_json::{Value, json};

use crate::process::GatewayProcess;
use crate::started_with::Place;

#[tokio::test]
async fn the_first_lines_say_what_runs_where() {
    let mut gateway = GatewayProcess::start().await;
    gateway.wait_until(async |process| process.output().contains("\"ready\"")).await;
    let said = gateway.output();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{said}"));
    let starting = line("starting");
    assert_eq!(starting["version"], env!("CARGO_PKG_VERSION"));
    assert!(starting["settings"].as_str().unwrap().ends_with("sluice.toml"), "{starting}");
    assert_eq!((&starting["orgs"], &starting["readers"]), (&json!("acme"), &json!(0)));
    let ready = line("ready");
    assert!(ready["database"].as_str().is_some_and(|server| server.contains("/postgres/run")), "{ready}");
    assert!(ready["postgresql"].as_str().is_some_and(|version| version.starts_with(char::is_numeric)), "{ready}");
    assert!(ready["schema"].as_i64().is_some_and(|schema| schema >= 1), "{ready}");
    assert_eq!((&ready["head"], &ready["eras"]), (&json!("0"), &json!(1)), "{ready}");
    assert_eq!(ready["page"], format!("http://{}/", gateway.address));
    for line in &lines {
        assert!(!line["target"].as_str().unwrap().starts_with("sqlx"), "sluice says it itself: {line}");
        assert!(line.get("span").is_none(), "spans are told once: {line}");
    }
}

#[tokio::test]
async fn every_counter_and_gauge_is_there_from_the_start() {
    let gateway = GatewayProcess::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client.get(format!("http://{}/metrics", gateway.address)).send().await.unwrap().text().await.unwrap();
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry.rs")).unwrap();
    let mut names = Vec::new();
    for described in ["describe_counter!(", "describe_gauge!("] {
        names.extend(source.split(described).skip(1).map(|rest| rest.split('"').nth(1).unwrap()));
    }
    assert!(names.len() > 30, "{names:?}");
    let has_sample = |name: &str| {
        metrics.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
    };
    let missing: Vec<_> = names.iter().filter(|name| !has_sample(name)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{metrics}");
    for zero in [
        "sluice_hooks_refused_total{org=\"acme\"} 0\n",
        "sluice_events_total{org=\"acme\",source=\"event_hook\",result=\"stored\"} 0\n",
        "sluice_poll_failures_total{org=\"acme\"} 0\n",
        "sluice_catalogue_failures_total{org=\"acme\"} 0\n",
        "sluice_sockets_closed_total{code=\"1013\"} 0\n",
    ] {
        assert!(metrics.contains(zero), "{zero}{metrics}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = taken.local_addr().unwrap();
    let said = Place::new("").run(&["serve", "--log-format", "text", "--listen", &address.to_string()], &[]);
    assert_eq!((said.code, said.output.as_str()), (Some(1), ""), "{said:?}");
    let refusal = format!("sluice: could not listen on {address} (--listen): Address already in use");
    let last = said.errors.lines().last().unwrap();
    assert!(last.starts_with(&refusal), "{said:?}");
    // The line is JSON like all others, so that programs that read the log can read it.
    let said = Place::new("").run(&["serve", "--log-format", "json", "--listen", &address.to_string()], &[]);
    let lines = said.errors.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let last = lines.last().unwrap();
    assert_eq!((said.code, &last["level"]), (Some(1), &json!("ERROR")), "{said:?}");
    assert!(last["message"].as_str().unwrap().starts_with("could not listen on"), "{said:?}");
}

#[test]
fn a_name_may_be_given_to_listen_on() {
    let said = Place::new("").run(&["serve", "--check", "--listen", "localhost:8080"], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.output.ends_with("listening on 127.0.0.1:8080\n"), "{said:?}");
}
