//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use okta_sim::{ApiToken, RateLimit, Scope, ServiceApp};
use reqwest::Url;

/// A stand-in Okta organisation: its event hook, its System Log and Apps APIs, and what goes wrong with them
#[derive(Parser)]
#[command(name = "okta-sim", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Options {
    /// Where to deliver; without it nothing is delivered
    #[arg(long, value_name = "URL")]
    pub(crate) hook: Option<Url>,
    /// Deliver only once this address answers with success, such as a gateway's /readyz; without it as soon as the hook
    /// is verified, as Okta does
    #[arg(long, value_name = "URL")]
    pub(crate) ready: Option<Url>,
    /// The secret that the hook expects, as its header's whole value
    #[arg(long, value_name = "SECRET", env = "OKTA_SIM_HOOK_SECRET", hide_env_values = true)]
    pub(crate) hook_secret: Option<String>,
    /// The header that carries the secret
    #[arg(long, value_name = "NAME", default_value = "authorization")]
    pub(crate) hook_header: String,
    /// Stream what happens to this address in envelopes of Amazon EventBridge, with the hook's header and secret
    #[arg(long, value_name = "URL")]
    pub(crate) log_stream: Option<Url>,
    /// Where to serve the APIs; without it they are not served
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// An API token that is good for both APIs
    #[arg(long, value_name = "TOKEN", env = "OKTA_SIM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The id of a service app that gets access tokens by OAuth 2
    #[arg(long, value_name = "ID", requires = "client_key")]
    pub(crate) client_id: Option<String>,
    /// Its public key, in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
    /// Bind its access tokens to a key (DPoP)
    #[arg(long)]
    pub(crate) dpop: bool,
    /// Do not let anybody read applications
    #[arg(long)]
    pub(crate) no_apps: bool,
    /// How many events happen a second
    #[arg(long, value_name = "EVENTS_PER_S", default_value = "5", value_parser = positive)]
    pub(crate) rate: f64,
    /// How many applications the organisation uses
    #[arg(long, value_name = "N", default_value = "12")]
    pub(crate) apps: u32,
    /// How many instances of them it has
    #[arg(long, value_name = "N", default_value = "40")]
    pub(crate) instances: u32,
    /// Makes the same organisation again
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
    /// How many events happened before it starts; the System Log has them
    #[arg(long, value_name = "N", default_value = "500")]
    pub(crate) history: usize,
    /// In how many hours before that
    #[arg(long, value_name = "HOURS", default_value = "6")]
    pub(crate) history_hours: u16,
    /// Tell the hook of history, too, as is done where the APIs are not served
    #[arg(long)]
    pub(crate) history_by_hook: bool,
    /// Stop after so many events beyond history
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<usize>,
    /// The share of deliveries that are lost, of which the System Log then tells
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) lose: f64,
    /// The share of events that the System Log has late
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) late: f64,
    /// By how many seconds
    #[arg(long, value_name = "SECONDS", default_value = "1200")]
    pub(crate) late_by: i64,
    /// How many requests of a kind are answered in a window
    #[arg(long, value_name = "N", default_value = "60")]
    pub(crate) rate_limit: u32,
    /// How long that window is
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate_window: u64,
    /// How long links to a next page are good; for ever without it
    #[arg(long, value_name = "SECONDS")]
    pub(crate) link_lifetime: Option<u64>,
    /// Send both links in one header
    #[arg(long)]
    pub(crate) joined_links: bool,
    /// The share of API requests that are answered with 500
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) errors: f64,
    /// How far its clock is ahead; negative is behind
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_hyphen_values = true)]
    pub(crate) clock_ahead: i64,
}

impl Options {
    /// How long before the start history begins.
    pub(crate) fn history_span(&self) -> time::Duration {
        time::Duration::hours(i64::from(self.history_hours))
    }

    pub(crate) fn tokens(&self) -> Vec<ApiToken> {
        self.token.iter().map(|token| ApiToken { token: token.clone(), scopes: self.scopes() }).collect()
    }

    /// The service app, where there is one.
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
