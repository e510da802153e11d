//! A place in which sluice is started with settings, and what it says of them.

use std::fs;
use std::process::{Command, Stdio};

use clap::Parser as _;
use sluice::config::{Arguments, Settings};
use tempfile::TempDir;

/// The part of every secret that must not be told.
pub(crate) const SECRET: &str = "hunter2";

/// A secret that is long enough, and others.
pub(crate) const STRONG: &str = "hunter2 hunter2 hunter2";
pub(crate) const OTHER: &str = "other hunter2 hunter2";
pub(crate) const THIRD: &str = "third hunter2 hunter2";

const WRONG: &str = "sluice: the settings are wrong:";
const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://sluice:hunter2@127.0.0.1:1/sluice");

/// A directory in which sluice is started, with no more in its environment than what is given.
pub(crate) struct Place(pub(crate) TempDir);

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Place {
    /// One with this `sluice.toml`.
    pub(crate) fn new(settings: impl AsRef<[u8]>) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("sluice.toml", settings);
        place
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    /// Runs a command to its end; it must not tell the secret.
    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).env_clear();
        let output = command.envs([DATABASE]).envs(variables.iter().copied()).output().unwrap();
        let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(!said.contains(SECRET) && !errors.contains(SECRET), "{said}{errors}");
        Said { code: output.status.code(), output: said, errors }
    }

    pub(crate) fn check(&self, variables: &[(&str, &str)]) -> Said {
        self.run(&["serve", "--check"], variables)
    }

    /// The settings, read in this process.
    pub(crate) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Settings {
        let file = self.0.path().join("sluice.toml");
        let arguments = Arguments::parse_from(["sluice", "--config", file.to_str().unwrap()]);
        Settings::read(&arguments.serve, variable).unwrap()
    }
}

impl Said {
    /// The faults that were told, a line each.
    #[track_caller]
    pub(crate) fn faults(&self) -> Vec<&str> {
        assert_eq!((self.code, self.output.as_str()), (Some(1), ""), "{self:?}");
        let mut lines = self.errors.lines();
        assert_eq!(lines.next(), Some(WRONG), "{self:?}");
        lines.map(str::trim_start).collect()
    }

    /// The one fault that was told: where, and how to mend it.
    #[track_caller]
    pub(crate) fn assert_fault(&self, place: &str, mend: &str) {
        let faults = self.faults();
        assert!(matches!(faults[..], [fault] if fault.starts_with(place) && fault.contains(mend)), "{self:?}");
    }

    /// The settings are right, with these warnings.
    #[track_caller]
    pub(crate) fn assert_right(&self, warnings: &[&str]) {
        let (told, right) = self.output.trim_end().rsplit_once('\n').unwrap_or(("", self.output.trim_end()));
        assert_eq!((self.code, self.errors.as_str()), (Some(0), ""), "{self:?}");
        assert!(right.starts_with("the settings are right: "), "{self:?}");
        let told = told.lines().filter(|line| !line.starts_with("note: "));
        let told: Vec<_> = told.map(|line| line.strip_prefix("warning: ").unwrap()).collect();
        assert!(told.len() == warnings.len(), "{self:?}");
        assert!(told.iter().zip(warnings).all(|(told, warning)| told.contains(warning)), "{self:?}");
    }
}
