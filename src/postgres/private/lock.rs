//! The lock of a data directory, which only one gateway at a time can use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::PrivateError;

/// The lock of a data directory. The kernel releases it when it is dropped, or when the process ends, even by a crash.
#[derive(Debug)]
pub struct DataDirLock {
    directory: PathBuf,
    _file: File,
}

impl DataDirLock {
    /// Creates the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// Another process holds the lock, or the directory cannot be created.
    pub fn take(directory: &Path) -> Result<Self, PrivateError> {
        fs::create_dir_all(directory).map_err(PrivateError::io(directory))?;
        let directory = directory.canonicalize().map_err(PrivateError::io(directory))?;
        let path = directory.join("lock");
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(PrivateError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { directory, _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(PrivateError::InUse(directory)),
            Err(error) => Err(PrivateError::Io { path, source: error.into() }),
        }
    }

    /// Returns true if another process holds the lock of a directory. Creates no file there.
    pub fn is_held(directory: &Path) -> bool {
        let Ok(file) = File::open(directory.join("lock")) else { return false };
        matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
    }

    /// Returns the directory as an absolute path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
