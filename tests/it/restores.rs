//! Restores of every kind. A subscriber that has received a lost event gets an error, any other subscriber resumes, and
//! no position is given to two events.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use sluice::event::Position;
use tokio::time::sleep;

use crate::events::{delivery, sync_events};
use crate::gateway::Gateway;
use crate::postgres_server::{PostgresServer, succeed};
use crate::process::GatewayProcess;
use crate::restored_log::{
    KEPT, NEW, RestoreScenario, check_after_live_restore, deliver, error_code, expect_events, gateway_over, subscribe,
    subscribe_after_restore_noticed,
};

async fn dump(server: &PostgresServer) {
    let mut dump = server.client("pg_dump");
    dump.arg("-Fc").arg("-f").arg(server.beside("dump"));
    succeed(dump).await;
}

/// Restores a dump over the existing tables. pg_restore reports that it cannot drop the constraints of partitions; they
/// are dropped with their tables.
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

/// Starts a server and a gateway, which stores the events of the backup; returns both, and the scenario.
async fn begin() -> (PostgresServer, Gateway, RestoreScenario) {
    let server = PostgresServer::start().await;
    let gateway = gateway_over(&server.url()).await;
    let scenario = RestoreScenario::new();
    deliver(gateway.address, &scenario.kept).await;
    (server, gateway, scenario)
}

/// Stops a gateway, and starts a new one over a URL.
async fn start_anew(gateway: Gateway, url: &str) -> Gateway {
    gateway.stop().await;
    gateway_over(url).await
}

#[tokio::test]
async fn a_dump_in_another_cluster() {
    let (server, gateway, mut scenario) = begin().await;
    dump(&server).await;
    drop(scenario.deliver_lost(gateway.address).await);
    let other = PostgresServer::start().await;
    restore_dump(&server, &other, "sluice").await;
    let gateway = start_anew(gateway, &other.url()).await;
    scenario.check(gateway.address).await;
}

#[tokio::test]
async fn a_dump_in_other_databases_of_the_cluster_a_second_apart() {
    let (server, gateway, mut scenario) = begin().await;
    dump(&server).await;
    drop(scenario.deliver_lost(gateway.address).await);
    let mut restored = Vec::new();
    for database in ["first", "second"] {
        server.execute_in("postgres", &format!("CREATE DATABASE {database}")).await;
        restore_dump(&server, &server, database).await;
        let gateway = gateway_over(&server.url_of(database)).await;
        let positions = scenario.check(gateway.address).await;
        restored.push((gateway, positions));
        sleep(Duration::from_secs(1)).await;
    }
    // Each of the three logs, the original and its two copies, refuses the positions of the others.
    let originals = scenario.lost_positions.clone();
    restored.push((gateway, originals));
    for (number, (gateway, _)) in restored.iter().enumerate() {
        let foreign = restored.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, it)| &it.1);
        for position in foreign {
            let code = error_code(&mut subscribe(gateway.address, *position).await).await;
            assert_eq!(code, "POSITION_LOST", "{position}");
        }
    }
}

#[tokio::test]
async fn a_dump_in_its_own_database_under_a_gateway_that_runs() {
    let (server, gateway, mut scenario) = begin().await;
    dump(&server).await;
    let seen = scenario.deliver_lost(gateway.address).await;
    restore_dump_in_place(&server).await;
    let positions = check_after_live_restore(&scenario, gateway.address, seen).await;
    // The second restore: the subscriber has a position in an era that the restored log does not have.
    let mut seen = subscribe(gateway.address, positions[0]).await;
    seen.sync_event().await;
    restore_dump_in_place(&server).await;
    scenario.lost_positions.extend(positions);
    let mut survivor = subscribe_after_restore_noticed(gateway.address, Position::new(KEPT as u128)).await;
    scenario.check(gateway.address).await;
    survivor.sync_event().await;
    // The subscriber first receives the events that it was sent before the gateway noticed the restore.
    loop {
        let code = error_code(&mut seen).await;
        if code == "POSITION_LOST" {
            break;
        }
        assert_eq!(code, Value::Null);
    }
}

#[tokio::test]
async fn a_dump_in_its_own_database_while_no_gateway_runs() {
    let (server, gateway, mut scenario) = begin().await;
    dump(&server).await;
    drop(scenario.deliver_lost(gateway.address).await);
    gateway.stop().await;
    restore_dump_in_place(&server).await;
    let gateway = gateway_over(&server.url()).await;
    scenario.check(gateway.address).await;
}

/// Replaces a server by a copy of its earlier data, at the same address.
async fn replace(server: &mut PostgresServer, copy: PostgresServer) -> PostgresServer {
    server.stop().await;
    let mut copy = copy;
    copy.address = server.address;
    copy.start_again().await;
    copy
}

/// Configures a base backup for recovery to a point in time, which is the end of the backup.
fn recover_to_point_in_time(copy: &mut PostgresServer) {
    std::fs::write(copy.data().join("recovery.signal"), "").unwrap();
    let settings = ["restore_command=false", "recovery_target=immediate", "recovery_target_action=promote"];
    copy.settings.extend(settings.map(str::to_owned));
}

#[tokio::test]
async fn a_point_in_time_under_a_gateway_that_runs() {
    let (mut server, gateway, mut scenario) = begin().await;
    let mut copy = server.base_backup(false).await;
    let seen = scenario.deliver_lost(gateway.address).await;
    recover_to_point_in_time(&mut copy);
    let _restored = replace(&mut server, copy).await;
    check_after_live_restore(&scenario, gateway.address, seen).await;
}

#[tokio::test]
async fn a_point_in_time_while_no_gateway_runs() {
    let (mut server, gateway, mut scenario) = begin().await;
    let mut copy = server.base_backup(false).await;
    drop(scenario.deliver_lost(gateway.address).await);
    gateway.stop().await;
    recover_to_point_in_time(&mut copy);
    let restored = replace(&mut server, copy).await;
    restored.wait_until("NOT pg_is_in_recovery()").await;
    let gateway = gateway_over(&restored.url()).await;
    scenario.check(gateway.address).await;
}

#[tokio::test]
async fn a_base_backup_without_recovery_under_a_gateway_that_runs() {
    let (mut server, gateway, mut scenario) = begin().await;
    let copy = server.base_backup(false).await;
    let seen = scenario.deliver_lost(gateway.address).await;
    let _restored = replace(&mut server, copy).await;
    check_after_live_restore(&scenario, gateway.address, seen).await;
}

/// Copies files with `cp -a`, which keeps their owners, times and links.
async fn copy_files(from: &Path, to: &Path) {
    let mut copy = tokio::process::Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    succeed(copy).await;
}

#[tokio::test]
async fn a_snapshot_of_the_storage_under_a_gateway_that_runs() {
    let (mut server, gateway, mut scenario) = begin().await;
    server.crash().await;
    copy_files(&server.data(), &server.beside("snapshot")).await;
    server.start_again().await;
    let seen = scenario.deliver_lost(gateway.address).await;
    server.crash().await;
    std::fs::remove_dir_all(server.data()).unwrap();
    copy_files(&server.beside("snapshot"), &server.data()).await;
    server.start_again().await;
    check_after_live_restore(&scenario, gateway.address, seen).await;
}

/// A restore that no program can detect must be reported by a command, as `docs/operations.md` describes.
#[tokio::test]
async fn a_snapshot_or_a_base_backup_without_recovery_while_no_gateway_runs() {
    let (mut server, gateway, mut scenario) = begin().await;
    let copy = server.base_backup(false).await;
    drop(scenario.deliver_lost(gateway.address).await);
    gateway.stop().await;
    let restored = replace(&mut server, copy).await;
    let process = GatewayProcess::prepare_over(&restored.url(), "");
    let mut command = process.command_of(&["log", "new-era", "--reason", "restored from last night's backup"]);
    let output = command.stdout(std::process::Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("those through 10 remain valid"), "{said} {}", process.output());
    let reason = restored.value("SELECT reason FROM era ORDER BY start DESC LIMIT 1").await;
    assert_eq!(reason.as_deref(), Some("restored from last night's backup"));
    let gateway = gateway_over(&restored.url()).await;
    scenario.check(gateway.address).await;
}

/// Starts a gateway with a private PostgreSQL, which stores the events of the backup; returns it, and the scenario.
async fn begin_with_data_directory() -> (GatewayProcess, RestoreScenario) {
    let (gateway, scenario) = (GatewayProcess::start().await, RestoreScenario::new());
    deliver(gateway.address, &scenario.kept).await;
    (gateway, scenario)
}

#[tokio::test]
async fn a_data_directory_that_is_put_back() {
    let (mut gateway, mut scenario) = begin_with_data_directory().await;
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    copy_files(&gateway.data_dir, &gateway.beside("backup")).await;
    gateway.start_again().await;
    drop(scenario.deliver_lost(gateway.address).await);
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    std::fs::remove_dir_all(&gateway.data_dir).unwrap();
    copy_files(&gateway.beside("backup"), &gateway.data_dir).await;
    gateway.start_again().await;
    scenario.check(gateway.address).await;
}

#[tokio::test]
async fn a_data_directory_that_is_copied_while_its_gateway_runs_and_started_elsewhere() {
    let (original, scenario) = begin_with_data_directory().await;
    let mut copy = GatewayProcess::prepare("data", "");
    sqlx::query("CHECKPOINT").execute(&original.pool()).await.unwrap();
    copy_files(&original.data_dir, &copy.data_dir).await;
    copy.start_again().await;
    // The original and the copy both continue, and each refuses the positions of the other.
    let there = scenario.check(copy.address).await;
    let more = sync_events("more", NEW);
    deliver(original.address, &more).await;
    let mut stream = subscribe(original.address, Position::START).await;
    expect_events(&mut stream, &scenario.kept).await;
    let here = expect_events(&mut stream, &more).await;
    assert_eq!(here.last(), Some(&Position::new((KEPT + NEW) as u128)), "the original's era goes on");
    for (address, foreign) in [(original.address, there), (copy.address, here)] {
        for position in foreign {
            assert_eq!(error_code(&mut subscribe(address, position).await).await, "POSITION_LOST", "{position}");
        }
    }
}

#[tokio::test]
async fn reads_wait_while_tables_are_being_restored() {
    let (server, gateway, scenario) = begin().await;
    // The state in the middle of a restore: `log_head` is a new table that has its row, and an index is still missing.
    server.execute("ALTER TABLE arrival DROP CONSTRAINT arrival_pkey").await;
    server.execute("UPDATE log_head SET home = 1").await;
    let answer = gateway.ask("{ syncEvents { head } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    let (status, answer) = gateway.post_hook(delivery(&sync_events("early", 1)).to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    server.execute("ALTER TABLE arrival ADD PRIMARY KEY (uuid, org)").await;
    scenario.check(gateway.address).await;
}
