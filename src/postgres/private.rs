//! A private PostgreSQL for operators without a database: the gateway starts the programs that are installed on the machine,
//! with a cluster in the data directory and a Unix socket.

mod cluster;
mod identity;
mod lock;
mod occupant;
mod process;
mod programs;
mod server_log;
mod server_user;
mod socket;
mod supervisor;

pub use lock::DataDirLock;
pub use supervisor::PrivatePostgres;

use std::io;
use std::path::{Path, PathBuf};

/// An error of the private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// PostgreSQL's programs are not on the machine.
    #[error(
        "PostgreSQL's programs (initdb, postgres) are not on this machine: install them (Debian: apt-get install \
         postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), name their directory in \
         PG_BIN_DIR, or give a database with DATABASE_URL"
    )]
    NoPrograms,
    /// The installed programs are of another version than the data.
    #[error(
        "the data in {directory} was written by PostgreSQL {written_by}, and only other versions are installed: install \
         version {written_by} (or name its directory in PG_BIN_DIR), or move to it with pg_upgrade"
    )]
    OtherVersion {
        /// The cluster's directory.
        directory: PathBuf,
        /// The major version that wrote it.
        written_by: String,
    },
    /// Another process uses the data directory.
    #[error("the data directory {0} is in use by another sluice; stop that one, or give --data-dir another directory")]
    InUse(PathBuf),
    /// PostgreSQL does not run as root, and there is no other user.
    #[error("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody here")]
    NoAccount,
    /// The unprivileged user cannot reach the directory.
    #[error(
        "{0} cannot be reached by the user under which PostgreSQL runs, because of {1}: give --data-dir another directory"
    )]
    Unreachable(PathBuf, PathBuf),
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program's name.
        program: String,
        /// The program's output.
        output: String,
    },
    /// PostgreSQL did not start in time.
    #[error("the private PostgreSQL did not start in time; see {log}. It said: {said}")]
    NotReady {
        /// File to which PostgreSQL writes its log.
        log: PathBuf,
        /// Last lines of the log.
        said: String,
    },
    /// A PostgreSQL still uses the directory, and does not end.
    #[error("a PostgreSQL still uses {directory}, and does not end: {reason}")]
    StillRunning {
        /// The cluster's directory.
        directory: PathBuf,
        /// Details of that PostgreSQL, and what the operator can do.
        reason: String,
    },
    /// The directory has files, but no complete cluster.
    #[error(
        "{0} is not empty, and has no file PG_VERSION, as each directory of PostgreSQL's data has: put it back whole, from a \
         backup, or move it away"
    )]
    Incomplete(PathBuf),
    /// The directory shares its files with another one, by hard links.
    #[error(
        "{0} has hard links to the files of another directory (as cp -l or rsync --link-dest make): PostgreSQL would change \
         both; make a copy of its own (cp -a) and use that"
    )]
    HardLinked(PathBuf),
    /// The directory for sockets belongs to another user, or is no directory.
    #[error(
        "{0} belongs to another user, or is no directory: remove it, or give --data-dir a directory with a shorter path"
    )]
    ForeignSocketDirectory(PathBuf),
    /// The gateway was stopped before its PostgreSQL had started.
    #[error("the private PostgreSQL was told to stop while it was starting")]
    Cancelled,
    /// An error of the file system.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl PrivateError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
