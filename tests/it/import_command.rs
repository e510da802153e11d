//! `sluice import`: beside a gateway and alone, killed and started again, in little memory.

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::consistency::check_log;
use crate::events::{lines, sync_event, sync_events, uuid};
use crate::process::GatewayProcess;

fn import(place: &GatewayProcess, files: &[&str]) -> Command {
    let mut command = place.command("import");
    command.arg("--create").args(files).stdout(Stdio::piped());
    command
}

/// Runs it to its end: its exit status, and what it said.
async fn run(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = command.spawn().unwrap().wait_with_output().await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

/// A number that is told.
fn told(said: &str, what: &str) -> usize {
    let line = said.lines().find_map(|line| line.trim().strip_prefix(what)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("{what}: {said}"))
}

/// The counts that are told: stored, duplicate, rejected, dropped.
fn counts(said: &str) -> [usize; 4] {
    ["stored", "duplicate", "rejected", "dropped"].map(|what| told(said, what))
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn files_are_imported_beside_a_gateway_and_its_readers_learn_of_them() {
    let gateway = GatewayProcess::start().await;
    let events = sync_events("one", 30);
    let plain = gateway.beside("plain.ndjson");
    fs::write(&plain, lines(&events[..10])).unwrap();
    // What it is called says nothing.
    let packed = gateway.beside("packed.json");
    let mut gzip = flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&serde_json::to_vec_pretty(&events[10..20]).unwrap()).unwrap();
    gzip.finish().unwrap();
    let broken = gateway.beside("broken.zst");
    fs::write(&broken, zstd::encode_all(format!("{}nothing\n", lines(&events[20..])).as_bytes(), 3).unwrap()).unwrap();
    let names = [&plain, &packed, &broken].map(|path| path.to_str().unwrap());
    let (code, said) = run(import(&gateway, &names[..2])).await;
    assert_eq!((code, said.matches("stored     10").count()), (Some(0), 2), "{said} {}", gateway.output());
    let (code, said) = run(import(&gateway, &names)).await;
    assert_eq!(code, Some(3), "some was rejected: {said}");
    assert!(said.contains("line 11: not a JSON object"), "{said}");
    assert_eq!(counts(said.split("broken.zst").last().unwrap()), [10, 0, 1, 0]);
    let log = check_log(&gateway.pool()).await;
    assert_eq!(log, events.iter().map(|event| uuid(event).to_owned()).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_gateway_it_has_a_database_of_its_own_and_says_what_is_wrong() {
    let place = GatewayProcess::prepare("data", "");
    let events = sync_events("one", 3);
    let mut command = import(&place, &["-"]);
    // The secrets of hooks are none of its business.
    command.env_remove("TEST_HOOK_SECRET").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines(&events).as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), counts(&said)), (Some(0), [3, 0, 0, 0]), "{said} {}", place.output());
    assert!(place.postgres().is_none(), "its PostgreSQL is stopped");
    let table = place.beside("table.csv");
    fs::write(&table, "published,event_type,uuid\n").unwrap();
    let table = table.to_str().unwrap();
    let unknown_org = ["--org", "other", table];
    for (files, fault) in
        [(&["missing"][..], "missing: No such file"), (&[table], "looks like CSV"), (&unknown_org, "--org")]
    {
        assert_eq!(run(import(&place, files)).await.0, Some(1), "{files:?}");
        assert!(place.output().contains(fault), "{}", place.output());
    }
    assert_eq!(run(import(&place, &[])).await.0, Some(2));
}

#[tokio::test]
async fn killed_and_started_again_it_loses_and_doubles_nothing() {
    let gateway = GatewayProcess::start().await;
    let events = sync_events("one", 12_000);
    let file = gateway.beside("history.ndjson");
    fs::write(&file, lines(&events)).unwrap();
    let names = [file.to_str().unwrap()];
    let pool = gateway.pool();
    let stored = async || sqlx::query_scalar::<_, i64>("SELECT position FROM log_head").fetch_one(&pool).await.unwrap();
    for kill in 1..=3 {
        let mut child = import(&gateway, &names).spawn().unwrap();
        while stored().await < 2_500 * kill {
            assert_eq!(child.try_wait().unwrap(), None, "{}", gateway.output());
            sleep(Duration::from_millis(5)).await;
        }
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }
    let before = stored().await;
    assert!((7_500..12_000).contains(&before), "it was killed in the middle: {before}");
    let (code, said) = run(import(&gateway, &names)).await;
    assert_eq!(code, Some(0), "{said}");
    let [added, known, ..] = counts(&said);
    assert_eq!(added + known, 12_000, "{said}");
    let mut log = check_log(&pool).await;
    let mut wanted: Vec<_> = events.iter().map(|event| uuid(event).to_owned()).collect();
    log.sort_unstable();
    wanted.sort_unstable();
    assert!(log == wanted, "each event is there once");
    let (code, said) = run(import(&gateway, &names)).await;
    assert_eq!((code, counts(&said)), (Some(0), [0, 12_000, 0, 0]), "{said}");
}

#[tokio::test]
async fn interrupted_it_stores_what_it_tells_of_and_says_that_it_did_not_finish() {
    let place = GatewayProcess::prepare("data", "");
    let mut command = import(&place, &["-"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines(&sync_events("one", 3_000)).as_bytes()).await.unwrap();
    while !place.output().contains("events") {
        // Its first line comes after a while.
        sleep(Duration::from_millis(50)).await;
    }
    kill_process(pid(&child), Signal::INT).unwrap();
    // Standard input stays open: it does not wait for that.
    let output = child.wait_with_output().await.unwrap();
    drop(stdin);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped before its end"), "{said}");
    let [stored, ..] = counts(&said);
    assert!((1_000..=3_000).contains(&stored), "{said}");
    assert_eq!(run(import(&place, &["/dev/null"])).await.0, Some(0));
    let gateway = {
        let mut gateway = place;
        gateway.start_again().await;
        gateway
    };
    assert_eq!(check_log(&gateway.pool()).await.len(), stored);
}

#[tokio::test]
async fn a_long_stream_takes_little_memory() {
    let place = GatewayProcess::prepare("data", "");
    let mut command = import(&place, &["-"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let process = child.id().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = tokio::spawn(async move {
        let mut dropped = sync_event("one");
        dropped["eventType"] = json!("user.session.start");
        dropped["displayMessage"] = json!("x".repeat(500));
        let dropped = format!("{dropped}\n").repeat(19);
        for _ in 0..100 {
            let mut some = String::new();
            for event in sync_events("one", 100) {
                some.push_str(&dropped);
                some.push_str(&lines(&[event]));
            }
            stdin.write_all(some.as_bytes()).await.unwrap();
        }
        // A line without an end in sight.
        stdin.write_all(b"{\"uuid\":\"").await.unwrap();
        for _ in 0..100 {
            stdin.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        }
    });
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let highest =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(highest.unwrap_or(0));
        sleep(Duration::from_millis(20)).await;
    }
    writer.await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(counts(&said), [10_000, 0, 1, 190_000], "{said}");
    assert!(said.contains("line 200001: larger than 16777216 bytes"), "{said}");
    assert!((1..150_000).contains(&peak), "{peak} kB");
}
