//! Where a measurement keeps its files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// A directory that is gone with the value. Postgres, under its own account, has to pass through it.
pub(crate) fn directory(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("sluice-bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(|| format!("could not make a directory in {}", parent.display()))
}
