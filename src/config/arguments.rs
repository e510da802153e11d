//! The command line. Secrets are never arguments, since every user of the machine can read those.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A GraphQL gateway for Okta's identity sync events, with live subscriptions that resume.
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The command; `serve` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Arguments of `serve`.
    #[command(flatten)]
    pub serve: Serve,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Serve(Serve),
    /// Print the GraphQL schema.
    Schema,
    /// Update the database's tables, and exit; `serve` does so too.
    Migrate(TargetLog),
    /// Import events from files: the System Log's JSON, event hook deliveries, output of Workflows cards.
    Import(Import),
    /// List, retry or delete rejected records, which could not be read.
    Rejected(Rejected),
    /// Commands about the rights of those who read.
    Access(AccessArguments),
    /// Add, list or revoke the API keys of machines.
    Keys(KeysArguments),
    /// Commands for the log as a whole.
    Log(LogArguments),
}

/// Arguments of `access`.
#[derive(Clone, Debug, Args)]
pub struct AccessArguments {
    /// The command.
    #[command(subcommand)]
    pub command: AccessCommand,
}

/// Commands of `access`.
#[derive(Clone, Debug, Subcommand)]
pub enum AccessCommand {
    /// Explain the token on standard input: whether it is accepted, which rules match it, and what it may do and see.
    #[command(
        after_help = "The token of a reader or of an issuer, or an API key; or claims as a JSON object, of which nothing is verified. A token \
                      is a secret: send it by a pipe or from a file, not as an argument.\n\nExit status: 0 a gateway with \
                      these settings accepts it; 3 it is refused; 1 an error."
    )]
    Explain(Common),
}

/// Arguments of `log`.
#[derive(Clone, Debug, Args)]
pub struct LogArguments {
    /// The command.
    #[command(subcommand)]
    pub command: LogCommand,
}

/// Commands of `log`.
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// Begin a new era of positions, after a restore that gateways cannot detect and before you start the first of them.
    #[command(
        name = "new-era",
        after_help = "Stored events keep their positions, and later events get positions of the new era. A subscriber that \
                      has seen events that the restore removed gets the error POSITION_LOST, instead of other events under \
                      positions that it knows. If nothing was lost, subscribers notice nothing."
    )]
    NewEra {
        /// The log.
        #[command(flatten)]
        target: TargetLog,
        /// The reason, in words, which the table `era` keeps.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Arguments of `import`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The settings (--config) name the orgs; without them, there is only the org `default`. The first line of the \
                  output names the org and the database. An import cannot be undone.\n\nExit status: 0 everything was read; 3 \
                  everything was read, and some of it rejected; 1 a file could not be read to its end; 130 it was stopped. You \
                  can start it again at any time: nothing is stored twice."
)]
pub struct Import {
    /// The log.
    #[command(flatten)]
    pub target: TargetLog,
    /// The org of the events; required if the settings have several.
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// Files of JSON, in lines or lists, plain or compressed with gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `rejected`.
#[derive(Clone, Debug, Args)]
pub struct Rejected {
    /// The command.
    #[command(subcommand)]
    pub command: RejectedCommand,
}

/// Commands of `rejected`.
#[derive(Clone, Debug, Subcommand)]
pub enum RejectedCommand {
    /// List rejected records, the newest first.
    List {
        /// The rejections to list.
        #[command(flatten)]
        selection: Selection,
        /// The maximum number of records to list; 0 lists all.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Print all bytes of each record.
        #[arg(long)]
        raw: bool,
    },
    /// Read rejected records again, for example after an upgrade, and store those that can be read now.
    #[command(
        after_help = "Exit status: 0 everything could be read; 3 some records still cannot be read, and stay; 1 an error."
    )]
    Retry(Selection),
    /// Delete rejected records.
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "org", "all"]))]
    Drop {
        /// The rejections to delete.
        #[command(flatten)]
        selection: Selection,
        /// Delete all rejected records.
        #[arg(long, conflicts_with_all = ["ids", "org"])]
        all: bool,
    },
}

/// A selection of rejected records.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// The log.
    #[command(flatten)]
    pub target: TargetLog,
    /// Only records of this org.
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// Only records with these ids, which `list` shows.
    #[arg(value_name = "ID")]
    pub ids: Vec<i64>,
}

/// Arguments of `keys`.
#[derive(Clone, Debug, Args)]
pub struct KeysArguments {
    /// The command.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// Commands of `keys`.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Add an API key, and print it, once, to standard output.
    #[command(
        after_help = "Gateways accept the key within 3 seconds. Once there is a key, everybody needs a token or a key, also at \
                      gateways without [[readers]]."
    )]
    Add(AddKey),
    /// List the API keys with their rights and times, usable ones first.
    List(TargetLog),
    /// Revoke an API key: every gateway refuses it within 3 seconds, and ends what runs with it.
    Revoke {
        /// The log.
        #[command(flatten)]
        target: TargetLog,
        /// The name of the key.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Arguments of `keys add`.
#[derive(Clone, Debug, Args)]
pub struct AddKey {
    /// The log.
    #[command(flatten)]
    pub target: TargetLog,
    /// The name of the key, in lists, metrics and log lines.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// The scopes, such as events:read,people:read [default: all but ingest and admin].
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    pub scopes: Vec<String>,
    /// Events that the key sees: ORG, ORG/applications=KEY,… or ORG/instances=ID,…; may be given several times [default:
    /// everything].
    #[arg(long, value_name = "GRANT")]
    pub see: Vec<String>,
    /// The days after which the key expires.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
}

/// Arguments of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// The settings file [default: ./sluice.toml, if it exists].
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The database, postgres://USER@HOST/NAME; without it, sluice runs a private PostgreSQL. If the URL has a password, use
    /// the variable.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The directory of the private PostgreSQL [default: /var/lib/sluice for root, else the user's data directory].
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The format of log lines [default: text on a terminal, else json].
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The log that a command uses. The log must exist unless the command may create it.
#[derive(Clone, Debug, Default, Args)]
pub struct TargetLog {
    /// Arguments of every command.
    #[command(flatten)]
    pub common: Common,
    /// Create the private PostgreSQL, or the tables in the database, if there are none yet. Without this, a directory or
    /// database without a log is an error.
    #[arg(long)]
    pub create: bool,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Arguments of every command.
    #[command(flatten)]
    pub common: Common,
    /// The address or host name, and the port, on which to listen.
    #[arg(
        long,
        env = "SLUICE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    pub listen: SocketAddr,
    /// The NATS servers by which several gateways share new events, nats://HOST:4222; separate URLs with commas.
    #[arg(long, env = "SLUICE_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// Worker threads for requests; a second pool of the same size serves subscriptions [default: the number of processors
    /// less one, at least 1].
    #[arg(long, env = "SLUICE_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Check the settings, print every fault with its place, and exit.
    #[arg(long)]
    pub check: bool,
}

impl Serve {
    /// Returns the arguments of a gateway that is not started, for commands that read the settings as it would.
    pub fn unstarted(common: Common) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { common, listen, nats_url: None, threads: None, check: true }
    }
}

/// Parses an address to listen on. If a name has several addresses, an IPv4 address is preferred, since every machine
/// has IPv4.
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

/// The formats of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// JSON for programs: one object per line.
    Json,
}
