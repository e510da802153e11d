//! Servers beside the gateway, each a child of the bench.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::gateway::free_address;
use crate::socket::Socket;

/// How long one may take to start.
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

impl Peer {
    /// A raw broadcast of frames of so many bytes, so many a second.
    pub(super) async fn raw(rate: u32, bytes: usize) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["raw", "--port", &address.port().to_string(), "--rate", &rate.to_string()]);
        command.args(["--bytes", &bytes.to_string()]);
        Self::start(command, address, Stdio::null()).await
    }

    /// A server in Node that publishes what the gateway stores; None where its packages are not there.
    pub(super) async fn node(program: &Path, database: &str, scratch: &Path) -> Result<Option<Self>> {
        if !program.join("node_modules").is_dir() {
            crate::report::progress(&format!("{}: its packages are not installed: it is left out", program.display()));
            return Ok(None);
        }
        let address = free_address()?;
        let log = File::create(scratch.join(format!("{}.log", address.port())))?;
        let mut command = Command::new("node");
        command.arg("live.js").current_dir(program).env("NODE_ENV", "production");
        command.env("DATABASE_URL", database).env("PORT", address.port().to_string());
        Self::start(command, address, log.into()).await.map(Some)
    }

    async fn start(mut command: Command, address: SocketAddr, output: Stdio) -> Result<Self> {
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let mut child = command.spawn()?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                bail!("a server ended with {status}");
            }
            if Socket::open(address).await.is_ok() {
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
