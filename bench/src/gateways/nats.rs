//! A NATS server that the benchmark starts for itself.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::gateway::free_address;

/// Places of the server's program, tried after `NATS_SERVER` in the order of `scripts/nats`.
const PROGRAMS: [&str; 2] = ["nats-server", "/usr/sbin/nats-server"];

/// Time limit of the server's start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running NATS server. Its process is killed when the value is dropped.
#[derive(Debug)]
pub(super) struct NatsServer {
    address: SocketAddr,
    _child: Child,
}

impl NatsServer {
    /// Starts a server with its default settings, hence without JetStream, and waits until it accepts connections.
    pub(super) async fn start() -> Result<Self> {
        let address = free_address()?;
        let given = std::env::var("NATS_SERVER").ok();
        let programs = given.as_deref().into_iter().chain(PROGRAMS);
        let mut spawned = programs.filter_map(|program| {
            let mut command = Command::new(program);
            command.args(["-a", &address.ip().to_string(), "-p", &address.port().to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.process_group(0).kill_on_drop(true).spawn().ok()
        });
        let child =
            spawned.next().context("nats-server is missing: run scripts/nats, which installs it or says how")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, _child: child });
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("nats-server does not start at {address}")
    }

    /// The server's URL, for the gateways' settings.
    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}
