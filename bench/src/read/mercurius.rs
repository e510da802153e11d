//! What a good team would write instead: a mercurius server over the same database, a child of the bench.

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
use crate::load::Connection;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server. Killed when this is dropped.
#[derive(Debug)]
pub(super) struct Mercurius {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Mercurius {
    /// Starts it, and waits until it answers.
    pub(super) async fn start(program: &Path, database: &str, scratch: &Path) -> Result<Self> {
        if !program.join("node_modules").is_dir() {
            bail!("{} has no node_modules: run npm ci there, or scripts/bench read", program.display());
        }
        let log = scratch.join("mercurius.log");
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let address = free_address()?;
        let mut command = Command::new("node");
        command.arg("server.js").current_dir(program).env_clear();
        command.env("NODE_ENV", "production").env("DATABASE_URL", database).env("PORT", address.port().to_string());
        for kept in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("could not start node: the bench needs Node.js 20 or newer")?;
        let mut mercurius = Self { child, address, log };
        mercurius.wait_until_ready().await?;
        Ok(mercurius)
    }

    /// Where and what it is, over a PostgreSQL with this main process.
    pub(super) fn server(&self, postmaster: u32) -> Result<Server> {
        let process = self.child.id().context("mercurius ended by itself")?;
        Ok(Server { name: "mercurius", address: self.address, process, postmaster })
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("could not stop mercurius")
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let request = document::post(self.address, "{ __typename }", &serde_json::Value::Null);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("mercurius ended with {status}:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
            }
            if let Ok(mut connection) = Connection::open(self.address).await
                && asking::once(&mut connection, &request).await.is_ok()
            {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("mercurius is not ready:\n{}", fs::read_to_string(&self.log).unwrap_or_default())
    }
}
