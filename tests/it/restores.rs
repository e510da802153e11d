//! Restores, in every way in which a database is restored: whoever had seen what is gone is told so, whoever had not goes
//! on, and no position is given twice.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use sluice::event::Position;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{sleep, timeout};

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::{delivery, sync_events, uuid};
use crate::gateway::{Gateway, settings};
use crate::postgres_server::{PostgresServer, succeed};
use crate::process::GatewayProcess;
use crate::traffic::Traffic;

/// How many events the backup has.
const KEPT: usize = 10;

/// How many come after it, and are gone when it is restored.
const LOST: usize = 5;

/// How many come after the restore.
const NEW: usize = 7;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const QUERY: &str = "subscription ($after: Position) { syncEvents(after: $after) { position uuid } }";

/// The uuids of what the log has after a restore, in its order.
struct Expected {
    kept: Vec<Value>,
    new: Vec<Value>,
}

async fn gateway_over(url: &str) -> Gateway {
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(url).unwrap();
    let database = TestDatabase { url: url.to_owned(), pool };
    let settings = settings(&database);
    Gateway::start_over(database, settings).await
}

async fn subscribe(address: SocketAddr, after: Position) -> EventStream {
    let body = json!({"query": QUERY, "variables": {"after": after.to_string()}});
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{address}/graphql")).header("accept", "text/event-stream");
    EventStream::open(request.json(&body)).await
}

/// Delivers until it is taken: a gateway whose database was restored a moment ago answers 503.
async fn deliver(address: SocketAddr, events: &[Value]) {
    let traffic = Traffic::new();
    let delivered = async {
        while traffic.deliver(address, events).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, delivered).await.expect("deliveries are taken in time");
}

/// Reads a stream through its next events, which must be these; gives their positions.
async fn hear(stream: &mut EventStream, events: &[Value]) -> Vec<Position> {
    let mut positions = Vec::new();
    for expected in events {
        let (_, event) = stream.sync_event().await;
        assert_eq!(uuid(&event), uuid(expected));
        positions.push(event["position"].as_str().unwrap().parse().unwrap());
    }
    positions
}

/// The code of the error with which a subscription ends, or is refused.
async fn refusal(stream: &mut EventStream) -> Value {
    let (_, answer) = timeout(PATIENCE, stream.answer()).await.expect("it is told in time");
    answer["errors"][0]["extensions"]["code"].clone()
}

/// A log with a backup of its first events, and a subscriber that has seen more.
struct Story {
    kept: Vec<Value>,
    lost: Vec<Value>,
    /// What was seen before the restore of what it takes away.
    lost_positions: Vec<Position>,
}

impl Story {
    fn new() -> Self {
        Self { kept: sync_events("kept", KEPT), lost: sync_events("lost", LOST), lost_positions: Vec::new() }
    }

    /// What comes after the backup, and somebody who sees it.
    async fn go_on(&mut self, gateway: SocketAddr) -> EventStream {
        deliver(gateway, &self.lost).await;
        let mut stream = subscribe(gateway, Position::START).await;
        hear(&mut stream, &self.kept).await;
        self.lost_positions = hear(&mut stream, &self.lost).await;
        stream
    }

    /// Checks what a gateway tells of the restored log; gives the positions of what is new.
    async fn check(&self, gateway: SocketAddr) -> Vec<Position> {
        let expected = Expected { kept: self.kept.clone(), new: sync_events("new", NEW) };
        deliver(gateway, &expected.new).await;
        self.check_log(gateway, &expected).await
    }

    async fn check_log(&self, gateway: SocketAddr, expected: &Expected) -> Vec<Position> {
        let Expected { kept, new } = expected;
        let mut stream = subscribe(gateway, Position::START).await;
        let kept_positions = hear(&mut stream, kept).await;
        let new_positions = hear(&mut stream, new).await;
        for (seen, after) in kept_positions.iter().enumerate() {
            let mut stream = subscribe(gateway, *after).await;
            hear(&mut stream, &kept[seen + 1..]).await;
            assert_eq!(hear(&mut stream, new).await, new_positions, "resumed after {after}");
        }
        for (seen, after) in new_positions.iter().enumerate() {
            assert!(!self.lost_positions.contains(after), "{after} was given before, for another event");
            hear(&mut subscribe(gateway, *after).await, &new[seen + 1..]).await;
        }
        for after in &self.lost_positions {
            assert_eq!(refusal(&mut subscribe(gateway, *after).await).await, "POSITION_LOST", "{after}");
        }
        new_positions
    }
}

/// Has a subscriber that goes on over the restore, and checks that it is told what became of the log.
async fn check_live(story: &Story, gateway: SocketAddr, mut seen: EventStream) {
    story.check(gateway).await;
    assert_eq!(refusal(&mut seen).await, "POSITION_LOST");
}

async fn dump(server: &PostgresServer) {
    let mut dump = server.client("pg_dump");
    dump.arg("-Fc").arg("-f").arg(server.beside("dump"));
    succeed(dump).await;
}

/// Restores a dump over what is there. pg_restore cannot drop the constraints of partitions by themselves and says so; they
/// go with their tables.
async fn restore_dump_in_place(server: &PostgresServer) {
    let mut restore = server.client("pg_restore");
    restore.args(["-d", "sluice", "--clean", "--if-exists"]).arg(server.beside("dump"));
    let output = restore.kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let errors = said.lines().filter(|line| line.contains("error: "));
    for error in errors {
        assert!(error.contains("cannot drop inherited constraint"), "{said}");
    }
}

async fn restore_dump(from: &PostgresServer, to: &PostgresServer, database: &str) {
    let mut restore = to.client("pg_restore");
    restore.args(["-d", database]).arg(from.beside("dump"));
    succeed(restore).await;
}

/// A server, a gateway over it that has stored what is kept, and the story.
async fn begin() -> (PostgresServer, Gateway, Story) {
    let server = PostgresServer::start().await;
    let gateway = gateway_over(&server.url()).await;
    let story = Story::new();
    deliver(gateway.address, &story.kept).await;
    (server, gateway, story)
}

/// A gateway started anew over a URL.
async fn start_anew(gateway: Gateway, url: &str) -> Gateway {
    gateway.stop().await;
    gateway_over(url).await
}

#[tokio::test]
async fn a_dump_in_another_cluster() {
    let (server, gateway, mut story) = begin().await;
    dump(&server).await;
    drop(story.go_on(gateway.address).await);
    let other = PostgresServer::start().await;
    restore_dump(&server, &other, "sluice").await;
    let gateway = start_anew(gateway, &other.url()).await;
    story.check(gateway.address).await;
}

#[tokio::test]
async fn a_dump_in_other_databases_of_the_cluster_a_second_apart() {
    let (server, gateway, mut story) = begin().await;
    dump(&server).await;
    drop(story.go_on(gateway.address).await);
    let mut restored = Vec::new();
    for database in ["first", "second"] {
        server.execute_in("postgres", &format!("CREATE DATABASE {database}")).await;
        restore_dump(&server, &server, database).await;
        let gateway = gateway_over(&server.url_of(database)).await;
        let positions = story.check(gateway.address).await;
        restored.push((gateway, positions));
        sleep(Duration::from_secs(1)).await;
    }
    // Neither copy, nor the log of which they are, takes the positions of another one.
    let originals = story.lost_positions.clone();
    restored.push((gateway, originals));
    for (number, (gateway, _)) in restored.iter().enumerate() {
        let foreign = restored.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, it)| &it.1);
        for position in foreign {
            let code = refusal(&mut subscribe(gateway.address, *position).await).await;
            assert_eq!(code, "POSITION_LOST", "{position}");
        }
    }
}

#[tokio::test]
async fn a_dump_in_its_own_database_under_a_gateway_that_runs() {
    let (server, gateway, mut story) = begin().await;
    dump(&server).await;
    let seen = story.go_on(gateway.address).await;
    restore_dump_in_place(&server).await;
    check_live(&story, gateway.address, seen).await;
}

#[tokio::test]
async fn a_dump_in_its_own_database_while_no_gateway_runs() {
    let (server, gateway, mut story) = begin().await;
    dump(&server).await;
    drop(story.go_on(gateway.address).await);
    gateway.stop().await;
    restore_dump_in_place(&server).await;
    let gateway = gateway_over(&server.url()).await;
    story.check(gateway.address).await;
}

/// Puts a copy of a server's data, as they were, in the server's place.
async fn replace(server: &mut PostgresServer, copy: PostgresServer) -> PostgresServer {
    server.stop().await;
    let mut copy = copy;
    copy.address = server.address;
    copy.start_again().await;
    copy
}

/// Has a base backup recover to a point in time, which is the backup's end.
fn recover_to_point_in_time(copy: &mut PostgresServer) {
    std::fs::write(copy.data().join("recovery.signal"), "").unwrap();
    let settings = ["restore_command=false", "recovery_target=immediate", "recovery_target_action=promote"];
    copy.settings.extend(settings.map(str::to_owned));
}

#[tokio::test]
async fn a_point_in_time_under_a_gateway_that_runs() {
    let (mut server, gateway, mut story) = begin().await;
    let mut copy = server.base_backup(false).await;
    let seen = story.go_on(gateway.address).await;
    recover_to_point_in_time(&mut copy);
    let _restored = replace(&mut server, copy).await;
    check_live(&story, gateway.address, seen).await;
}

#[tokio::test]
async fn a_point_in_time_while_no_gateway_runs() {
    let (mut server, gateway, mut story) = begin().await;
    let mut copy = server.base_backup(false).await;
    drop(story.go_on(gateway.address).await);
    gateway.stop().await;
    recover_to_point_in_time(&mut copy);
    let restored = replace(&mut server, copy).await;
    restored.wait_until("NOT pg_is_in_recovery()").await;
    let gateway = gateway_over(&restored.url()).await;
    story.check(gateway.address).await;
}

#[tokio::test]
async fn a_base_backup_without_recovery_under_a_gateway_that_runs() {
    let (mut server, gateway, mut story) = begin().await;
    let copy = server.base_backup(false).await;
    let seen = story.go_on(gateway.address).await;
    let _restored = replace(&mut server, copy).await;
    check_live(&story, gateway.address, seen).await;
}

/// Copies files with all that they are.
async fn copy_files(from: &Path, to: &Path) {
    let mut copy = tokio::process::Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    succeed(copy).await;
}

#[tokio::test]
async fn a_snapshot_of_the_storage_under_a_gateway_that_runs() {
    let (mut server, gateway, mut story) = begin().await;
    server.crash().await;
    copy_files(&server.data(), &server.beside("snapshot")).await;
    server.start_again().await;
    let seen = story.go_on(gateway.address).await;
    server.crash().await;
    std::fs::remove_dir_all(server.data()).unwrap();
    copy_files(&server.beside("snapshot"), &server.data()).await;
    server.start_again().await;
    check_live(&story, gateway.address, seen).await;
}

/// What no program can notice is said by a command, as `docs/operations.md` tells.
#[tokio::test]
async fn a_snapshot_or_a_base_backup_without_recovery_while_no_gateway_runs() {
    let (mut server, gateway, mut story) = begin().await;
    let copy = server.base_backup(false).await;
    drop(story.go_on(gateway.address).await);
    gateway.stop().await;
    let restored = replace(&mut server, copy).await;
    let process = GatewayProcess::prepare_over(&restored.url(), "");
    let mut command = process.command_of(&["log", "new-era", "--reason", "restored from last night's backup"]);
    let output = command.stdout(std::process::Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("those through 10 stand"), "{said} {}", process.output());
    let reason = restored.value("SELECT reason FROM era ORDER BY start DESC LIMIT 1").await;
    assert_eq!(reason.as_deref(), Some("restored from last night's backup"));
    let gateway = gateway_over(&restored.url()).await;
    story.check(gateway.address).await;
}

/// A gateway with a private PostgreSQL that has stored what is kept, and the story.
async fn begin_with_data_directory() -> (GatewayProcess, Story) {
    let (gateway, story) = (GatewayProcess::start().await, Story::new());
    deliver(gateway.address, &story.kept).await;
    (gateway, story)
}

#[tokio::test]
async fn a_data_directory_that_is_put_back() {
    let (mut gateway, mut story) = begin_with_data_directory().await;
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    copy_files(&gateway.data_dir, &gateway.beside("backup")).await;
    gateway.start_again().await;
    drop(story.go_on(gateway.address).await);
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    std::fs::remove_dir_all(&gateway.data_dir).unwrap();
    copy_files(&gateway.beside("backup"), &gateway.data_dir).await;
    gateway.start_again().await;
    story.check(gateway.address).await;
}

#[tokio::test]
async fn a_data_directory_that_is_copied_while_its_gateway_runs_and_started_elsewhere() {
    let (original, story) = begin_with_data_directory().await;
    let mut copy = GatewayProcess::prepare("data", "");
    sqlx::query("CHECKPOINT").execute(&original.pool()).await.unwrap();
    copy_files(&original.data_dir, &copy.data_dir).await;
    copy.start_again().await;
    // Both go on, and neither takes the positions of the other.
    let there = story.check(copy.address).await;
    let more = sync_events("more", NEW);
    deliver(original.address, &more).await;
    let mut stream = subscribe(original.address, Position::START).await;
    hear(&mut stream, &story.kept).await;
    let here = hear(&mut stream, &more).await;
    assert_eq!(here.last(), Some(&Position::new((KEPT + NEW) as u128)), "the original's era goes on");
    for (address, foreign) in [(original.address, there), (copy.address, here)] {
        for position in foreign {
            assert_eq!(refusal(&mut subscribe(address, position).await).await, "POSITION_LOST", "{position}");
        }
    }
}

#[tokio::test]
async fn reads_wait_while_tables_are_being_restored() {
    let (server, gateway, story) = begin().await;
    // What a gateway finds in the middle of a restore: rows that are there already, of a table that was made anew.
    server.execute("ALTER TABLE arrival DROP CONSTRAINT arrival_pkey").await;
    server.execute("UPDATE log_head SET home = 1").await;
    let answer = gateway.ask("{ syncEvents { head } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    let (status, answer) = gateway.post_hook(delivery(&sync_events("early", 1)).to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    server.execute("ALTER TABLE arrival ADD PRIMARY KEY (uuid, org)").await;
    story.check(gateway.address).await;
}
