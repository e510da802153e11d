//! A gateway as a process of its own, with a private Postgres, so that it can be killed.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rand::RngExt as _;
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sluice::postgres::private::PrivatePostgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::gateway::HOOK_SECRET;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The variable in which a gateway finds its reader's token.
const READER_TOKEN: &str = "TEST_READER_TOKEN";

/// A data directory and an address, and the gateway that runs there. Everything is gone when this is dropped.
pub(crate) struct GatewayProcess {
    pub(crate) address: SocketAddr,
    pub(crate) data_dir: PathBuf,
    /// What its commands find in their environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    child: Option<Child>,
    client: Client,
    directory: TempDir,
}

impl GatewayProcess {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with more settings, lines of `sluice.toml` that come before the org `acme`.
    pub(crate) async fn start_with(settings: &str) -> Self {
        let mut process = Self::prepare("data", settings);
        process.start_again().await;
        process
    }

    /// Starts one that answers only who has this token.
    pub(crate) async fn start_for_reader(token: &str) -> Self {
        let reader = format!("[[readers]]\nname = \"reader\"\ntoken = \"env:{READER_TOKEN}\"\n");
        let mut process = Self::prepare("data", &reader);
        process.variables.push((READER_TOKEN, token.to_owned()));
        process.start_again().await;
        process
    }

    /// A place for a gateway, in which none runs yet.
    pub(crate) fn prepare(data_dir: &str, settings: &str) -> Self {
        // Postgres, which does not run as root, must get there.
        let directory =
            tempfile::Builder::new().prefix("sluice-process-").permissions(Permissions::from_mode(0o755)).tempdir();
        let directory = directory.unwrap();
        // Deliveries have a long time limit: a slow machine must not look like an unavailable database.
        let limits = "[limits]\nhook_seconds = 60\n";
        let settings = if settings.contains("[limits]\n") {
            settings.replacen("[limits]\n", limits, 1)
        } else {
            format!("{settings}\n{limits}")
        };
        let org = "[[orgs]]\nname = \"acme\"\nhook_secrets = [\"env:TEST_HOOK_SECRET\"]\n";
        fs::write(directory.path().join("sluice.toml"), format!("{settings}\n{org}")).unwrap();
        Self {
            address: free_address(),
            data_dir: directory.path().join(data_dir),
            variables: Vec::new(),
            child: None,
            client: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
            directory,
        }
    }

    /// A place for a gateway over a database, with NATS at a URL.
    pub(crate) fn prepare_over(database_url: &str, nats_url: &str) -> Self {
        let mut process = Self::prepare("data", "");
        process.variables = vec![("DATABASE_URL", database_url.to_owned()), ("SLUICE_NATS_URL", nats_url.to_owned())];
        process
    }

    /// A command of sluice on the data directory. What it says goes to `output.log` beside it.
    pub(crate) fn command(&self, name: &str) -> Command {
        self.command_of(&[name])
    }

    /// The same, for a command of several words.
    pub(crate) fn command_of(&self, words: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(words).arg("--data-dir").arg(&self.data_dir).arg("--config").arg(self.beside("sluice.toml"));
        let inherited = std::env::vars().map(|(name, _)| name);
        for name in inherited.filter(|name| name == "DATABASE_URL" || name.starts_with("SLUICE_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("TEST_HOOK_SECRET", HOOK_SECRET).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// The command `serve`, at the address.
    pub(crate) fn serve(&self) -> Command {
        let mut command = self.command("serve");
        command.arg("--listen").arg(self.address.to_string());
        command
    }

    /// Starts it where it ran before, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        self.spawn();
        self.wait_until(async |process| process.status("/readyz").await == Some(StatusCode::OK)).await;
    }

    /// Starts the gateway where it ran before, and does not wait until it is ready.
    pub(crate) fn spawn(&mut self) {
        self.child = Some(self.serve().spawn().unwrap());
    }

    /// Waits until something holds; the gateway must not end meanwhile.
    pub(crate) async fn wait_until(&mut self, holds: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the gateway ended: {}", self.output());
            assert!(Instant::now() < deadline, "it takes too long: {}", self.output());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The status with which it answers; none where it does not answer.
    pub(crate) async fn status(&self, path: &str) -> Option<StatusCode> {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await;
        answer.ok().map(|answer| answer.status())
    }

    /// The value of a metric without labels; none where it does not answer or has not counted yet.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        let mut question = self.client.get(format!("http://{}/metrics", self.address));
        if let Some((_, token)) = self.variables.iter().find(|(name, _)| *name == READER_TOKEN) {
            question = question.bearer_auth(token);
        }
        let answer = question.send().await.ok()?;
        let text = answer.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The memory of its own that the gateway has in use, in bytes. Its PostgreSQL is another process.
    pub(crate) fn memory(&self) -> u64 {
        let process = self.child.as_ref().and_then(Child::id).unwrap();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Sends the gateway a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.child.as_ref().and_then(Child::id).unwrap();
        kill_process(pid(process), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        tokio::time::timeout(PATIENCE, child.wait()).await.expect("the gateway ends in time").unwrap()
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// The main process of its Postgres, where one runs.
    pub(crate) fn postgres(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.postgres_dir().join("postmaster.pid")).ok()?;
        let process = pid(text.lines().next()?.trim().parse().ok()?);
        // A copied pid file names the PostgreSQL of the original directory.
        let works_in = fs::metadata(format!("/proc/{}/cwd", process.as_raw_nonzero()));
        let is_own = works_in.is_ok_and(|found| fs::metadata(self.postgres_dir()).unwrap().ino() == found.ino());
        (is_own && test_kill_process(process).is_ok()).then_some(process)
    }

    /// The directory of its Postgres's data.
    pub(crate) fn postgres_dir(&self) -> PathBuf {
        self.data_dir.join("postgres/data")
    }

    /// Its database.
    pub(crate) fn database_url(&self) -> String {
        PrivatePostgres::url_of_running(&self.data_dir)
    }

    /// For looking into its database.
    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(2).connect_lazy(&self.database_url()).unwrap()
    }

    /// What its commands have said.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.beside("output.log")
    }

    /// A path beside the data directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Failing that, it has ended.
            _ = child.start_kill();
        }
        // Postgres follows; only then can its directory be removed.
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.postgres().is_some() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.try_into().unwrap()).unwrap()
}

/// An address that is free, and of which the system will not take the port for somebody's outgoing connection while no
/// gateway listens there.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let port = rand::rng().random_range(10_000..32_000);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
