//! Under whom Postgres runs: it refuses root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::PrivateError;

/// The user and group for Postgres's processes and files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to use: None where the process is nobody special itself.
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

    /// Makes a program run under the account.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a path to the account.
    pub(super) fn give(self, path: &Path) -> Result<(), PrivateError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(PrivateError::io(path))
    }

    /// Checks that the account can enter a directory.
    ///
    /// # Errors
    /// The directory above it that the account cannot enter.
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
