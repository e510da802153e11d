//! The limit for single events: pgbench inserts a row into the gateway's three tables, one transaction each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sluice::event::ReceivedEvent;
use tokio::process::Command;

use super::results::Measurement;
use crate::postgres::{Reference, program};
use crate::rows::{TEXT_COLUMNS, text_column_names};

/// A script for pgbench, and the row that it inserts.
#[derive(Debug)]
pub(super) struct SingleRow {
    pgbench: PathBuf,
    script: PathBuf,
    /// The row's values, sent with every statement as a real client would.
    variables: Vec<String>,
    url: String,
}

impl SingleRow {
    /// Writes the script that inserts an event into a reference database.
    pub(super) async fn prepare(reference: &mut Reference, event: &ReceivedEvent, directory: &Path) -> Result<Self> {
        reference.execute("CREATE SEQUENCE single_row".to_owned()).await?;
        let script = directory.join("single_row.sql");
        fs::write(&script, statement(event)).with_context(|| script.display().to_string())?;
        let texts = TEXT_COLUMNS
            .into_iter()
            .filter_map(|(name, text)| Some(format!("{name}={}", text(&event.occurrence)?)))
            .chain([format!("published={}", event.occurrence.published), format!("raw={}", event.raw)]);
        Ok(Self { pgbench: program("pgbench")?, script, variables: texts.collect(), url: reference.url().to_owned() })
    }

    /// Inserts rows for a while; gives what that measured, and how many rows it inserted.
    pub(super) async fn insert(&self, clients: usize, duration: Duration) -> Result<(Measurement, i64)> {
        let mut command = Command::new(&self.pgbench);
        command.args(["-n", "-M", "prepared", "-j", "2"]);
        command.arg("-c").arg(clients.to_string()).arg("-T").arg(duration.as_secs().to_string());
        command.arg("-f").arg(&self.script);
        for variable in &self.variables {
            command.arg("-D").arg(variable);
        }
        command.arg(&self.url).env("LC_ALL", "C").kill_on_drop(true);
        let output = command.output().await.with_context(|| self.pgbench.display().to_string())?;
        if !output.status.success() {
            bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let told = String::from_utf8_lossy(&output.stdout);
        read(&told).with_context(|| format!("pgbench told something unexpected: {told}"))
    }
}

/// One statement for all three tables, so that a row is one round trip and one transaction. UUIDs ascend as the
/// deliveries' do.
fn statement(event: &ReceivedEvent) -> String {
    let texts = TEXT_COLUMNS.map(|(name, text)| match text(&event.occurrence) {
        Some(_) => format!(":{name}::text"),
        None => "NULL".to_owned(),
    });
    format!(
        "WITH fresh AS MATERIALIZED (
             SELECT next AS position, lpad(to_hex(next), 32, '0')::uuid AS uuid, :published::timestamptz AS published
             FROM nextval('single_row') AS next
         ), events AS (
             INSERT INTO sync_event (position, published, org, uuid, {names}, received_at, first_source)
             SELECT position, published, 'default', uuid, {texts}, now(), 0 FROM fresh
         ), details AS (
             INSERT INTO sync_event_raw (position, published, raw) SELECT position, published, :raw::text FROM fresh
         )
         INSERT INTO arrival (org, uuid, position, published, event_hook_at, delivery)
         SELECT 'default', uuid, position, published, now(), uuid FROM fresh;\n",
        names = text_column_names(),
        texts = texts.join(", "),
    )
}

/// Reads what pgbench tells at its end.
fn read(told: &str) -> Option<(Measurement, i64)> {
    let value = |label: &str| {
        told.lines().find_map(|line| line.strip_prefix(label)?.trim_start_matches([' ', '=', ':']).split(' ').next())
    };
    let rows = value("number of transactions actually processed")?.parse().ok()?;
    let rate = value("tps")?.parse().ok()?;
    let mean = value("latency average")?.parse().ok()?;
    Some((Measurement { rate, mean, percentiles: None }, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_tells_is_read() {
        let told = "pgbench (15.18 (Debian 15.18-0+deb12u1))\n\
                    transaction type: single_row.sql\n\
                    number of transactions actually processed: 23771\n\
                    number of failed transactions: 0 (0.000%)\n\
                    latency average = 2.691 ms\n\
                    initial connection time = 38.100 ms\n\
                    tps = 5944.500000 (without initial connection time)\n";
        let (measurement, rows) = read(told).unwrap();
        assert_eq!(rows, 23_771);
        assert_eq!((measurement.rate, measurement.mean), (5944.5, 2.691));
        assert!(read("pgbench: error: connection failed\n").is_none());
    }
}
