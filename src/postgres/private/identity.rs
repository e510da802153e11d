//! Identity of a cluster's directory, which no copy of the directory shares.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::PrivateError;
use super::server_user::ServerUser;

/// A symbolic link in the cluster's directory. `cp` overwrites existing files, whose inodes stay, but replaces each
/// link by a new one. The link therefore also reveals a copy that was put back over the directory.
const LINK: &str = "sluice.identity";

/// Target of the link, a file that every cluster has: a dangling link could disturb backup programs.
const TARGET: &str = "PG_VERSION";

/// Returns the identity of a cluster's directory as a short text: inode and creation time of the directory, of its
/// control file, which PostgreSQL only overwrites, and of the link. Restarts and `mv` within a file system keep the
/// identity, and so does a change of owner where the file system records creation times. A copy has another identity,
/// even in the place of the original; a restored snapshot of the whole file system has the same one.
///
/// # Errors
/// The directory holds no cluster, or cannot be read.
pub(super) fn of(data: &Path, user: Option<ServerUser>) -> Result<String, PrivateError> {
    let control = data.join("global/pg_control");
    let link = data.join(LINK);
    match symlink(TARGET, &link) {
        Ok(()) => {
            if let Some((uid, gid)) = user.map(ServerUser::ids) {
                lchown(&link, Some(uid), Some(gid)).map_err(PrivateError::io(&link))?;
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(PrivateError::Io { path: link, source }),
    }
    let directory = part(&fs::metadata(data).map_err(PrivateError::io(data))?);
    let control = part(&fs::metadata(&control).map_err(PrivateError::io(&control))?);
    let link = fs::symlink_metadata(&link).map_err(PrivateError::io(&link))?;
    // A file system that records no creation times may give inodes of deleted files to a copy. The link's change time
    // serves instead, since nothing about the link ever changes but its owner.
    let changed =
        if link.created().is_err() { format!(".{}.{:09}", link.ctime(), link.ctime_nsec()) } else { String::new() };
    Ok(format!("{directory}+{control}+{}{changed}", part(&link)))
}

/// Returns the inode and, where the file system records it, the creation time in nanoseconds since 1970.
fn part(file: &Metadata) -> String {
    let born = file.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    born.map_or_else(|| file.ino().to_string(), |born| format!("{}.{}", file.ino(), born.as_nanos()))
}
