//! The options of the command line for an authorization server.

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use super::{AuthorizationServer, ServiceClient};

/// The options of an authorization server, which serves one client by its credentials.
#[derive(Args, Clone, Debug)]
pub struct IssuerOptions {
    /// The address for a custom authorization server; without it there is none
    #[arg(long, value_name = "ADDR")]
    pub issuer: Option<SocketAddr>,
    /// The audience of its access tokens
    #[arg(long, value_name = "TEXT", default_value = "api://sluice")]
    pub issuer_audience: String,
    /// The id of the client that gets access tokens by its credentials
    #[arg(long, value_name = "ID", default_value = "0oaservice")]
    pub issuer_client: String,
    /// The client's secret
    #[arg(
        long,
        value_name = "SECRET",
        env = "OKTA_SIM_ISSUER_SECRET",
        hide_env_values = true,
        default_value = "trial-secret"
    )]
    pub issuer_secret: String,
    /// Further claims of the access tokens, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    pub issuer_claims: Value,
}

impl IssuerOptions {
    /// Starts the authorization server; None without an address.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(&self) -> anyhow::Result<Option<AuthorizationServer>> {
        let Some(address) = self.issuer else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("could not listen on {address} (--issuer)"))?;
        // Another start has another key, which must not have the same id.
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let server = AuthorizationServer::start_with_key(listener, u64::try_from(now).unwrap_or_default())?;
        server.serve_client(ServiceClient {
            id: self.issuer_client.clone(),
            secret: self.issuer_secret.clone(),
            audience: self.issuer_audience.clone(),
            claims: self.issuer_claims.clone(),
        });
        Ok(Some(server))
    }
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("expected a JSON object".to_owned()) }
}
