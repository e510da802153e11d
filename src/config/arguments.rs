//! The command line. Secrets never go there: everybody on the machine can read it.

use std::net::SocketAddr;
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
    Migrate(Common),
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

/// What `serve` takes.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// Where to listen.
    #[arg(long, env = "SLUICE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// NATS, by which several gateways tell each other of new events; several URLs with commas between.
    #[arg(long, env = "SLUICE_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// Say what is wrong in the settings, and where, and stop.
    #[arg(long)]
    pub check: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, an object a line.
    Json,
}
