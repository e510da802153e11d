//! PostgreSQL servers that a test starts for itself, over TCP: primaries and standbys that a test can stop, freeze,
//! copy and promote.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::process::free_address;

/// Time limit of every wait in these tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Name of the superuser, which needs no password, and of the database that each new server has.
const NAME: &str = "sluice";

/// PostgreSQL's programs of one version, and the account that may run a server.
#[derive(Clone, Debug)]
pub(crate) struct PostgresPrograms {
    directory: PathBuf,
    /// User and group of the account; None where the tests do not run as root.
    account: Option<(u32, u32)>,
}

impl PostgresPrograms {
    /// Returns the programs of every version on the machine, the newest first.
    pub(crate) fn all() -> Vec<Self> {
        let given = std::env::var_os("PG_BIN_DIR").map(PathBuf::from);
        let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut debian: Vec<_> = debian.map(|entry| entry.path().join("bin")).collect();
        let version = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
        debian.sort_by_key(|path| std::cmp::Reverse(version(path)));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = given.into_iter().chain(debian).chain(std::env::split_paths(&path));
        let complete =
            places.filter(|directory| ["initdb", "postgres"].iter().all(|name| directory.join(name).exists()));
        let account = account();
        complete.map(|directory| Self { directory, account }).collect()
    }

    /// Returns the programs of the newest version.
    pub(crate) fn newest() -> Self {
        Self::all().into_iter().next().expect("PostgreSQL's programs are missing: scripts/postgres installs them")
    }

    /// Returns a command that runs one of the programs.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.directory.join(program));
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGOPTIONS").stdin(Stdio::null());
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.account {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

/// Returns the account for servers where the tests run as root, since PostgreSQL refuses to run as root.
pub(crate) fn account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let found = ["postgres", "nobody"].iter().find_map(|name| {
        let account = accounts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut numbers = account.split(':').skip(1).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    Some(found.expect("there is a user postgres or nobody"))
}

/// Runs a program, which must succeed; returns its standard output.
pub(crate) async fn succeed(mut command: Command) -> String {
    let output = command.kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A server on a TCP port of 127.0.0.1. Dropping the value ends the server and removes its directory.
pub(crate) struct PostgresServer {
    pub(crate) address: SocketAddr,
    pub(crate) programs: PostgresPrograms,
    /// Settings for the next start, such as `max_connections=20`, in addition to those of every server here.
    pub(crate) settings: Vec<String>,
    directory: TempDir,
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a new primary of the newest version, with an empty database `sluice`.
    pub(crate) async fn start() -> Self {
        Self::start_with(PostgresPrograms::newest(), &[]).await
    }

    /// Starts a new primary of a version, with additional settings.
    pub(crate) async fn start_with(programs: PostgresPrograms, settings: &[&str]) -> Self {
        let mut server = Self::at(programs, settings.iter().copied().map(str::to_owned).collect());
        let mut init = server.programs.command("initdb");
        init.arg("-D").arg(server.data()).args(["-N", "-U", NAME, "-A", "trust", "--locale=C", "-E", "UTF8"]);
        succeed(init).await;
        server.start_again().await;
        server.execute_in("postgres", &format!("CREATE DATABASE {NAME}")).await;
        server
    }

    /// Copies the server's current data to a new server that is not started yet and has the same system identifier. A
    /// standby has `standby.signal` among its data; without that file the copy starts as a primary of its own.
    pub(crate) async fn base_backup(&self, is_standby: bool) -> Self {
        let copy = Self::at(self.programs.clone(), self.settings.clone());
        let mut backup = self.client("pg_basebackup");
        backup.arg("-D").arg(copy.data()).args(["--checkpoint=fast", "--wal-method=stream", "--no-sync"]);
        if is_standby {
            backup.arg("--write-recovery-conf");
        }
        succeed(backup).await;
        copy
    }

    /// Starts a streaming standby of the server, and waits until the standby accepts connections.
    pub(crate) async fn start_standby(&self) -> Self {
        let mut standby = self.base_backup(true).await;
        standby.start_again().await;
        standby
    }

    fn at(programs: PostgresPrograms, settings: Vec<String>) -> Self {
        let open = Permissions::from_mode(0o755);
        let directory = tempfile::Builder::new().prefix("sluice-postgres-").permissions(open).tempdir().unwrap();
        programs.give(directory.path());
        Self { address: free_address(), programs, settings, directory, child: None }
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server's log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The URL of the server's database `sluice`.
    pub(crate) fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The URL of one of the server's databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres://{NAME}@{}/{database}", self.address)
    }

    /// Starts the server with its address and its data, and waits until it accepts connections.
    pub(crate) async fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.programs.command("postgres");
        command.arg("-D").arg(self.data()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        command.arg("-p").arg(self.address.port().to_string()).process_group(0);
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=32MB"];
        for setting in settings.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.connect("postgres").await.is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "PostgreSQL does not start: {}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
        self.child = Some(child);
    }

    async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().host(&self.address.ip().to_string());
        PgConnection::connect_with(&options.port(self.address.port()).username(NAME).database(database)).await
    }

    /// Executes statements in the server's database `sluice`.
    pub(crate) async fn execute(&self, sql: &str) {
        self.execute_in(NAME, sql).await;
    }

    /// Executes statements in one of the server's databases.
    pub(crate) async fn execute_in(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Returns the value of an SQL expression in the database `sluice`, as text.
    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        let mut connection = self.connect(NAME).await.unwrap();
        let value = sqlx::query_scalar(AssertSqlSafe(format!("SELECT ({sql})::text"))).fetch_one(&mut connection);
        value.await.unwrap()
    }

    /// Waits until an SQL condition is true in the database `sluice`.
    pub(crate) async fn wait_until(&self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(condition).await.as_deref() != Some("true") {
            assert!(Instant::now() < deadline, "it never became true: {condition}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a standby has replayed all that this server has written so far.
    pub(crate) async fn wait_for_standby(&self, standby: &Self) {
        let written = self.value("pg_current_wal_insert_lsn()").await.unwrap();
        standby.wait_until(&format!("pg_last_wal_replay_lsn() >= '{written}'")).await;
    }

    /// Promotes this standby, and waits until it accepts writes.
    pub(crate) async fn promote(&self) {
        self.execute("SELECT pg_promote()").await;
        self.wait_until("NOT pg_is_in_recovery()").await;
    }

    /// Stops the server with a fast shutdown, as an operator does: its connections end at once, and commits are on
    /// disk.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::INT);
        self.ended().await;
    }

    /// Stops the server with an immediate shutdown, as a crash would.
    pub(crate) async fn crash(&mut self) {
        self.signal(Signal::QUIT);
        self.ended().await;
    }

    async fn ended(&mut self) {
        let mut child = self.child.take().unwrap();
        tokio::time::timeout(PATIENCE, child.wait()).await.expect("PostgreSQL ends in time").unwrap();
    }

    /// Freezes all processes of the server: the kernel still accepts connections for it, and no process answers them.
    pub(crate) fn freeze(&self) {
        // The main process is frozen first, so that it starts no more processes.
        self.signal(Signal::STOP);
        self.signal_children(Signal::STOP);
    }

    /// Resumes all processes of the server.
    pub(crate) fn thaw(&self) {
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process() {
            kill_process(process, signal).unwrap();
        }
    }

    fn signal_children(&self, signal: Signal) {
        let Some(parent) = self.process().map(|process| process.as_raw_nonzero().to_string()) else { return };
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let is_child = status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == parent));
            if let Some(child) = entry.file_name().to_str().and_then(|id| Pid::from_raw(id.parse().ok()?))
                && is_child
            {
                // An error means that the process has ended.
                _ = kill_process(child, signal);
            }
        }
    }

    fn process(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.as_ref()?.id()?).ok()?)
    }

    /// Returns a command that runs a client program against the server, such as `pg_dump` or `pg_restore`.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.programs.command(program);
        command.env("PGHOST", self.address.ip().to_string()).env("PGPORT", self.address.port().to_string());
        command.env("PGUSER", NAME).env("PGDATABASE", NAME);
        command
    }

    /// Returns a path beside the data directory, where the server's programs can write.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.thaw();
        self.signal(Signal::QUIT);
        // The directory can be removed only after the processes have ended.
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
            && std::time::Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[tokio::test]
async fn servers_start_stop_freeze_copy_and_promote() {
    let mut primary = PostgresServer::start().await;
    primary.execute("CREATE TABLE noted (number int); INSERT INTO noted VALUES (1)").await;
    let standby = primary.start_standby().await;
    primary.execute("INSERT INTO noted VALUES (2)").await;
    primary.wait_for_standby(&standby).await;
    assert_eq!(standby.value("SELECT count(*) FROM noted").await.as_deref(), Some("2"));
    standby.freeze();
    let url = standby.url();
    let answer = tokio::time::timeout(Duration::from_millis(200), PgConnection::connect(&url)).await;
    assert!(answer.is_err(), "a frozen server answers");
    standby.thaw();
    PgConnection::connect(&url).await.unwrap();
    let mut dump = primary.client("pg_dump");
    dump.arg("-Fc").arg("-f").arg(primary.beside("dump"));
    succeed(dump).await;
    primary.execute("CREATE DATABASE restored").await;
    let mut restore = primary.client("pg_restore");
    restore.args(["-d", "restored"]).arg(primary.beside("dump"));
    succeed(restore).await;
    let mut restored = PgConnection::connect(&primary.url_of("restored")).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM noted").fetch_one(&mut restored).await.unwrap();
    assert_eq!(rows, 2);
    let mut copy = primary.base_backup(false).await;
    primary.stop().await;
    standby.promote().await;
    standby.execute("INSERT INTO noted VALUES (3)").await;
    primary.start_again().await;
    primary.crash().await;
    primary.start_again().await;
    copy.start_again().await;
    for (server, rows) in [(&standby, "3"), (&primary, "2"), (&copy, "2")] {
        assert_eq!(server.value("SELECT count(*) FROM noted").await.as_deref(), Some(rows));
    }
}
