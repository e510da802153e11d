//! pgbench, and what it tells at its end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::postgres::program;

/// A set of scripts for pgbench, run with prepared statements.
#[derive(Debug)]
pub(crate) struct Pgbench {
    program: PathBuf,
    /// Scripts and their variables.
    arguments: Vec<OsString>,
    url: String,
    /// Settings of its sessions.
    settings: &'static str,
}

/// What a run told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    /// How many transactions there were.
    pub(crate) transactions: i64,
    /// Transactions a second, the time to connect left out.
    pub(crate) rate: f64,
    /// Milliseconds that one took on average.
    pub(crate) mean: f64,
}

impl Pgbench {
    /// Prepares to run scripts on a database: `arguments` are their `-f` and `-D`.
    pub(crate) fn new(arguments: Vec<OsString>, url: &str) -> Result<Self> {
        Ok(Self { program: program("pgbench")?, arguments, url: url.to_owned(), settings: "" })
    }

    /// The same with settings for its sessions, as `-c name=value`.
    pub(crate) fn with_settings(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }

    /// Runs so many clients for a while.
    pub(crate) async fn run(&self, clients: usize, duration: Duration) -> Result<Told> {
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", "prepared", "-j", "2"]);
        command.arg("-c").arg(clients.to_string()).arg("-T").arg(duration.as_secs().to_string());
        command
            .args(&self.arguments)
            .arg(&self.url)
            .env("LC_ALL", "C")
            .env("PGOPTIONS", self.settings)
            .kill_on_drop(true);
        let output = command.output().await.with_context(|| self.program.display().to_string())?;
        if !output.status.success() {
            bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        read(&text).with_context(|| format!("pgbench told something unexpected: {text}"))
    }
}

fn read(text: &str) -> Option<Told> {
    let value = |label: &str| {
        text.lines().find_map(|line| line.strip_prefix(label)?.trim_start_matches([' ', '=', ':']).split(' ').next())
    };
    Some(Told {
        transactions: value("number of transactions actually processed")?.parse().ok()?,
        rate: value("tps")?.parse().ok()?,
        mean: value("latency average")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_tells_is_read() {
        let text = "pgbench (15.18 (Debian 15.18-0+deb12u1))\n\
                    transaction type: single_row.sql\n\
                    number of transactions actually processed: 23771\n\
                    number of failed transactions: 0 (0.000%)\n\
                    latency average = 2.691 ms\n\
                    initial connection time = 38.100 ms\n\
                    tps = 5944.500000 (without initial connection time)\n\
                    SQL script 1: first.sql\n\
                     - 12 transactions (100.0% of total, tps = 0.300000)\n";
        assert_eq!(read(text), Some(Told { transactions: 23_771, rate: 5944.5, mean: 2.691 }));
        assert_eq!(read("pgbench: error: connection failed\n"), None);
    }
}
