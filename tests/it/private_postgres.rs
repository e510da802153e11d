//! The private Postgres: one a data directory, kept as long as its gateway, reachable on this machine only.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use reqwest::StatusCode;
use rustix::process::Signal;
use sluice::postgres::private::{DataDirLock, PrivateError, PrivatePostgres};
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::events::{sync_event, uuid};
use crate::process::GatewayProcess;
use crate::traffic::Traffic;

impl GatewayProcess {
    /// Runs a command to its end; gives whether it succeeded, and what it said.
    pub(crate) async fn run(&self, name: &str) -> (bool, String) {
        let output = self.command(name).arg("--create").stderr(Stdio::piped()).output().await.unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) async fn deliver_one(&self) -> String {
        let event = sync_event("one");
        Traffic::new().deliver(self.address, std::slice::from_ref(&event)).await.unwrap();
        uuid(&event).to_owned()
    }
}

#[tokio::test]
async fn a_data_directory_has_one_gateway_whose_data_outlives_it() {
    let mut gateway = GatewayProcess::start().await;
    let mut events = vec![gateway.deliver_one().await];
    let second = gateway
        .command("serve")
        .args(["--listen", "127.0.0.1:0", "--log-format", "text"])
        .stderr(Stdio::piped())
        .output();
    let second = second.await.unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let refusal = format!("sluice: the data directory {} is in use by another sluice", gateway.data_dir.display());
    assert!(said.contains(&refusal), "{said}");
    assert_eq!(gateway.status("/readyz").await, Some(StatusCode::OK), "the first is not disturbed");

    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success());
    assert_eq!(gateway.postgres(), None);
    gateway.start_again().await;
    events.push(gateway.deliver_one().await);
    // However it ends, Postgres ends, too.
    gateway.kill().await;
    while gateway.postgres().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    gateway.start_again().await;
    events.push(gateway.deliver_one().await);
    assert_eq!(check_log(&gateway.pool()).await, events);
}

#[tokio::test]
async fn migrate_uses_the_postgres_that_runs_or_starts_it_for_a_moment() {
    let mut gateway = GatewayProcess::prepare("data", "");
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
    assert_eq!(gateway.postgres(), None);
    gateway.start_again().await;
    let postgres = gateway.postgres();
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
    assert_eq!((gateway.postgres().is_some(), gateway.postgres()), (true, postgres));
    gateway.deliver_one().await;
    assert_eq!(check_log(&gateway.pool()).await.len(), 1);
}

#[tokio::test]
async fn it_listens_on_a_unix_socket_only_which_nobody_else_may_open() {
    let gateway = GatewayProcess::start().await;
    let postgres = gateway.postgres().unwrap().as_raw_nonzero();
    let mut inodes = Vec::new();
    for file in fs::read_dir(format!("/proc/{postgres}/fd")).unwrap() {
        let target = fs::read_link(file.unwrap().path()).unwrap().to_string_lossy().into_owned();
        inodes.extend(target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    let listens = |table: &str, inode: &str| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        text.lines().any(|line| line.split_whitespace().any(|field| field == inode))
    };
    assert!(inodes.iter().any(|inode| listens("unix", inode)), "{inodes:?}");
    for table in ["tcp", "tcp6"] {
        assert!(!inodes.iter().any(|inode| listens(table, inode)), "{table}: {inodes:?}");
    }
    let sockets = gateway.data_dir.join("postgres/run");
    assert!(sockets.join(".s.PGSQL.5432").exists());
    assert_eq!(fs::metadata(sockets).unwrap().permissions().mode() & 0o777, 0o700);
    let settings: Vec<(String,)> = sqlx::query_as(
        "SELECT name || '=' || setting FROM pg_settings \
         WHERE name IN ('fsync', 'full_page_writes', 'listen_addresses', 'synchronous_commit', \
         'data_checksums', 'max_locks_per_transaction') ORDER BY name",
    )
    .fetch_all(&gateway.pool())
    .await
    .unwrap();
    let settings: Vec<_> = settings.into_iter().map(|(setting,)| setting).collect();
    let right = [
        "data_checksums=on",
        "fsync=on",
        "full_page_writes=on",
        "listen_addresses=",
        "max_locks_per_transaction=1024",
        "synchronous_commit=on",
    ];
    assert_eq!(settings, right);
}

#[tokio::test]
async fn a_data_directory_may_have_a_long_path() {
    let mut gateway = GatewayProcess::prepare(&["a_rather_long_name"; 12].join("/"), "");
    assert!(gateway.data_dir.as_os_str().len() > 200);
    gateway.start_again().await;
    let event = gateway.deliver_one().await;
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
    assert_eq!(check_log(&gateway.pool()).await, [event]);
}

/// Only root runs Postgres under somebody else.
#[tokio::test]
async fn a_data_directory_that_postgres_cannot_reach_is_refused() {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
    let (data_dir, closed) = (directory.path().join("data"), directory.path().canonicalize().unwrap());
    let lock = DataDirLock::take(&data_dir).unwrap();
    let started = tokio::task::spawn_blocking(move || PrivatePostgres::start(lock, false)).await.unwrap();
    if rustix::process::geteuid().is_root() {
        let error = started.unwrap_err();
        assert!(matches!(&error, PrivateError::Unreachable(_, because) if *because == closed), "{error}");
        assert!(error.to_string().contains("give --data-dir another directory"), "{error}");
    } else {
        tokio::task::spawn_blocking(|| drop(started.unwrap())).await.unwrap();
    }
}

/// A gateway that is told to stop does not wait for processes that the PostgreSQL of a killed gateway left behind.
#[test]
fn a_wait_for_processes_of_another_gateway_can_be_stopped() {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let lock = DataDirLock::take(&directory.path().join("data")).unwrap();
    let home = lock.directory().join("postgres");
    fs::create_dir(&home).unwrap();
    // Each of these processes holds this lock.
    let left = fs::File::create(home.join("lock")).unwrap();
    left.lock().unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let ended = PrivatePostgres::start_unless(lock, false, stop);
    assert!(matches!(ended, Err(PrivateError::Cancelled)), "{:?}", ended.err());
}
