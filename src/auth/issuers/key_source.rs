//! The place from which an issuer's keys come: a file, or an address.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use url::Url;

use super::key_set::{KeySet, KeySetFault};

/// The longest time for which a whole fetch may take.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum size of a response, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// The place from which an issuer's keys come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with a key set.
    File(PathBuf),
    /// The address of a key set.
    Url(Url),
    /// The address of an issuer, whose metadata has the address of the key set.
    Issuer(Url),
}

/// The reason why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{} cannot be read: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{url} does not answer: {reason}")]
    NoAnswer { url: Url, reason: String },
    #[error("{url} answers with {status}{}", if status.is_redirection() { "; redirects are not followed" } else { "" })]
    Status { url: Url, status: StatusCode },
    #[error("{url} answers with more than {MAX_BYTES} bytes")]
    TooLarge { url: Url },
    #[error("{url} is not the metadata of an issuer: {reason}")]
    NoMetadata { url: Url, reason: String },
    #[error("{url} is the metadata of the issuer {found:?}; the setting must be the same, to the letter")]
    OtherIssuer { url: Url, found: String },
    #[error("{place}: {fault}")]
    NoKeySet { place: String, fault: KeySetFault },
}

/// The metadata of an issuer, by OpenID Connect Discovery.
#[derive(Deserialize)]
struct IssuerMetadata {
    issuer: String,
    jwks_uri: String,
}

impl KeySource {
    /// Fetches the keys.
    pub(super) async fn fetch(&self, http: &Client) -> Result<KeySet, FetchError> {
        let keys_at = match self {
            Self::File(path) => {
                let text = tokio::fs::read(path).await;
                let text = text.map_err(|error| FetchError::File { path: path.clone(), error })?;
                return parse(&text, path.display().to_string());
            }
            Self::Url(url) => url.clone(),
            Self::Issuer(issuer) => discover(http, issuer).await?,
        };
        let text = get(http, &keys_at).await?;
        parse(&text, keys_at.to_string())
    }
}

/// Returns an HTTP client for keys. It follows no redirects, since these could lead anywhere.
pub(super) fn http_client() -> reqwest::Result<Client> {
    let agent = concat!("sluice/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(agent).timeout(FETCH_TIMEOUT).redirect(Policy::none()).build()
}

fn parse(text: &[u8], place: String) -> Result<KeySet, FetchError> {
    KeySet::parse(text).map_err(|fault| FetchError::NoKeySet { place, fault })
}

/// Returns the address of an issuer's key set, which its metadata has.
async fn discover(http: &Client, issuer: &Url) -> Result<Url, FetchError> {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    let text = get(http, &url).await?;
    let metadata: IssuerMetadata = serde_json::from_slice(&text)
        .map_err(|error| FetchError::NoMetadata { url: url.clone(), reason: error.to_string() })?;
    if metadata.issuer.trim_end_matches('/') != issuer.as_str().trim_end_matches('/') {
        return Err(FetchError::OtherIssuer { url, found: metadata.issuer });
    }
    let keys = Url::parse(&metadata.jwks_uri).ok().filter(is_safe);
    keys.ok_or_else(|| FetchError::NoMetadata { url, reason: "its jwks_uri is not https".to_owned() })
}

/// Returns true if nobody on the way can change what an address answers: it has TLS, or is on this machine.
pub fn is_safe(url: &Url) -> bool {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

async fn get(http: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let no_answer = |error: reqwest::Error| {
        let reason = if error.is_timeout() {
            format!("no answer within {} s", FETCH_TIMEOUT.as_secs())
        } else {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        };
        FetchError::NoAnswer { url: url.clone(), reason }
    };
    let mut response = http.get(url.clone()).send().await.map_err(no_answer)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(FetchError::Status { url: url.clone(), status });
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(no_answer)? {
        if body.len() + piece.len() > MAX_BYTES {
            return Err(FetchError::TooLarge { url: url.clone() });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
