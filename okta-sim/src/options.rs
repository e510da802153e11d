//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use okta_sim::{ApiToken, IssuerOptions, RateLimit, Scope, ServiceApp};
use reqwest::Url;

/// A simulated Okta organisation: its event hook, its System Log and Apps APIs, an authorization server, and their faults
#[derive(Parser)]
#[command(name = "okta-sim", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Options {
    /// The URL of the event hook's endpoint; without it nothing is delivered
    #[arg(long, value_name = "URL")]
    pub(crate) hook: Option<Url>,
    /// Deliver only once this URL responds with success, such as a gateway's /readyz; by default as soon as the hook is
    /// verified, as Okta does
    #[arg(long, value_name = "URL")]
    pub(crate) ready: Option<Url>,
    /// The secret that the hook expects, as its header's whole value
    #[arg(long, value_name = "SECRET", env = "OKTA_SIM_HOOK_SECRET", hide_env_values = true)]
    pub(crate) hook_secret: Option<String>,
    /// The header that carries the secret
    #[arg(long, value_name = "NAME", default_value = "authorization")]
    pub(crate) hook_header: String,
    /// Stream new events to this URL in envelopes of Amazon EventBridge, with the hook's header and secret
    #[arg(long, value_name = "URL")]
    pub(crate) log_stream: Option<Url>,
    /// The address for the APIs; without it they are not served
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// An API token that is valid for both APIs
    #[arg(long, value_name = "TOKEN", env = "OKTA_SIM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The id of a service app that gets access tokens by OAuth 2
    #[arg(long, value_name = "ID", requires = "client_key")]
    pub(crate) client_id: Option<String>,
    /// The service app's public key, in PEM format
    #[arg(long, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
    /// Bind the service app's access tokens to a key (DPoP)
    #[arg(long)]
    pub(crate) dpop: bool,
    /// Do not allow any client to read applications
    #[arg(long)]
    pub(crate) no_apps: bool,
    /// Events per second
    #[arg(long, value_name = "EVENTS_PER_S", default_value = "5", value_parser = positive)]
    pub(crate) rate: f64,
    /// The number of applications
    #[arg(long, value_name = "N", default_value = "12")]
    pub(crate) apps: u32,
    /// The number of application instances
    #[arg(long, value_name = "N", default_value = "40")]
    pub(crate) instances: u32,
    /// The seed; the same seed generates the same organisation
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
    /// The number of events before the start, which the System Log has
    #[arg(long, value_name = "N", default_value = "500")]
    pub(crate) history: usize,
    /// The hours before the start in which they happened
    #[arg(long, value_name = "HOURS", default_value = "6")]
    pub(crate) history_hours: u16,
    /// Deliver history to the hook too; the default if the APIs are not served
    #[arg(long)]
    pub(crate) history_by_hook: bool,
    /// Stop after this number of events, not counting history
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<usize>,
    /// The share of deliveries that are lost, which the System Log then reports
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) lose: f64,
    /// The share of events that the System Log receives late
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) late: f64,
    /// The delay of late events in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1200")]
    pub(crate) late_by: i64,
    /// The number of requests of a kind that are allowed in a window
    #[arg(long, value_name = "N", default_value = "60")]
    pub(crate) rate_limit: u32,
    /// The length of the rate limit's window in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate_window: u64,
    /// The lifetime of links to the next page; by default they do not expire
    #[arg(long, value_name = "SECONDS")]
    pub(crate) link_lifetime: Option<u64>,
    /// Send both links in one header
    #[arg(long)]
    pub(crate) joined_links: bool,
    /// The share of API requests that get 500
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) errors: f64,
    /// The seconds by which the org's clock is ahead; negative if it is behind
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_hyphen_values = true)]
    pub(crate) clock_ahead: i64,
    #[command(flatten)]
    pub(crate) issuer: IssuerOptions,
}

impl Options {
    /// Returns the time between the beginning of history and the start.
    pub(crate) fn history_span(&self) -> time::Duration {
        time::Duration::hours(i64::from(self.history_hours))
    }

    pub(crate) fn tokens(&self) -> Vec<ApiToken> {
        self.token.iter().map(|token| ApiToken { token: token.clone(), scopes: self.scopes() }).collect()
    }

    /// Returns the service app, if one is configured.
    ///
    /// # Errors
    /// Its key cannot be read.
    pub(crate) fn service_apps(&self) -> anyhow::Result<Vec<ServiceApp>> {
        let (Some(client_id), Some(path)) = (&self.client_id, &self.client_key) else { return Ok(Vec::new()) };
        let public_key = std::fs::read_to_string(path)
            .with_context(|| format!("could not read {} (--client-key)", path.display()))?;
        Ok(vec![ServiceApp { client_id: client_id.clone(), public_key, scopes: self.scopes(), dpop: self.dpop }])
    }

    pub(crate) fn rate_limit(&self) -> RateLimit {
        RateLimit { requests: self.rate_limit, window: Duration::from_secs(self.rate_window) }
    }

    fn scopes(&self) -> Vec<Scope> {
        if self.no_apps { vec![Scope::ReadLogs] } else { vec![Scope::ReadLogs, Scope::ReadApps] }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected a number above 0, at most 1,000,000".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".to_owned()),
    }
}
