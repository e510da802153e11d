//! The PostgreSQL cluster of a data directory: its creation, its start and its settings.

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
use super::identity;
use super::occupant::{self, ClusterLock, Occupant, PidFileState};
use super::process::{end_with_parent, stop};
use super::programs::Programs;
use super::server_log::{ServerLog, lack_of_space, summary};
use super::server_user::ServerUser;
use super::socket::SocketDirectory;

/// Time limit for the end of a PostgreSQL that a killed gateway left behind.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time limit of a start. After a crash PostgreSQL first replays its write-ahead log, which may hold 2 GB.
const START_PATIENCE: Duration = Duration::from_mins(30);

/// Interval of log lines about a start that takes long.
const START_LOG_INTERVAL: Duration = Duration::from_secs(15);

/// Prefix of the directories in which new clusters are created.
const NEW_DATA_PREFIX: &str = "data.new";

/// A cluster: its directories, its programs and the user of its processes.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    programs: Programs,
    user: Option<ServerUser>,
    home: PathBuf,
    data: PathBuf,
    sockets: SocketDirectory,
    durable: bool,
}

/// A PostgreSQL that accepts connections.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    /// Identity of its data directory.
    pub(super) identity: String,
}

impl Cluster {
    /// Returns the cluster in a data directory, and creates one if there is none. Without `durable`, which is for tests,
    /// commits do not wait for the disk.
    pub(super) fn open(directory: &Path, durable: bool, cancelled: &CancellationToken) -> Result<Self, PrivateError> {
        let home = directory.join("postgres");
        let data = home.join("data");
        let cluster = Self {
            programs: Programs::find(&data)?,
            user: ServerUser::needed()?,
            sockets: SocketDirectory::of(&home),
            home,
            data,
            durable,
        };
        make_directory(&cluster.home)?;
        make_directory(cluster.sockets.path())?;
        if !cluster.sockets.path().starts_with(&cluster.home) {
            cluster.sockets.check_owner(cluster.user.map(ServerUser::ids))?;
        }
        if let Some(user) = cluster.user {
            user.give(&cluster.home)?;
            user.give(cluster.sockets.path())?;
            user.reaches(&cluster.home)?;
        }
        let _lock = cluster.vacate(cancelled)?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.init()?;
        }
        cluster.refuse_hard_links()?;
        Ok(cluster)
    }

    /// Returns the URL of the cluster's database.
    pub(super) fn url(&self) -> String {
        self.sockets.url()
    }

    /// Returns the file for PostgreSQL's output until its log collector takes over.
    fn start_log(&self) -> PathBuf {
        self.home.join("start.log")
    }

    /// Starts PostgreSQL and waits until it accepts connections. The process ends with the calling thread.
    pub(super) fn start(&self, cancelled: &CancellationToken) -> Result<Started, PrivateError> {
        let mut lock = self.vacate(cancelled)?;
        let identity = identity::of(&self.data, self.user)?;
        let log = ServerLog::from_now_on(self.start_log(), self.data.join("log"));
        let before = PidFileState::of(&self.data);
        let mut child = self.spawn(&lock)?;
        if let Err(error) = lock.set_holder(child.id()) {
            tracing::debug!(%error, "could not write down which process has the cluster's lock");
        }
        // PostgreSQL alone holds the lock from here on.
        drop(lock);
        let deadline = Instant::now() + START_PATIENCE;
        let mut news = Instant::now() + START_LOG_INTERVAL;
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
                news += START_LOG_INTERVAL;
            }
            sleep(Duration::from_millis(10));
        }
        stop(&mut child);
        Err(PrivateError::NotReady { log: self.start_log(), said: log.told() })
    }

    fn spawn(&self, lock: &ClusterLock) -> Result<Child, PrivateError> {
        let log = File::create(self.start_log()).map_err(PrivateError::io(&self.start_log()))?;
        let log_again = log.try_clone().map_err(PrivateError::io(&self.start_log()))?;
        // PostgreSQL reads nothing from its standard input. All its processes inherit that file, and with it the lock.
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
            // A migration locks about 21 relations of each month (the partition, its TOAST table and all indexes), 5,000
            // for 250 months. The setting leaves room for many times that. It takes 80 MB of shared memory, of which
            // PostgreSQL touches half.
            "max_locks_per_transaction=1024".to_owned(),
            "logging_collector=on".to_owned(),
            // `ServerLog` reads the cause of a failed start from this directory.
            "log_directory=log".to_owned(),
            // A file for each weekday, which is overwritten after a week.
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
        // The cluster is created under another name and then renamed, so that an incomplete one is never used.
        let fresh = self.home.join(format!("{NEW_DATA_PREFIX}.{}", uuid::Uuid::new_v4().simple()));
        let mut command = self.command("initdb");
        command.arg("-D").arg(&fresh).args(["-U", "sluice", "-A", "trust", "--locale=C", "-E", "UTF8"]);
        // Checksums turn a page that the disk has corrupted into an error instead of a wrong result.
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

    /// Removes the directories of interrupted runs of `initdb`. A run that is still alive does no harm, as each has a
    /// directory of its own; the next start removes its remains.
    fn remove_half_made(&self) {
        for entry in fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(NEW_DATA_PREFIX)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(%error, directory = %entry.path().display(), "could not remove a half-made cluster");
            }
        }
    }

    /// Returns an error for a directory that shares files with another one by hard links. PostgreSQL overwrites files
    /// in place, which would change the other directory, too.
    fn refuse_hard_links(&self) -> Result<(), PrivateError> {
        let control = self.data.join("global/pg_control");
        match fs::metadata(&control) {
            Ok(about) if about.nlink() > 1 => Err(PrivateError::HardLinked(self.data.clone())),
            // A missing file is left to PostgreSQL, whose message names it.
            _ => Ok(()),
        }
    }

    /// Waits until no PostgreSQL uses the directory, and signals one that a killed gateway left behind to stop. Removes
    /// lock files that are left over or were copied. Returns the lock, which excludes other processes.
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
        // The program could not start in a working directory that its user may not enter.
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGOPTIONS");
        if let Some(user) = self.user {
            user.apply(&mut command);
        }
        command
    }

    /// Runs a program and waits for its end. The kernel stops the program if the calling thread ends first.
    fn finish(&self, command: &mut Command, program: &str, input: &str) -> Result<(), PrivateError> {
        let failed = |error: std::io::Error| self.failed(program, &error.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(command);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended before it read its input reports the cause in its output.
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

/// Returns the URL of the cluster that runs in a data directory.
pub(super) fn url_of(directory: &Path) -> String {
    SocketDirectory::of(&directory.join("postgres")).url()
}

/// Returns true if a data directory has a cluster. An incomplete one counts, so that a start reports what it lacks.
pub(super) fn exists(directory: &Path) -> bool {
    fs::read_dir(directory.join("postgres/data")).is_ok_and(|mut files| files.next().is_some())
}

/// Returns the identity of the cluster in a data directory.
pub(super) fn identity_of(directory: &Path) -> Result<String, PrivateError> {
    identity::of(&directory.join("postgres/data"), ServerUser::needed()?)
}
