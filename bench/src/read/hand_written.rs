//! Servers that a good team would write instead of sluice, over the same database: one with mercurius, and one with
//! async-graphql and async-graphql-axum. Each is a child process of the bench.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::asking;
use super::document;
use super::server::Server;
use crate::gateway::free_address;
use crate::live::peer;
use crate::load::Connection;

/// Longest time that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server. Killed when this is dropped.
#[derive(Debug)]
pub(super) struct HandWritten {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl HandWritten {
    /// Starts mercurius, and waits until it answers.
    pub(super) async fn mercurius(program: &Path, database: &str, scratch: &Path) -> Result<Self> {
        if !program.join("node_modules").is_dir() {
            bail!("{} has no node_modules: run npm ci there, or scripts/bench read", program.display());
        }
        let mut command = Command::new("node");
        command.arg("server.js").current_dir(program);
        Self::start("mercurius", command, database, scratch).await.context("the bench needs Node.js 20 or newer")
    }

    /// Starts the server by async-graphql, and waits until it answers.
    pub(super) async fn async_graphql(database: &str, scratch: &Path) -> Result<Self> {
        let program = peer::async_graphql()?;
        if !program.is_file() {
            bail!(
                "{} is not there: cargo build --release -p async-graphql-peer, or scripts/bench read",
                program.display()
            );
        }
        Self::start("async-graphql", Command::new(program), database, scratch).await
    }

    async fn start(name: &'static str, mut command: Command, database: &str, scratch: &Path) -> Result<Self> {
        let log = scratch.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let address = free_address()?;
        command.env_clear();
        command.env("NODE_ENV", "production").env("DATABASE_URL", database).env("PORT", address.port().to_string());
        for kept in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        let mut server = Self { name, child, address, log };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Returns the server as the measurement asks it, over a PostgreSQL with this main process.
    pub(super) fn server(&self, postmaster: u32) -> Result<Server> {
        let process = self.child.id().with_context(|| format!("{} ended by itself", self.name))?;
        Ok(Server { name: self.name, address: self.address, process, postmaster })
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("could not stop {}", self.name))
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let request = document::post(self.address, "{ __typename }", &serde_json::Value::Null);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, fs::read_to_string(&self.log).unwrap_or_default());
            }
            if let Ok(mut connection) = Connection::open(self.address).await
                && asking::once(&mut connection, &request).await.is_ok()
            {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{} is not ready:\n{}", self.name, fs::read_to_string(&self.log).unwrap_or_default())
    }
}
