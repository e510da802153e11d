//! A Postgres of sluice's own, for who has none: found on the machine, kept in the data directory, on a Unix socket.

mod account;
mod cluster;
mod lock;
mod programs;
mod supervisor;

pub use lock::DataDirLock;
pub use supervisor::PrivatePostgres;

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// PostgreSQL's programs are not on the machine.
    #[error(
        "PostgreSQL's programs (initdb, postgres) are not on this machine: install them (Debian: apt-get install \
         postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), name their directory in \
         PG_BIN_DIR, or give a database with DATABASE_URL"
    )]
    NoPrograms,
    /// They are of another version than the data.
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
    /// Postgres does not run as root, and there is nobody else.
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
        /// Which.
        program: String,
        /// What it said.
        output: String,
    },
    /// It did not come up.
    #[error("the private PostgreSQL did not start in time; see {0}")]
    NotReady(PathBuf),
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
}

impl PrivateError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
