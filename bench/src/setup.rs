//! What is measured, and where a measurement keeps its files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// What every benchmark takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// sluice's program, built for release.
    #[arg(long, value_name = "PROGRAM", default_value = "target/release/sluice")]
    pub(crate) sluice: PathBuf,
    /// Where a directory is made for the time of the run: on the disk that is to be measured, reachable by the user
    /// postgres.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    scratch: PathBuf,
}

impl Setup {
    /// A directory that is gone with the value. Postgres, under its own account, has to pass through it.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix("sluice-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&self.scratch)
            .with_context(|| format!("could not make a directory in {}", self.scratch.display()))
    }
}
