//! The identity of a cluster's directory: what a copy of it does not have.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::PrivateError;
use super::account::Account;

/// A symbolic link in the cluster's directory. `cp` writes into existing files and leaves their inodes as they are, but makes
/// each link anew: so the link also tells of a copy that was put back over the directory, in which no file is a new one.
const LINK: &str = "sluice.identity";

/// The target of the link, a file that every cluster has: a link that leads nowhere would trouble backup programs.
const TARGET: &str = "PG_VERSION";

/// The identity of a cluster's directory, as a short text: inode and time of birth of the directory, of its control file,
/// which PostgreSQL only ever overwrites, and of the link. Restarts, `mv` within a file system and changes of owners keep it;
/// a copy has another one, also where it takes the place of the original. A snapshot of the whole file system, when it
/// is restored, has the same.
///
/// # Errors
/// The directory holds no cluster, or cannot be read.
pub(super) fn of(data: &Path, account: Option<Account>) -> Result<String, PrivateError> {
    let control = data.join("global/pg_control");
    let link = data.join(LINK);
    match symlink(TARGET, &link) {
        Ok(()) => {
            if let Some((uid, gid)) = account.map(Account::ids) {
                lchown(&link, Some(uid), Some(gid)).map_err(PrivateError::io(&link))?;
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(PrivateError::Io { path: link, source }),
    }
    let directory = part(&fs::metadata(data).map_err(PrivateError::io(data))?);
    let control = part(&fs::metadata(&control).map_err(PrivateError::io(&control))?);
    let link = fs::symlink_metadata(&link).map_err(PrivateError::io(&link))?;
    // A file system that keeps no time of birth may give the inodes of deleted files to the copy. Nothing but the link's
    // owner ever changes, so its time of change is as good.
    let changed =
        if link.created().is_err() { format!(".{}.{:09}", link.ctime(), link.ctime_nsec()) } else { String::new() };
    Ok(format!("{directory}+{control}+{}{changed}", part(&link)))
}

/// The inode and, where the file system keeps it, the time of birth in nanoseconds since 1970.
fn part(file: &Metadata) -> String {
    let born = file.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    born.map_or_else(|| file.ino().to_string(), |born| format!("{}.{}", file.ino(), born.as_nanos()))
}
