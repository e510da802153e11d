//! Search for PostgreSQL's programs in the directories of different operating systems.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PrivateError;

/// A directory with `initdb` and `postgres`.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Returns the programs for a cluster: those of the cluster's version, or the newest ones for a new cluster.
    pub(super) fn find(cluster: &Path) -> Result<Self, PrivateError> {
        let mut found =
            candidates().into_iter().filter(|directory| is_complete(directory)).map(|directory| Self { directory });
        let Ok(written_by) = std::fs::read_to_string(cluster.join("PG_VERSION")) else {
            return found.next().ok_or(PrivateError::NoPrograms);
        };
        let written_by = written_by.trim().to_owned();
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            return Err(PrivateError::NoPrograms);
        }
        found
            .into_iter()
            .find(|programs| programs.major_version().as_deref() == Some(&written_by))
            .ok_or_else(|| PrivateError::OtherVersion { directory: cluster.to_owned(), written_by })
    }

    /// Returns the path of a program.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn major_version(&self) -> Option<String> {
        let output = Command::new(self.path("postgres")).arg("--version").output().ok()?;
        // "postgres (PostgreSQL) 15.18 (Debian …)"
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(2)?;
        version.split(|letter: char| !letter.is_ascii_digit()).next().map(str::to_owned)
    }
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

/// Returns the directories in which the programs may be, the preferred ones first.
fn candidates() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = env::var_os("PG_BIN_DIR").map(PathBuf::from).into_iter().collect();
    if let Some(told) = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success())
    {
        directories.push(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    }
    for (parent, bin) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr/local/opt", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
        // Red Hat and its derivatives: /usr/pgsql-15/bin
        ("/usr", "bin"),
    ] {
        directories.extend(versions_in(Path::new(parent)).into_iter().map(|version| version.join(bin)));
    }
    // A directory in PATH may hold links to the programs: the programs' own directory has their libraries beside it.
    if let Some(path) = env::var_os("PATH") {
        directories.extend(
            env::split_paths(&path)
                .filter_map(|directory| directory.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned)),
        );
    }
    if let Some(home) = env::var_os("HOME") {
        directories.extend(
            versions_in(&Path::new(&home).join(".theseus/postgresql")).into_iter().map(|path| path.join("bin")),
        );
    }
    directories
}

/// Returns the versions of PostgreSQL under a directory, the newest first.
fn versions_in(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix("postgresql@").or(name.strip_prefix("pgsql-")).unwrap_or(&name);
            let major = number.split('.').next()?.parse().ok()?;
            Some((major, entry.path()))
        })
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    versions.into_iter().map(|(_, path)| path).collect()
}
