//! Servers beside the gateway, each a child of the bench.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::gateway::free_address;

/// Longest time that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server. Killed when this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    child: Child,
    address: SocketAddr,
}

/// Keeps this thread, and what it starts from now on, to one processor; to all where there are fewer.
pub(super) fn run_on(processor: usize) -> Result<()> {
    if std::thread::available_parallelism().is_ok_and(|number| number.get() > processor) || processor > 0 {
        let mut set = CpuSet::new();
        set.set(processor);
        sched_setaffinity(None, &set).context("could not choose a processor")?;
    }
    Ok(())
}

/// Bytes of memory that a process has in use.
pub(crate) fn memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Returns the path of the program of the server by async-graphql, which is built beside the bench.
pub(crate) fn async_graphql() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("async-graphql-peer"))
}

impl Peer {
    /// Starts a raw broadcast of `rate` frames a second, over WebSockets or as streams of events.
    pub(super) async fn raw(rate: u32, bytes: usize, streams: bool) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["raw", "--port", &address.port().to_string(), "--rate", &rate.to_string()]);
        command.args(["--bytes", &bytes.to_string()]);
        if streams {
            command.arg("--streams");
        }
        Self::start(command, address, Stdio::null()).await
    }

    /// Starts the server by async-graphql and async-graphql-axum, which publishes what the gateway stores. None where it was
    /// not built.
    pub(super) async fn rust(database: &str, scratch: &Path) -> Result<Option<Self>> {
        let program = async_graphql()?;
        if !program.is_file() {
            crate::report::progress(&format!("{}: it was not built: it is left out", program.display()));
            return Ok(None);
        }
        Self::published(Command::new(program), database, scratch).await.map(Some)
    }

    /// A server in Node that publishes what the gateway stores; None where its packages are not there.
    pub(super) async fn node(program: &Path, database: &str, scratch: &Path) -> Result<Option<Self>> {
        if !program.join("node_modules").is_dir() {
            crate::report::progress(&format!("{}: its packages are not installed: it is left out", program.display()));
            return Ok(None);
        }
        let mut command = Command::new("node");
        command.arg("live.js").current_dir(program).env("NODE_ENV", "production");
        Self::published(command, database, scratch).await.map(Some)
    }

    async fn published(mut command: Command, database: &str, scratch: &Path) -> Result<Self> {
        let address = free_address()?;
        let log = File::create(scratch.join(format!("{}.log", address.port())))?;
        command.env("DATABASE_URL", database).env("PORT", address.port().to_string());
        Self::start(command, address, log.into()).await
    }

    async fn start(mut command: Command, address: SocketAddr, output: Stdio) -> Result<Self> {
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let mut child = command.spawn()?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                bail!("a server ended with {status}");
            }
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Self { child, address });
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("a server is not ready after {PATIENCE:?}")
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn process(&self) -> Result<u32> {
        self.child.id().context("a server ended by itself")
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("could not stop a server")
    }
}
