//! A PgBouncer that a test starts for itself.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::postgres_server::{PostgresServer, account};
use crate::process::free_address;

/// Time limit of the start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Places of the program, tried after `PGBOUNCER` in the order of `scripts/pgbouncer`.
const PROGRAMS: [&str; 2] = ["pgbouncer", "/usr/sbin/pgbouncer"];

/// A running PgBouncer. Its process ends when the value is dropped.
pub(crate) struct PgBouncer {
    address: SocketAddr,
    _child: Child,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of a server. Settings such as `pool_mode = session` stand on a line each.
    pub(crate) fn start(server: &PostgresServer, settings: &str) -> Self {
        let address = free_address();
        let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        let (users, configuration) = (directory.path().join("users"), directory.path().join("pgbouncer.ini"));
        fs::write(&users, "\"sluice\" \"\"\n").unwrap();
        let databases = format!("[databases]\n* = host=127.0.0.1 port={}\n", server.address.port());
        let listens = format!("listen_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n", address.port());
        let auth = format!("auth_type = trust\nauth_file = {}\n", users.display());
        fs::write(&configuration, format!("{databases}[pgbouncer]\n{listens}{auth}{settings}\n")).unwrap();
        let given = std::env::var("PGBOUNCER").ok();
        let child = given.as_deref().into_iter().chain(PROGRAMS).find_map(|program| {
            let mut command = Command::new(program);
            command.arg(&configuration).current_dir("/").kill_on_drop(true);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((user, group)) = account() {
                command.uid(user).gid(group);
            }
            command.spawn().ok()
        });
        let child = child.expect("PgBouncer is missing: scripts/pgbouncer installs it, or says how");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not start at {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, _child: child, _directory: directory }
    }

    /// The URL of the database `sluice` through PgBouncer.
    pub(crate) fn url(&self) -> String {
        format!("postgres://sluice@{}/sluice", self.address)
    }
}
