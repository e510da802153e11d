//! The gateway under measurement: a child process of the release build, over its private PostgreSQL or a given
//! database.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::load::Connection;

/// What every delivery has to carry.
pub(crate) const HOOK_SECRET: &str = "the-hook-secret-of-the-bench";

/// How long the gateway may take to start (`initdb` included) or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running gateway. Killed when this is dropped; better is [`Gateway::stop`].
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    launch: Launch,
}

/// The program of a gateway and all that it is started with.
#[derive(Debug)]
struct Launch {
    program: PathBuf,
    directory: PathBuf,
    variables: Vec<(String, String)>,
}

impl Gateway {
    /// Starts the program `sluice` with its data in a directory, and waits until it is ready.
    pub(crate) async fn start(sluice: &Path, directory: &Path) -> Result<Self> {
        Self::start_with(sluice, directory, &[]).await
    }

    /// Starts the gateway with additional environment variables, such as `DATABASE_URL`, and waits until it is ready.
    pub(crate) async fn start_with(sluice: &Path, directory: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let launch = Launch { program: sluice.to_owned(), directory: directory.to_owned(), variables };
        let (address, log) = (free_address()?, directory.join("gateway.log"));
        let mut gateway = Self { child: launch.spawn(address, &log)?, address, log, launch };
        gateway.wait_until_ready().await?;
        Ok(gateway)
    }

    /// Stops the gateway, starts it again at the same address, and waits until it is ready.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.end().await?;
        self.child = self.launch.spawn(self.address, &self.log)?;
        self.wait_until_ready().await
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> Result<u32> {
        self.child.id().context("the gateway ended by itself")
    }

    /// Its metrics, in Prometheus's text form.
    async fn metrics(&self) -> Result<String> {
        let mut connection = Connection::open(self.address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        let status = connection.exchange(request.as_bytes()).await?;
        ensure!(status == 200, "the gateway answers {status} to who asks for its metrics");
        Ok(String::from_utf8_lossy(connection.body()).into_owned())
    }

    /// Stops it as a service manager does, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { bail!("the gateway ended by itself:\n{}", self.last_words()) };
        kill_process(pid, Signal::TERM).context("could not stop the gateway")?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the gateway does not stop")??;
        if !status.success() {
            bail!("the gateway stopped with {status}:\n{}", self.last_words());
        }
        Ok(())
    }

    /// Returns the value of a metric, summed over its labels; None where the gateway does not export it.
    pub(crate) async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let metrics = self.metrics().await?;
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if rest.starts_with([' ', '{']) { rest.rsplit_once(' ')?.1.parse::<f64>().ok() } else { None }
        });
        let values: Vec<f64> = values.collect();
        Ok((!values.is_empty()).then(|| values.iter().sum()))
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended with {status}:\n{}", self.last_words());
            }
            if self.is_ready().await {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the gateway is not ready after {PATIENCE:?}:\n{}", self.last_words())
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.address).await else { return false };
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        connection.exchange(request.as_bytes()).await.is_ok_and(|status| status == 200)
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Launch {
    fn spawn(&self, address: SocketAddr, log: &Path) -> Result<Child> {
        let output = File::create(log).with_context(|| log.display().to_string())?;
        let data_dir = self.directory.join("gateway");
        let mut command = program(&self.program, &self.directory)?;
        command.arg("serve").arg("--data-dir").arg(data_dir).args(["--listen", &address.to_string()]);
        command.env("SLUICE_HOOK_SECRET", HOOK_SECRET).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        command.spawn().context("could not start the gateway")
    }
}

/// Returns the command that runs the program `sluice` in a directory. Of the caller's environment the command keeps
/// only `PATH`, `HOME` and `PG_BIN_DIR`, since other settings, or a `sluice.toml` nearby, would change what is
/// measured.
pub(crate) fn program(sluice: &Path, directory: &Path) -> Result<Command> {
    let path = sluice.canonicalize();
    let path = path.with_context(|| format!("{}: build it first (cargo build --release)", sluice.display()))?;
    let mut command = Command::new(path);
    command.env_clear().current_dir(directory);
    for kept in ["PATH", "HOME", "PG_BIN_DIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    // The program has a process group of its own: Ctrl-C reaches only the benchmark, which then stops it in order.
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

/// Returns the option with which `sluice import` creates a log. Builds from before the option create one without it.
pub(crate) async fn create_option(sluice: &Path, directory: &Path) -> Result<Option<&'static str>> {
    let help = program(sluice, directory)?.args(["import", "--help"]).output().await?;
    Ok(String::from_utf8_lossy(&help.stdout).contains("--create").then_some("--create"))
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}
