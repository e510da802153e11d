//! A private PostgreSQL that cannot start: the gateway reports why, and replaces a cluster that is only half created.

use std::fs::{self, File};
use std::io::Write as _;

use crate::process::GatewayProcess;

/// Prepares a gateway that has created its cluster and is not running.
async fn prepared() -> GatewayProcess {
    let gateway = GatewayProcess::prepare("data", "");
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
    gateway
}

async fn refusal(gateway: &GatewayProcess) -> String {
    let output =
        gateway.serve().args(["--log-format", "text"]).stderr(std::process::Stdio::piped()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn broken_settings_of_postgres_are_told() {
    let gateway = prepared().await;
    let mut settings = File::options().append(true).open(gateway.postgres_dir().join("postgresql.conf")).unwrap();
    settings.write_all(b"\nno_such_setting = 1\n").unwrap();
    let said = refusal(&gateway).await;
    assert!(said.contains("exit status: 1"), "{said}");
    assert!(said.contains("unrecognized configuration parameter \"no_such_setting\""), "{said}");
    assert!(said.contains("FATAL:  configuration file"), "{said}");
}

#[tokio::test]
async fn what_stands_in_the_log_of_postgres_is_told() {
    let gateway = prepared().await;
    for segment in fs::read_dir(gateway.postgres_dir().join("pg_wal")).unwrap() {
        let segment = segment.unwrap();
        if segment.file_type().unwrap().is_file() {
            fs::remove_file(segment.path()).unwrap();
        }
    }
    let said = refusal(&gateway).await;
    assert!(said.contains("could not locate a valid checkpoint record"), "{said}");
    assert!(!said.contains("database system is ready to accept connections"), "only this start is told of: {said}");
}

#[tokio::test]
async fn a_cluster_that_was_half_made_is_made_again() {
    let mut gateway = GatewayProcess::prepare("data", "");
    let home = gateway.data_dir.join("postgres");
    for half_made in ["data.new", "data.new.0123456789"] {
        fs::create_dir_all(home.join(half_made).join("base")).unwrap();
        fs::write(home.join(half_made).join("PG_VERSION"), "15\n").unwrap();
    }
    fs::create_dir(home.join("data")).unwrap();
    gateway.start_again().await;
    gateway.deliver_one().await;
    let mut left: Vec<_> = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["data", "lock", "run", "start.log"]);
}

#[tokio::test]
async fn a_cluster_that_lacks_its_version_is_not_made_anew() {
    let gateway = prepared().await;
    let version = gateway.postgres_dir().join("PG_VERSION");
    let content = fs::read(&version).unwrap();
    fs::remove_file(&version).unwrap();
    let said = refusal(&gateway).await;
    assert!(said.contains("is not empty, and has no file PG_VERSION"), "{said}");
    fs::write(&version, content).unwrap();
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
}
