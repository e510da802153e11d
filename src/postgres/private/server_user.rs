//! The unprivileged user under which PostgreSQL runs, since it refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::PrivateError;

/// The user and group of PostgreSQL's processes and files.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerUser {
    uid: u32,
    gid: u32,
}

impl ServerUser {
    /// Returns the user for PostgreSQL; None if this process is not root, so that PostgreSQL can run under its user.
    ///
    /// # Errors
    /// There is neither a user postgres nor a user nobody.
    pub(super) fn needed() -> Result<Option<Self>, PrivateError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(PrivateError::io(Path::new("/etc/passwd")))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Self::in_passwd(&accounts, name))
            .map(Some)
            .ok_or(PrivateError::NoAccount)
    }

    fn in_passwd(accounts: &str, name: &str) -> Option<Self> {
        let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let account = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
        Some(Self { uid: account.get(2)?.parse().ok()?, gid: account.get(3)?.parse().ok()? })
    }

    /// Returns the ids of the user and of the group.
    pub(super) const fn ids(self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Makes a program run under this user and group.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Makes this user and group the owners of a path.
    pub(super) fn give(self, path: &Path) -> Result<(), PrivateError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(PrivateError::io(path))
    }

    /// Checks that the user can enter a directory.
    ///
    /// # Errors
    /// The first directory above it that the user cannot enter.
    pub(super) fn reaches(self, directory: &Path) -> Result<(), PrivateError> {
        for ancestor in directory.ancestors().skip(1) {
            let metadata = fs::metadata(ancestor).map_err(PrivateError::io(ancestor))?;
            let bit = if metadata.uid() == self.uid {
                0o100
            } else if metadata.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if metadata.permissions().mode() & bit == 0 {
                return Err(PrivateError::Unreachable(directory.to_owned(), ancestor.to_owned()));
            }
        }
        Ok(())
    }
}
