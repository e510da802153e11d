//! Copied and moved data directories: a gateway neither signals nor trusts a process that belongs to another directory.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, kill_process};
use sluice::postgres::private::{DataDirLock, PrivateError, PrivatePostgres};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::process::GatewayProcess;

/// Copies a directory with `cp -a`, as an operator would: owners, times and links are kept.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().unwrap();
    assert!(copied.status.success(), "{copied:?}");
}

/// A foreign process that runs under PostgreSQL's account. The process ends when the value is dropped.
struct ForeignProcess(Child);

impl ForeignProcess {
    fn start(mut command: Command, gateway: &GatewayProcess) -> Self {
        let owner = fs::metadata(gateway.postgres_dir()).unwrap();
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        Self(command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for ForeignProcess {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Prepares a gateway that has created its cluster and is not running.
async fn prepared() -> GatewayProcess {
    let gateway = GatewayProcess::prepare("data", "");
    let (succeeded, said) = gateway.run("migrate").await;
    assert!(succeeded, "{said}");
    gateway
}

async fn stop(gateway: &mut GatewayProcess) {
    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success(), "{}", gateway.output());
}

#[tokio::test]
async fn a_copy_of_a_running_data_directory_starts_and_the_original_goes_on() {
    let original = GatewayProcess::start().await;
    let before = original.deliver_one().await;
    let postgres = original.postgres();
    sqlx::raw_sql("CHECKPOINT").execute(&original.pool()).await.unwrap();
    let mut hot = GatewayProcess::prepare("data", "");
    copy(&original.data_dir, &hot.data_dir);
    assert!(hot.postgres_dir().join("postmaster.pid").exists(), "the copy has the original's files");
    hot.spawn();
    hot.wait_until(async |hot| {
        assert_eq!(original.status("/readyz").await, Some(StatusCode::OK), "{}", original.output());
        hot.status("/readyz").await == Some(StatusCode::OK)
    })
    .await;
    assert_eq!(original.postgres(), postgres);
    assert_ne!(hot.postgres(), postgres);
    assert!(hot.output().contains("removed a PostgreSQL's file that is copied or left over"), "{}", hot.output());
    let events = [hot.deliver_one().await, original.deliver_one().await];
    assert_eq!(check_log(&hot.pool()).await, [before.clone(), events[0].clone()]);
    assert_eq!(check_log(&original.pool()).await, [before, events[1].clone()]);
    // The files that the killed copy leaves behind are its own, so the copy can start again.
    hot.kill().await;
    hot.start_again().await;
    assert_eq!((original.postgres(), original.status("/readyz").await), (postgres, Some(StatusCode::OK)));
}

#[tokio::test]
async fn a_process_that_has_the_number_of_an_old_postgres_is_left_alone() {
    let mut gateway = prepared().await;
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let mut stranger = ForeignProcess::start(sleep, &gateway);
    let (data, run) = (gateway.postgres_dir(), gateway.data_dir.join("postgres/run"));
    for directory in [data.clone(), PathBuf::from("/somewhere/else"), PathBuf::from("/")] {
        let text = format!("{}\n{}\n1700000000\n5432\n", stranger.0.id(), directory.display());
        fs::write(data.join("postmaster.pid"), &text).unwrap();
        fs::write(run.join(".s.PGSQL.5432.lock"), &text).unwrap();
        gateway.start_again().await;
        assert!(stranger.lives());
        stop(&mut gateway).await;
    }
    for text in ["", "\0\0\0\0", "no number\n"] {
        fs::write(data.join("postmaster.pid"), text).unwrap();
        gateway.start_again().await;
        stop(&mut gateway).await;
    }
    assert!(stranger.lives());
}

#[tokio::test]
async fn a_postgres_that_somebody_started_in_the_directory_is_stopped_first() {
    let mut gateway = GatewayProcess::start().await;
    let event = gateway.deliver_one().await;
    let program = fs::read_link(format!("/proc/{}/exe", gateway.postgres().unwrap().as_raw_nonzero())).unwrap();
    for moves in [false, true] {
        stop(&mut gateway).await;
        let mut command = Command::new(&program);
        let sockets = gateway.data_dir.join("postgres/run");
        command.arg("-D").arg(gateway.postgres_dir()).args(["-c", "listen_addresses=", "-c"]);
        command.arg(format!("unix_socket_directories={}", sockets.display()));
        let mut postgres = ForeignProcess::start(command, &gateway);
        let pid_file = gateway.postgres_dir().join("postmaster.pid");
        while !fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready")) {
            assert!(postgres.lives());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if moves {
            // The pid file names the old path, which is gone: the working directory identifies the process.
            let moved = gateway.beside("moved");
            fs::rename(&gateway.data_dir, &moved).unwrap();
            gateway.data_dir = moved;
        }
        gateway.start_again().await;
        let ended = postgres.0.try_wait().unwrap().expect("it was stopped before the gateway started its own");
        // PostgreSQL exits with an error after the move: it looks for its control file at the old absolute path.
        assert!(moves || ended.success(), "{ended}");
        assert_eq!(check_log(&gateway.pool()).await, [event.as_str()]);
    }
}

#[tokio::test]
async fn a_postgres_that_a_killed_gateway_left_behind_is_waited_for() {
    let mut gateway = GatewayProcess::start().await;
    let event = gateway.deliver_one().await;
    let postgres = gateway.postgres().unwrap();
    kill_process(postgres, Signal::STOP).unwrap();
    gateway.kill().await;
    // The gateway must not depend on the pid file: in another container its process number would mean nothing.
    fs::remove_file(gateway.postgres_dir().join("postmaster.pid")).unwrap();
    let lock = File::open(gateway.data_dir.join("postgres/lock")).unwrap();
    assert!(flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err(), "PostgreSQL has it");
    gateway.spawn();
    gateway.wait_until(async |gateway| gateway.output().contains("waiting for the PostgreSQL that still runs")).await;
    assert_eq!(gateway.postgres(), None);
    kill_process(postgres, Signal::CONT).unwrap();
    gateway.wait_until(async |gateway| gateway.status("/readyz").await == Some(StatusCode::OK)).await;
    assert_eq!(check_log(&gateway.pool()).await, [event]);
}

#[tokio::test]
async fn whoever_listens_on_the_directorys_socket_is_waited_for() {
    let mut gateway = prepared().await;
    let socket = gateway.data_dir.join("postgres/run/.s.PGSQL.5432");
    let listener = UnixListener::bind(&socket).unwrap();
    gateway.spawn();
    let listener = spawn_blocking(move || {
        // The gateway connects once before it waits, and at least once more while it waits.
        for _ in 0..2 {
            listener.accept().unwrap();
        }
        listener
    });
    let listener = listener.await.unwrap();
    assert!(socket.exists());
    assert_eq!(gateway.postgres(), None);
    drop(listener);
    gateway.wait_until(async |gateway| gateway.status("/readyz").await == Some(StatusCode::OK)).await;
}

#[tokio::test]
async fn a_data_directory_can_be_moved_while_nobody_uses_it() {
    let mut gateway = GatewayProcess::start().await;
    let event = gateway.deliver_one().await;
    stop(&mut gateway).await;
    let identity = PrivatePostgres::identity_of(&gateway.data_dir).unwrap();
    let moved = gateway.beside("moved");
    fs::rename(&gateway.data_dir, &moved).unwrap();
    gateway.data_dir = moved;
    gateway.start_again().await;
    assert_eq!(check_log(&gateway.pool()).await, [event]);
    assert_eq!(PrivatePostgres::identity_of(&gateway.data_dir).unwrap(), identity);
}

#[tokio::test]
async fn a_copy_of_hard_links_is_refused() {
    let gateway = prepared().await;
    let linked = GatewayProcess::prepare("data", "");
    let copied = Command::new("cp").arg("-al").args([&gateway.data_dir, &linked.data_dir]).output().unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let data_dir = linked.data_dir.clone();
    let started =
        spawn_blocking(move || PrivatePostgres::start(DataDirLock::take(&data_dir).unwrap(), false).map(drop));
    let error = started.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("has hard links to the files of another directory"), "{error}");
}

#[tokio::test]
async fn a_wait_for_another_postgres_can_be_cancelled() {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let data_dir = directory.path().join("data");
    fs::create_dir_all(data_dir.join("postgres/run")).unwrap();
    let listener = UnixListener::bind(data_dir.join("postgres/run/.s.PGSQL.5432")).unwrap();
    let cancelled = CancellationToken::new();
    let starting = spawn_blocking({
        let cancelled = cancelled.clone();
        move || PrivatePostgres::start_unless(DataDirLock::take(&data_dir).unwrap(), false, cancelled).map(drop)
    });
    let listener = spawn_blocking(move || listener.accept().map(|_| listener)).await.unwrap().unwrap();
    cancelled.cancel();
    let error = starting.await.unwrap().unwrap_err();
    assert!(matches!(error, PrivateError::Cancelled), "{error}");
    drop(listener);
}

/// A data directory with a long path has its sockets in a directory with a predictable name, where another user may
/// have put a link.
#[tokio::test]
async fn a_directory_for_sockets_that_leads_elsewhere_is_refused() {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let data_dir = directory.path().join(["a_rather_long_name"; 6].join("/"));
    fs::create_dir_all(&data_dir).unwrap();
    let url = PrivatePostgres::url_of_running(&data_dir);
    let host = url.strip_prefix("postgres://sluice@").unwrap().strip_suffix("/sluice").unwrap();
    let sockets = PathBuf::from(percent_encoding::percent_decode_str(host).decode_utf8().unwrap().into_owned());
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &sockets).unwrap();
    let owner = fs::metadata(&elsewhere).unwrap().uid();
    let started =
        spawn_blocking(move || PrivatePostgres::start(DataDirLock::take(&data_dir).unwrap(), false).map(drop));
    let error = started.await.unwrap().unwrap_err();
    fs::remove_file(&sockets).unwrap();
    assert!(matches!(&error, PrivateError::ForeignSocketDirectory(found) if *found == sockets), "{error}");
    assert_eq!(fs::metadata(&elsewhere).unwrap().uid(), owner, "it was given to nobody");
}
