//! A NATS server of a test's own, which can be killed and started again.

use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::process::free_address;

/// The longest that it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the program is, in the order of `scripts/nats`.
const PROGRAMS: [&str; 2] = ["nats-server", "/usr/sbin/nats-server"];

/// A running server. Ends when it is dropped.
pub(crate) struct NatsServer {
    address: SocketAddr,
    arguments: Vec<&'static str>,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more arguments.
    pub(crate) fn start_with(arguments: &[&'static str]) -> Self {
        let mut server = Self { address: free_address(), arguments: arguments.to_vec(), child: None };
        server.start_again();
        server
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Its URL for who logs in.
    pub(crate) fn url_for(&self, login: &str) -> String {
        format!("nats://{login}@{}", self.address)
    }

    /// Starts it where it ran before.
    pub(crate) fn start_again(&mut self) {
        let given = std::env::var("NATS_SERVER").ok();
        let programs = given.as_deref().into_iter().chain(PROGRAMS);
        let child = programs.into_iter().find_map(|program| {
            let mut command = Command::new(program);
            let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
            command.args(["-a", &host, "-p", &port]).args(&self.arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            command.spawn().ok()
        });
        self.child = Some(child.expect("nats-server is missing: scripts/nats installs it, or says how"));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not start at {}", self.address);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }
}
