//! The Unix socket of a cluster: its directory, its URL, and a check whether a process listens on it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use rustix::process::Pid;

use super::PrivateError;

/// The names of the socket and of PostgreSQL's lock file for it.
const SOCKET: &str = ".s.PGSQL.5432";
const LOCK: &str = ".s.PGSQL.5432.lock";

/// The directory of a cluster's socket.
#[derive(Clone, Debug)]
pub(super) struct SocketDirectory(PathBuf);

impl SocketDirectory {
    /// Returns the directory for the cluster in `home`: beside the data or, if that path is too long for a socket, in
    /// `/tmp`. A copy of a data directory has another path, and so another directory for its socket.
    pub(super) fn of(home: &Path) -> Self {
        const LONGEST: usize = 107 - "/.s.PGSQL.5432".len();
        let beside = home.join("run");
        if beside.as_os_str().len() <= LONGEST {
            return Self(beside);
        }
        let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, beside.as_os_str().as_encoded_bytes());
        Self(PathBuf::from("/tmp").join(format!("sluice-{}", name.simple())))
    }

    /// Returns the path of the directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the URL of the database behind the socket.
    pub(super) fn url(&self) -> String {
        let host = percent_encoding::utf8_percent_encode(&self.0.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        format!("postgres://sluice@{host}/sluice")
    }

    /// Returns an error for a directory in `/tmp` that another user made, or that is a link. Its name can be guessed,
    /// and its owner could answer in PostgreSQL's place.
    pub(super) fn check_owner(&self, user: Option<(u32, u32)>) -> Result<(), PrivateError> {
        let found = fs::symlink_metadata(&self.0).map_err(PrivateError::io(&self.0))?;
        let is_ours =
            found.uid() == rustix::process::geteuid().as_raw() || user.is_some_and(|(owner, _)| found.uid() == owner);
        if found.is_dir() && is_ours {
            return Ok(());
        }
        Err(PrivateError::ForeignSocketDirectory(self.0.clone()))
    }

    /// Returns true if a process listens on the socket. No process listens on a copied socket.
    pub(super) fn is_answered(&self) -> bool {
        let answered = || {
            let client = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
            fcntl_setfd(&client, FdFlags::CLOEXEC)?;
            // A server that no longer accepts connections would block this call.
            ioctl_fionbio(&client, true)?;
            connect(&client, &SocketAddrUnix::new(self.0.join(SOCKET))?)
        };
        matches!(answered(), Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS))
    }

    /// Returns the process that PostgreSQL's lock file for the socket names.
    pub(super) fn locked_by(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.0.join(LOCK)).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    /// Removes the socket and its lock file, once no process listens. PostgreSQL refuses to start if the process id in
    /// a copied lock file happens to be in use.
    pub(super) fn clear(&self) -> Result<(), PrivateError> {
        for name in [SOCKET, LOCK] {
            let path = self.0.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(PrivateError::Io { path, source }),
                _ => {}
            }
        }
        Ok(())
    }
}
