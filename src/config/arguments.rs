//! The command line. Secrets never go there: everybody on the machine can read it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A GraphQL gateway for Okta's identity sync events, with live subscriptions that resume.
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What `serve` takes.
    #[command(flatten)]
    pub serve: Serve,
}

/// What sluice can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Serve(Serve),
    /// Print the graph in GraphQL's schema language.
    Schema,
    /// Bring the database's schema up to date and stop.
    Migrate(Target),
    /// Take in history out of files: the System Log's JSON, hook deliveries, cards of Workflows.
    Import(Import),
    /// What came in and could not be read.
    Rejected(Rejected),
    /// Commands for the log as a whole.
    Log(Log),
}

/// Arguments of `log`.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// The command.
    #[command(subcommand)]
    pub command: LogCommand,
}

/// Commands of `log`.
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// Begin a new era of positions: after a restore that gateways cannot notice, and before the first of them is
    /// started.
    #[command(
        name = "new-era",
        after_help = "Events keep their positions, and those to come get positions of the new era. A subscriber that has \
                      seen more than the log holds now is told POSITION_LOST instead of being given other events under \
                      positions that it knows. Where nothing was lost, nobody notices."
    )]
    NewEra {
        /// The log.
        #[command(flatten)]
        target: Target,
        /// The reason, in words; it is stored in the table `era`.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What `import` takes.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Exit status: 0 all was taken in; 3 all was read, and some was rejected; 1 it could not be read to its \
                        end; 130 it was stopped. It can be started again at any time: nothing is stored twice."
)]
pub struct Import {
    /// The log.
    #[command(flatten)]
    pub target: Target,
    /// The org of which the events are, where there are several.
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// JSON, an event a line or in lists, plain or packed with gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What `rejected` takes.
#[derive(Clone, Debug, Args)]
pub struct Rejected {
    /// What to do with it.
    #[command(subcommand)]
    pub command: RejectedCommand,
}

/// What can be done with what was rejected.
#[derive(Clone, Debug, Subcommand)]
pub enum RejectedCommand {
    /// Tell what there is, the newest first.
    List {
        /// Which.
        #[command(flatten)]
        selection: Selection,
        /// At most how many; 0 is all.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Print the bytes, too, as they came.
        #[arg(long)]
        raw: bool,
    },
    /// Read it again, and take in what can be read now.
    #[command(after_help = "Exit status: 0 all was read; 3 some cannot be read yet, and stays; 1 it failed.")]
    Retry(Selection),
    /// Forget it.
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "org", "all"]))]
    Drop {
        /// Which.
        #[command(flatten)]
        selection: Selection,
        /// Everything there is.
        #[arg(long, conflicts_with_all = ["ids", "org"])]
        all: bool,
    },
}

/// Which of what was rejected.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// The log.
    #[command(flatten)]
    pub target: Target,
    /// Only what came from this org.
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// Only those with these numbers, as `list` tells them.
    #[arg(value_name = "ID")]
    pub ids: Vec<i64>,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// The settings [default: ./sluice.toml where it exists].
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The database; without it, a private PostgreSQL runs in the data directory.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where the private PostgreSQL keeps its data [default: the platform's data directory].
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How to log [default: text on a terminal, else json].
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The log that a command uses: one that exists, unless it is told to create one.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// Arguments of every command.
    #[command(flatten)]
    pub common: Common,
    /// Create the private PostgreSQL, or the tables in the database, where there are none yet. Without this, a wrong
    /// directory or database is an error.
    #[arg(long)]
    pub create: bool,
}

/// What `serve` takes.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// Where to listen: an address or a name, and a port.
    #[arg(
        long,
        env = "SLUICE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    pub listen: SocketAddr,
    /// NATS, by which several gateways tell each other of new events; several URLs with commas between.
    #[arg(long, env = "SLUICE_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// Threads that take in and answer; as many more push to subscribers [default: one less than there are processors,
    /// at least 1, as PostgreSQL has work at the same moments].
    #[arg(long, env = "SLUICE_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Say what is wrong in the settings, and where, and stop.
    #[arg(long)]
    pub check: bool,
}

/// Parses an address to listen on. Of a name with several addresses it takes an IPv4 one, which every machine has.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    const EXPECTED: &str = "expected an address and a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(name, port)| !name.is_empty() && !name.contains([':', '/', '@']) && port.parse::<u16>().is_ok());
    if !has_port {
        return Err(EXPECTED.to_owned());
    }
    let found =
        text.to_socket_addrs().map_err(|error| format!("the name cannot be looked up ({error}); {EXPECTED}"))?;
    let found: Vec<_> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("the name has no address; {EXPECTED}"))
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, an object a line.
    Json,
}
