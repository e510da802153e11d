//! The identity of a private PostgreSQL's data directory: a restart keeps it, and a copy gets another one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use sluice::postgres::private::{DataDirLock, PrivateError, PrivatePostgres};
use sqlx::{Connection as _, PgConnection};
use tokio::task::spawn_blocking;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(program: &str, arguments: &[&Path]) {
    let output = Command::new(program).arg("-a").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Takes the lock of a directory that this process has released. A process that another test is just starting still holds
/// that lock until it executes its program.
fn take_again(data_dir: &Path) -> DataDirLock {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match DataDirLock::take(data_dir) {
            Err(PrivateError::InUse(_)) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            taken => return taken.unwrap(),
        }
    }
}

/// Starts the PostgreSQL of a directory, executes a checkpoint, and stops it; returns the directory's identity.
async fn run_once(data_dir: &Path) -> String {
    let data_dir = data_dir.to_owned();
    let start = {
        let data_dir = data_dir.clone();
        move || PrivatePostgres::start(take_again(&data_dir), false).unwrap()
    };
    let postgres = spawn_blocking(start).await.unwrap();
    let identity = postgres.identity();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS t (); CHECKPOINT").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(PrivatePostgres::identity_of(&data_dir).unwrap(), identity);
    spawn_blocking(move || drop(postgres)).await.unwrap();
    assert_eq!(PrivatePostgres::identity_of(&data_dir).unwrap(), identity);
    identity
}

#[tokio::test]
async fn a_restart_keeps_the_identity_and_a_copy_has_another() {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let [data_dir, backup] = ["data", "backup"].map(|name| directory.path().join(name));
    let first = run_once(&data_dir).await;
    assert!(first.len() < 200 && first.split('+').count() == 3, "{first}");
    assert_eq!(run_once(&data_dir).await, first);

    run("cp", &[&data_dir, &backup]);
    let mut seen = vec![first.clone(), run_once(&backup).await];
    // The backup is copied back twice: first after an `rm -rf`, then over the existing files, which keep their inodes.
    fs::remove_dir_all(&data_dir).unwrap();
    run("cp", &[&backup, &data_dir]);
    seen.push(run_once(&data_dir).await);
    run("cp", &[&backup.join("."), &data_dir]);
    seen.push(run_once(&data_dir).await);
    assert_eq!(run_once(&data_dir).await, seen[3]);
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 4, "{seen:?}");
}

#[tokio::test]
async fn a_directory_without_a_cluster_has_no_identity() {
    let directory = tempfile::tempdir().unwrap();
    let error = PrivatePostgres::identity_of(directory.path()).unwrap_err();
    assert!(matches!(error, PrivateError::Io { .. }), "{error}");
}
