//! The PostgreSQL that still runs in a cluster's directory, and the proof that it is that directory's own.
//!
//! A copied directory names processes of the original in its files, and after a restart of the machine or of a container
//! the same number is another process. So a number in a file proves nothing.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Pid;

use super::PrivateError;
use super::process::Process;
use super::socket::SocketDirectory;

/// Who uses a cluster's directory.
#[derive(Debug)]
pub(super) enum Occupant {
    /// No process: `postmaster.pid` is missing, or names a process that is gone.
    Nobody,
    /// A process that is proven to be this directory's PostgreSQL.
    Own(Process),
    /// No process of this directory: `postmaster.pid` was copied, is left over, or is broken. With what is wrong with it.
    Stale(String),
    /// A process that cannot be proven to be this directory's PostgreSQL, nor that it is not. With what is known of it.
    Unproven(String),
}

/// A lock that every process of a PostgreSQL holds from its start to its end: PostgreSQL inherits the file. The kernel keeps
/// it by the file's inode, so that a copy has a lock of its own, and other containers on the same directory see it.
#[derive(Debug)]
pub(super) struct ClusterLock(File);

impl ClusterLock {
    /// Takes the lock; None while processes of this directory's PostgreSQL live.
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

    /// Another handle of the same lock, for the process that is to inherit it.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Writes down which process inherited the lock.
    pub(super) fn set_holder(&mut self, process: u32) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        write!(self.0, "{process}")
    }

    /// The process that inherited the lock last. It is gone, or the lock could not have been taken: a process with its
    /// number is another one.
    fn last_holder(&self) -> Option<Pid> {
        let mut text = String::new();
        let mut file = &self.0;
        file.rewind().ok()?;
        file.take(20).read_to_string(&mut text).ok()?;
        Pid::from_raw(text.parse().ok()?)
    }
}

/// What PostgreSQL writes into `postmaster.pid`, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    directory: PathBuf,
}

impl PidFile {
    fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// Its content; None for a text that is no such file's, as after a crash of the machine.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A PostgreSQL in single-user mode writes its number with a minus sign.
        let number: i32 = lines.next()?.trim().parse().ok()?;
        Some(Self { pid: Pid::from_raw(number.checked_abs()?)?, directory: PathBuf::from(lines.next()?) })
    }
}

/// What `postmaster.pid` was when a PostgreSQL was started. Numbers of processes come again, in a container after each of its
/// restarts: a file that a crash left may well name the new process, and call it ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFileState(Option<(u64, i64, i64)>);

impl PidFileState {
    /// The state of now.
    pub(super) fn of(data: &Path) -> Self {
        let file = fs::metadata(PidFile::path(data)).ok();
        Self(file.map(|file| (file.ino(), file.mtime(), file.mtime_nsec())))
    }

    /// True when the process has written the file anew, and takes connections.
    pub(super) fn is_ready_since(&self, data: &Path, process: u32) -> bool {
        *self != Self::of(data)
            && fs::read_to_string(PidFile::path(data)).is_ok_and(|text| {
                let lines: Vec<_> = text.lines().map(str::trim).collect();
                lines.first() == Some(&process.to_string().as_str()) && lines.get(7) == Some(&"ready")
            })
    }
}

/// Finds out who uses a cluster's directory. `lock` is the cluster's lock, where it could be taken.
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
        // Only who was started in this directory listens on its socket.
        _ if sockets.is_answered() => Occupant::Unproven(format!(
            "a PostgreSQL that this process cannot see (in another container, say) listens in {}",
            sockets.path().display()
        )),
        occupant => occupant,
    })
}

/// Finds out whether the process that `postmaster.pid` names is this directory's PostgreSQL.
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
        // No /proc, or not for this process. Who answers on the socket wrote the socket's lock file.
        None if is_written_here && sockets.is_answered() && sockets.locked_by() == Some(file.pid) => {
            Occupant::Own(process)
        }
        // A process of another account.
        None if !is_written_here || !process.is_reachable => stale(),
        None => Occupant::Unproven(format!(
            "the process {pid} may be its PostgreSQL: stop that one (kill -INT {pid}), or, where it is something else, \
             remove {}",
            PidFile::path(data).display()
        )),
    }
}

/// True when a process is a PostgreSQL that works in a directory, as each PostgreSQL does in its own; None where that
/// cannot be found out.
fn works_in(process: &Process, data: &Path) -> Option<bool> {
    let about = PathBuf::from(format!("/proc/{}", process.pid.as_raw_nonzero()));
    let name = fs::read_to_string(about.join("comm")).ok()?;
    if !name.contains("postgres") && !name.contains("postmaster") {
        return Some(false);
    }
    match fs::metadata(about.join("cwd")) {
        Ok(directory) => Some(is_same(&directory, &fs::metadata(data).ok()?)),
        // It has ended, and nobody has waited for it.
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

/// Removes a `postmaster.pid` that is not of this directory's PostgreSQL.
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
