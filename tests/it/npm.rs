//! What front ends use, out of npm, against a gateway: GraphiQL in Chromium, clients, audits, rules (tests/npm/).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sluice::auth::Readers;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::events::sync_events;
use crate::gateway::Gateway;
use crate::process::GatewayProcess;
use crate::traffic::{Traffic, seed};

/// The longest that a check may take, which is more where it cuts many connections.
pub(crate) fn patience() -> Duration {
    Duration::from_mins(5) + Duration::from_secs(5) * number_of_cuts().parse().unwrap()
}

const TOKEN: &str = "the reader's token";
const OTHER_TOKEN: &str = "the other reader's token";

/// An instance whose events are there, and arrive.
const INSTANCE: &str = "listed";

/// Runs a check, which must end well.
pub(crate) async fn run(script: &str, arguments: &[&str]) {
    let (is_well, said) = try_run(script, arguments).await;
    eprint!("{said}");
    assert!(is_well, "{script}:\n{said}");
}

/// Runs a check; tells whether it ended well, and what it said.
pub(crate) async fn try_run(script: &str, arguments: &[&str]) -> (bool, String) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    assert!(directory.join("node_modules").is_dir(), "the checks out of npm are not prepared: run `make test`");
    let mut node = Command::new("node");
    node.arg(script).args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(patience(), node.output()).await.expect("the check ends in time");
    let output = output.expect("node runs: `make test` says how to get it");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

/// Runs a check against a gateway at which events arrive.
pub(crate) async fn run_beside_events(gateway: &Gateway, script: &str, arguments: &[&str]) {
    let deliver = async |events: &[Value]| {
        gateway.deliver(events).await;
    };
    run_beside(deliver, script, arguments).await;
}

/// Runs a check while events are delivered.
async fn run_beside(deliver: impl AsyncFn(&[Value]), script: &str, arguments: &[&str]) {
    deliver(&sync_events(INSTANCE, 30)).await;
    let arrivals = async {
        loop {
            deliver(&sync_events(INSTANCE, 1)).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = run(script, arguments) => {}
        () = arrivals => {}
    }
}

fn schema() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql").to_owned()
}

/// The seed of a check that cuts connections, and the number of cuts for each client: 20, or as many as `make cuts` says.
pub(crate) fn cuts() -> [String; 2] {
    [(seed() & u64::from(u32::MAX)).to_string(), number_of_cuts()]
}

fn number_of_cuts() -> String {
    std::env::var("SLUICE_CLIENT_CUTS").unwrap_or_else(|_| "20".to_owned())
}

async fn start_with_reader() -> Gateway {
    let readers = [("front end", TOKEN), ("other", OTHER_TOKEN)];
    let readers = readers.map(|(name, token)| (name.to_owned(), token.into())).to_vec();
    Gateway::start_with(|settings| settings.readers = Readers::new(readers)).await
}

#[tokio::test]
async fn the_pages_work_in_a_browser() {
    let gateway = Gateway::start().await;
    run_beside_events(&gateway, "browser.mjs", &[&gateway.url("")]).await;
}

#[tokio::test]
async fn the_pages_take_a_token_in_a_browser() {
    let gateway = start_with_reader().await;
    run_beside_events(&gateway, "browser.mjs", &[&gateway.url(""), TOKEN, OTHER_TOKEN]).await;
}

#[tokio::test]
async fn a_browsers_event_source_resumes_by_itself_and_has_no_token_to_send() {
    let gateway = Gateway::start().await;
    let [seed, cuts] = cuts();
    run_beside_events(&gateway, "event_source.mjs", &[&gateway.url(""), &seed, &cuts]).await;
    let gateway = start_with_reader().await;
    run_beside_events(&gateway, "event_source.mjs", &[&gateway.url(""), &seed, &cuts, TOKEN]).await;
}

#[tokio::test]
async fn clients_do_what_their_page_says_and_have_their_events_written() {
    // A process of its own, whose metrics are of nothing else.
    let (traffic, gateway) = (Traffic::new(), GatewayProcess::start_for_reader(TOKEN).await);
    let deliver = async |events: &[Value]| traffic.deliver(gateway.address, events).await.unwrap();
    let graph = format!("http://{}/graphql", gateway.address);
    let [seed, cuts] = cuts();
    run_beside(deliver, "clients.mjs", &[&graph, TOKEN, &seed, &cuts]).await;
    assert!(gateway.metric("sluice_events_rendered_total").await.is_some_and(|told| told > 0));
    assert_eq!(gateway.metric("sluice_events_ordinary_total").await, Some(0));
}

#[tokio::test]
async fn clients_subscribe_and_resume_over_every_protocol() {
    let gateway = start_with_reader().await;
    let [seed, cuts] = cuts();
    run_beside_events(&gateway, "subscriptions.mjs", &[&gateway.url("/graphql"), TOKEN, &seed, &cuts]).await;
}

#[tokio::test]
async fn http_is_as_graphql_over_http_wants_it() {
    let gateway = Gateway::start().await;
    run("http_audit.mjs", &[&gateway.url("/graphql")]).await;
}

#[tokio::test]
async fn the_graph_keeps_the_rules_of_linters() {
    run("schema_rules.mjs", &[&schema()]).await;
    // A graph that breaks one rule of each.
    let graph = std::fs::read_to_string(schema()).unwrap();
    let broken = tempfile::Builder::new().suffix(".graphql").tempfile().unwrap();
    let more = "\n\"\"\"\nof no use\n\"\"\"\nenum Unused {\n\t\"\"\"\nlower\n\"\"\"\n\tlower\n}\n";
    std::fs::write(&broken, graph + more).unwrap();
    let (is_well, said) = try_run("schema_rules.mjs", &[broken.path().to_str().unwrap()]).await;
    assert!(!is_well, "{said}");
    for rule in ["no-unreachable-types", "enum-values-all-caps"] {
        assert!(said.contains(&format!(": {rule}: Unused: ")), "{rule}: {said}");
    }
}

#[tokio::test]
async fn a_change_that_breaks_clients_is_named() {
    let graph = std::fs::read_to_string(schema()).unwrap();
    let grown = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&grown, graph.replacen("\tmessage: String @", "\twords: String\n\tmessage: String @", 1)).unwrap();
    let grown = grown.path().to_str().unwrap();
    run("schema_changes.mjs", &[&schema(), grown]).await;
    let (is_well, said) = try_run("schema_changes.mjs", &[grown, &schema()]).await;
    assert!(!is_well && said.contains("SyncEvent.words was removed"), "{said}");
}
