//! Detection of a PostgreSQL that still runs in a cluster's directory, with proof that it is that directory's own.
//!
//! A process id in a file proves nothing: a copied directory names processes of the original, and after a restart of
//! the machine or container the id may be another process's.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Pid;

use super::PrivateError;
use super::process::Process;
use super::socket::SocketDirectory;

/// Process that uses a cluster's directory, as far as it can be determined.
#[derive(Debug)]
pub(super) enum Occupant {
    /// No process: `postmaster.pid` is missing, or names a process that is gone.
    Nobody,
    /// A process that is proven to be this directory's PostgreSQL.
    Own(Process),
    /// No process of this directory: `postmaster.pid` was copied, left over or damaged. Holds what is wrong with the
    /// file.
    Stale(String),
    /// A process that may or may not be this directory's PostgreSQL. Holds what is known of it.
    Unproven(String),
}

/// A lock that every process of a PostgreSQL holds from its start to its end, since it inherits the open file. The
/// kernel binds the lock to the file's inode: a copy has a lock of its own, and other containers on the same directory
/// see this one.
#[derive(Debug)]
pub(super) struct ClusterLock(File);

impl ClusterLock {
    /// Takes the lock. Returns None while a process of this directory's PostgreSQL is alive.
    pub(super) fn take(home: &Path) -> Result<Option<Self>, PrivateError> {
        let path = home.join("lock");
        let options = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = options.map_err(PrivateError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(PrivateError::Io { path, source: error.into() }),
        }
    }

    /// Returns another handle of the same lock, for the process that inherits it.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Writes the id of the process that inherited the lock into the lock's file.
    pub(super) fn set_holder(&mut self, process: u32) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        write!(self.0, "{process}")
    }

    /// Returns the id of the process that inherited the lock last. That process has ended, as the lock was free; a
    /// process that has the id now is another one.
    fn last_holder(&self) -> Option<Pid> {
        let mut text = String::new();
        let mut file = &self.0;
        file.rewind().ok()?;
        file.take(20).read_to_string(&mut text).ok()?;
        Pid::from_raw(text.parse().ok()?)
    }
}

/// Content of `postmaster.pid`, as far as it is used here.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    directory: PathBuf,
}

impl PidFile {
    fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// Parses the file's text. Returns None for a damaged file, as after a crash of the machine.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A PostgreSQL in single-user mode writes its process id with a minus sign.
        let number: i32 = lines.next()?.trim().parse().ok()?;
        Some(Self { pid: Pid::from_raw(number.checked_abs()?)?, directory: PathBuf::from(lines.next()?) })
    }
}

/// State of `postmaster.pid` before a PostgreSQL is started. Process ids are reused, in a container after each restart:
/// a file that a crash left may name the new process and call it ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFileState(Option<(u64, i64, i64)>);

impl PidFileState {
    /// Returns the file's current state.
    pub(super) fn of(data: &Path) -> Self {
        let file = fs::metadata(PidFile::path(data)).ok();
        Self(file.map(|file| (file.ino(), file.mtime(), file.mtime_nsec())))
    }

    /// Returns true if the process has rewritten the file and accepts connections.
    pub(super) fn is_ready_since(&self, data: &Path, process: u32) -> bool {
        *self != Self::of(data)
            && fs::read_to_string(PidFile::path(data)).is_ok_and(|text| {
                let lines: Vec<_> = text.lines().map(str::trim).collect();
                lines.first() == Some(&process.to_string().as_str()) && lines.get(7) == Some(&"ready")
            })
    }
}

/// Determines the process that uses a cluster's directory. `lock` is the cluster's lock, if it was free.
pub(super) fn find(
    data: &Path,
    sockets: &SocketDirectory,
    lock: Option<&ClusterLock>,
) -> Result<Occupant, PrivateError> {
    let path = PidFile::path(data);
    let found = match fs::read_to_string(&path) {
        Ok(text) => Some(PidFile::parse(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) if error.kind() == ErrorKind::InvalidData => Some(None),
        Err(source) => return Err(PrivateError::Io { path, source }),
    };
    let occupant = match found {
        None => Occupant::Nobody,
        Some(None) => Occupant::Stale("it names no process".to_owned()),
        Some(Some(file)) => examine(&file, data, sockets, lock),
    };
    Ok(match occupant {
        Occupant::Own(process) => Occupant::Own(process),
        // A process that listens on the directory's socket was started in this directory.
        _ if sockets.is_answered() => Occupant::Unproven(format!(
            "a PostgreSQL that this process cannot see (in another container, say) listens in {}",
            sockets.path().display()
        )),
        occupant => occupant,
    })
}

/// Determines whether the process that `postmaster.pid` names is this directory's PostgreSQL.
fn examine(file: &PidFile, data: &Path, sockets: &SocketDirectory, lock: Option<&ClusterLock>) -> Occupant {
    let Some(process) = Process::find(file.pid) else { return Occupant::Nobody };
    let pid = file.pid.as_raw_nonzero();
    let is_written_here = is_same_directory(&file.directory, data);
    let stale = || {
        let written =
            if is_written_here { String::new() } else { format!("was written for {}, and ", file.directory.display()) };
        Occupant::Stale(format!("it {written}names process {pid}, which is no PostgreSQL of this directory"))
    };
    if lock.and_then(ClusterLock::last_holder) == Some(file.pid) {
        return stale();
    }
    match works_in(&process, data) {
        Some(true) => Occupant::Own(process),
        Some(false) => stale(),
        // The socket is the proof where /proc is missing: the process that listens wrote the socket's lock file.
        None if is_written_here && sockets.is_answered() && sockets.locked_by() == Some(file.pid) => {
            Occupant::Own(process)
        }
        // The file was copied, or the process belongs to another user.
        None if !is_written_here || !process.is_reachable => stale(),
        None => Occupant::Unproven(format!(
            "the process {pid} may be its PostgreSQL: stop that one (kill -INT {pid}), or, where it is something else, \
             remove {}",
            PidFile::path(data).display()
        )),
    }
}

/// Returns true if a process is a PostgreSQL in this working directory, which is its data directory; None if that cannot be
/// determined.
fn works_in(process: &Process, data: &Path) -> Option<bool> {
    let about = PathBuf::from(format!("/proc/{}", process.pid.as_raw_nonzero()));
    let name = fs::read_to_string(about.join("comm")).ok()?;
    if !name.contains("postgres") && !name.contains("postmaster") {
        return Some(false);
    }
    match fs::metadata(about.join("cwd")) {
        Ok(directory) => Some(is_same(&directory, &fs::metadata(data).ok()?)),
        // A process that has ended, and for which its parent has not waited.
        Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    matches!((fs::metadata(one), fs::metadata(other)), (Ok(one), Ok(other)) if is_same(&one, &other))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Removes a `postmaster.pid` that does not belong to this directory's PostgreSQL.
pub(super) fn remove_pid_file(data: &Path, why: &str) -> Result<(), PrivateError> {
    let path = PidFile::path(data);
    tracing::warn!(file = %path.display(), "removed a PostgreSQL's file that is copied or left over: {why}");
    fs::remove_file(&path).map_err(PrivateError::io(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_names_a_process_and_a_directory() {
        let right = |pid| Some(PidFile { pid: Pid::from_raw(pid).unwrap(), directory: PathBuf::from("/data/a b") });
        assert_eq!(PidFile::parse("4711\n/data/a b\n1700000000\n5432\n"), right(4711));
        assert_eq!(PidFile::parse("-4711\n/data/a b\n"), right(4711), "single-user mode");
        for broken in ["", "\n", "4711", "0\n/data\n", "x\n/data\n", "99999999999\n/data\n", "-2147483648\n/data\n"] {
            assert_eq!(PidFile::parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_file_that_a_crash_left_tells_of_no_readiness() {
        let directory = tempfile::tempdir().unwrap();
        let (data, path) = (directory.path(), directory.path().join("postmaster.pid"));
        let text = "37\n/data\n1700000000\n5432\n/run\n\n1 2\nready   \n";
        assert!(!PidFileState::of(data).is_ready_since(data, 37));
        fs::write(&path, text).unwrap();
        let left = PidFileState::of(data);
        assert!(!left.is_ready_since(data, 37));
        fs::remove_file(&path).unwrap();
        let missing = PidFileState::of(data);
        fs::write(&path, text.replace("ready   ", "starting")).unwrap();
        assert!(!missing.is_ready_since(data, 37));
        fs::write(&path, text).unwrap();
        assert!(missing.is_ready_since(data, 37) && !missing.is_ready_since(data, 38));
    }

    #[test]
    fn a_lock_is_held_until_the_last_handle_is_closed_and_a_copy_has_its_own() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut lock = ClusterLock::take(one.path()).unwrap().unwrap();
        lock.set_holder(4711).unwrap();
        let inherited = lock.handle().unwrap();
        drop(lock);
        assert!(ClusterLock::take(one.path()).unwrap().is_none());
        fs::copy(one.path().join("lock"), other.path().join("lock")).unwrap();
        let copied = ClusterLock::take(other.path()).unwrap().unwrap();
        assert_eq!(copied.last_holder(), Pid::from_raw(4711));
        drop(inherited);
        assert!(ClusterLock::take(one.path()).unwrap().is_some());
    }
}
