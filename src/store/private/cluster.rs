//! One Postgres cluster in a data directory: made, started, stopped.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use super::PrivateError;
use super::account::Account;
use super::identity;
use super::occupant::{self, ClusterLock, Occupant, PidFileState};
use super::process::{end_with_parent, stop};
use super::programs::Programs;
use super::server_log::{ServerLog, lack_of_space, summary};
use super::socket::SocketDirectory;

/// How long the PostgreSQL that a killed gateway left behind may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a PostgreSQL may take to start: after a crash it first writes again what its log holds, up to 2 GB.
const START_PATIENCE: Duration = Duration::from_mins(30);

/// How often a start that takes long is told of.
const START_NEWS: Duration = Duration::from_secs(15);

/// What the names of directories begin with in which clusters are made.
const FRESH: &str = "data.new";

/// A cluster's directories and how its processes run.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    programs: Programs,
    account: Option<Account>,
    home: PathBuf,
    data: PathBuf,
    sockets: SocketDirectory,
    durable: bool,
}

/// A PostgreSQL that takes connections.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    /// The identity of the directory in which it runs.
    pub(super) identity: String,
}

impl Cluster {
    /// The cluster in a data directory; makes it where there is none. Without `durable` it does not wait for the
    /// disk: for tests.
    pub(super) fn open(directory: &Path, durable: bool, cancelled: &CancellationToken) -> Result<Self, PrivateError> {
        let home = directory.join("postgres");
        let data = home.join("data");
        let cluster = Self {
            programs: Programs::find(&data)?,
            account: Account::needed()?,
            sockets: SocketDirectory::of(&home),
            home,
            data,
            durable,
        };
        make_directory(&cluster.home)?;
        make_directory(cluster.sockets.path())?;
        if !cluster.sockets.path().starts_with(&cluster.home) {
            cluster.sockets.check_owner(cluster.account.map(Account::ids))?;
        }
        if let Some(account) = cluster.account {
            account.give(&cluster.home)?;
            account.give(cluster.sockets.path())?;
            account.reaches(&cluster.home)?;
        }
        let _lock = cluster.vacate(cancelled)?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.init()?;
        }
        cluster.refuse_hard_links()?;
        Ok(cluster)
    }

    /// The URL of its database.
    pub(super) fn url(&self) -> String {
        self.sockets.url()
    }

    /// Where PostgreSQL writes what it says before it has a log.
    fn start_log(&self) -> PathBuf {
        self.home.join("start.log")
    }

    /// Starts it and waits until it takes connections. The process ends with the thread that calls this.
    pub(super) fn start(&self, cancelled: &CancellationToken) -> Result<Started, PrivateError> {
        let mut lock = self.vacate(cancelled)?;
        let identity = identity::of(&self.data, self.account)?;
        let log = ServerLog::from_now_on(self.start_log(), self.data.join("log"));
        let before = PidFileState::of(&self.data);
        let mut child = self.spawn(&lock)?;
        if let Err(error) = lock.set_holder(child.id()) {
            tracing::debug!(%error, "could not write down which process has the cluster's lock");
        }
        // From here on only PostgreSQL has it.
        drop(lock);
        let deadline = Instant::now() + START_PATIENCE;
        let mut news = Instant::now() + START_NEWS;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(self.failed("postgres", &format!("{status}: {}", log.told())));
            }
            if before.is_ready_since(&self.data, child.id()) {
                return Ok(Started { child, identity });
            }
            if cancelled.is_cancelled() {
                stop(&mut child);
                return Err(PrivateError::Cancelled);
            }
            if Instant::now() > news {
                tracing::warn!("the private PostgreSQL is still starting; it said: {}", log.told());
                news += START_NEWS;
            }
            sleep(Duration::from_millis(10));
        }
        stop(&mut child);
        Err(PrivateError::NotReady { log: self.start_log(), said: log.told() })
    }

    fn spawn(&self, lock: &ClusterLock) -> Result<Child, PrivateError> {
        let log = File::create(self.start_log()).map_err(PrivateError::io(&self.start_log()))?;
        let log_again = log.try_clone().map_err(PrivateError::io(&self.start_log()))?;
        // PostgreSQL reads nothing from its standard input; all its processes inherit it, and with it the lock.
        let inherited = lock.handle().map_err(PrivateError::io(&self.home))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).stdin(inherited).stdout(log).stderr(log_again).process_group(0);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        end_with_parent(&mut command);
        command.spawn().map_err(PrivateError::io(&self.programs.path("postgres")))
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", self.sockets.path().display()),
            "shared_buffers=256MB".to_owned(),
            "max_wal_size=2GB".to_owned(),
            "max_connections=200".to_owned(),
            // A change of the schema locks about 28 relations of each month (tables, partitions and indexes), 7,000 for 250
            // months. This is room for many times that; it takes 80 MB of shared memory, of which PostgreSQL touches half.
            "max_locks_per_transaction=1024".to_owned(),
            "logging_collector=on".to_owned(),
            // Here the error of a start that fails looks for its cause.
            "log_directory=log".to_owned(),
            // A week of logs, over and over.
            "log_filename=postgres-%a.log".to_owned(),
            "log_truncate_on_rotation=on".to_owned(),
            "log_rotation_age=1d".to_owned(),
            "log_rotation_size=0".to_owned(),
        ];
        if !self.durable {
            settings.extend(["fsync=off", "full_page_writes=off", "shared_buffers=64MB"].map(str::to_owned));
        }
        settings
    }

    fn init(&self) -> Result<(), PrivateError> {
        if fs::read_dir(&self.data).is_ok_and(|mut files| files.next().is_some()) {
            return Err(PrivateError::Incomplete(self.data.clone()));
        }
        self.remove_half_made();
        // Made aside and moved into place, so that a half-made cluster is never taken for one.
        let fresh = self.home.join(format!("{FRESH}.{}", uuid::Uuid::new_v4().simple()));
        let mut command = self.command("initdb");
        command.arg("-D").arg(&fresh).args(["-U", "sluice", "-A", "trust", "--locale=C", "-E", "UTF8"]);
        // A page that the disk gives back changed is then an error, and not an answer.
        command.arg("--data-checksums");
        if !self.durable {
            command.arg("-N");
        }
        self.finish(&mut command, "initdb", "")?;
        let mut command = self.command("postgres");
        command.args(["--single", "-F", "-D"]).arg(&fresh).arg("postgres");
        self.finish(&mut command, "postgres --single", "CREATE DATABASE sluice;\n")?;
        fs::rename(&fresh, &self.data).map_err(PrivateError::io(&self.data))
    }

    /// Removes what an `initdb` left that was interrupted. One that still runs has a directory of its own name, so that
    /// it disturbs nobody; what is left of it goes the next time.
    fn remove_half_made(&self) {
        for entry in fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(FRESH)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(%error, directory = %entry.path().display(), "could not remove a half-made cluster");
            }
        }
    }

    /// Refuses a directory that shares its files with another one: PostgreSQL writes into its files, and would change
    /// the other directory's, too.
    fn refuse_hard_links(&self) -> Result<(), PrivateError> {
        let control = self.data.join("global/pg_control");
        match fs::metadata(&control) {
            Ok(about) if about.nlink() > 1 => Err(PrivateError::HardLinked(self.data.clone())),
            // PostgreSQL says best what is missing.
            _ => Ok(()),
        }
    }

    /// Waits until no PostgreSQL uses the directory, and tells the one that a killed gateway left behind to stop. Removes
    /// what a copy brought along. Gives the lock, which keeps others away.
    fn vacate(&self, cancelled: &CancellationToken) -> Result<ClusterLock, PrivateError> {
        let deadline = Instant::now() + PATIENCE;
        let mut told = None;
        loop {
            let lock = ClusterLock::take(&self.home)?;
            let reason = match (occupant::find(&self.data, &self.sockets, lock.as_ref())?, lock) {
                (Occupant::Nobody, Some(lock)) => {
                    self.sockets.clear()?;
                    return Ok(lock);
                }
                (Occupant::Stale(why), Some(_)) => {
                    occupant::remove_pid_file(&self.data, &why)?;
                    continue;
                }
                (Occupant::Own(process), _) => {
                    let reason = format!("process {} was told to stop", process.pid.as_raw_nonzero());
                    if told.as_ref() != Some(&reason) {
                        process.signal(Signal::INT);
                    }
                    reason
                }
                (Occupant::Unproven(reason) | Occupant::Stale(reason), _) => reason,
                (Occupant::Nobody, None) => "processes of its still run".to_owned(),
            };
            if told.as_ref() != Some(&reason) {
                tracing::info!(
                    "waiting for the PostgreSQL that still runs in {} to end: {reason}",
                    self.data.display()
                );
            }
            if Instant::now() > deadline {
                return Err(PrivateError::StillRunning { directory: self.data.clone(), reason });
            }
            if cancelled.is_cancelled() {
                return Err(PrivateError::Cancelled);
            }
            told = Some(reason);
            sleep(Duration::from_millis(20));
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        // A user who may not read the caller's directory could not start at all.
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGOPTIONS");
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    /// Runs a program to its end. It ends with the thread that calls this.
    fn finish(&self, command: &mut Command, program: &str, input: &str) -> Result<(), PrivateError> {
        let failed = |error: std::io::Error| self.failed(program, &error.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(command);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended before it read says why.
            _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = summary(&String::from_utf8_lossy(&output.stderr));
        Err(self.failed(program, &format!("{}: {said}", output.status)))
    }

    fn failed(&self, program: &str, output: &str) -> PrivateError {
        PrivateError::Failed { program: program.to_owned(), output: format!("{output}{}", lack_of_space(&self.home)) }
    }
}

fn make_directory(path: &Path) -> Result<(), PrivateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(PrivateError::io(path))
}

/// The URL of the cluster that runs in a data directory.
pub(super) fn url_of(directory: &Path) -> String {
    SocketDirectory::of(&directory.join("postgres")).url()
}

/// The identity of the cluster's directory in a data directory.
pub(super) fn identity_of(directory: &Path) -> Result<String, PrivateError> {
    identity::of(&directory.join("postgres/data"), Account::needed()?)
}
