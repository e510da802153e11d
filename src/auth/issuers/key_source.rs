//! The place from which an issuer's keys come: a file, or an address.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::key_set::{KeySet, KeySetFault};
use super::metadata::IssuerMetadata;
use crate::failed_request::cause;

/// The longest time for which a whole fetch may take.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum size of a response, in bytes.
pub(in crate::auth) const MAX_BYTES: usize = 256 << 10;

/// The place from which an issuer's keys come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with a key set.
    File(PathBuf),
    /// The address of a key set.
    Url(Url),
    /// The address of an issuer, whose metadata has the address of the key set.
    Issuer {
        /// The address.
        url: Url,
        /// The address as the settings write it, which the metadata must name.
        name: String,
    },
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
    #[error(
        "{url} is the metadata of the issuer {found:?}, but the setting is {expected:?}; it must be the same, to the letter{}",
        if found.trim_end_matches('/') == expected.trim_end_matches('/') { " (it differs by the slash at its end)" } else { "" }
    )]
    OtherIssuer { url: Url, found: Box<str>, expected: Box<str> },
    #[error("{place}: {fault}")]
    NoKeySet { place: String, fault: KeySetFault },
}

impl KeySource {
    /// Returns the key of the setting in `[[issuers]]` that names the place.
    pub(super) const fn setting(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Url(_) => "jwks",
            Self::Issuer { .. } => "url",
        }
    }

    /// Fetches the keys, and the metadata of an issuer that has some.
    pub(super) async fn fetch(&self, http: &Client) -> Result<(KeySet, Option<IssuerMetadata>), FetchError> {
        let (keys_at, metadata) = match self {
            Self::File(path) => {
                let text = tokio::fs::read(path).await;
                let text = text.map_err(|error| FetchError::File { path: path.clone(), error })?;
                return Ok((parse(&text, path.display().to_string())?, None));
            }
            Self::Url(url) => (url.clone(), None),
            Self::Issuer { url, name } => {
                let (keys_at, metadata) = discover(http, url, name).await?;
                (keys_at, Some(metadata))
            }
        };
        let text = get(http, &keys_at).await?;
        Ok((parse(&text, keys_at.to_string())?, metadata))
    }
}

impl KeySource {
    /// Reads the keys of a file, and returns the reason if there are none. Keys elsewhere are not looked at.
    pub fn fault_of_file(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let read = std::fs::read(path).map_err(|error| FetchError::File { path: path.clone(), error });
        read.and_then(|text| parse(&text, path.display().to_string())).err().map(|fault| fault.to_string())
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

/// Returns the metadata of an issuer, which must name it as the settings do, and the address of its key set.
async fn discover(http: &Client, issuer: &Url, name: &str) -> Result<(Url, IssuerMetadata), FetchError> {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    let text = get(http, &url).await?;
    let metadata = IssuerMetadata::parse(&text)
        .map_err(|error| FetchError::NoMetadata { url: url.clone(), reason: error.to_string() })?;
    // Its tokens name it as its metadata does, with or without a slash at the end.
    if metadata.issuer != name {
        return Err(FetchError::OtherIssuer { url, found: metadata.issuer.into(), expected: name.into() });
    }
    match metadata.keys.clone() {
        Some(keys) => Ok((keys, metadata)),
        None => Err(FetchError::NoMetadata { url, reason: "its jwks_uri is not https".to_owned() }),
    }
}

async fn get(http: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let no_answer =
        |error: reqwest::Error| FetchError::NoAnswer { url: url.clone(), reason: reason(&error, FETCH_TIMEOUT) };
    let response = http.get(url.clone()).send().await.map_err(no_answer)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(FetchError::Status { url: url.clone(), status });
    }
    read_body(response).await.map_err(no_answer)?.ok_or_else(|| FetchError::TooLarge { url: url.clone() })
}

/// Reads the body of a response; None if it has more than [`MAX_BYTES`].
pub(in crate::auth) async fn read_body(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

/// Returns in words why there is no response within a time limit.
pub(in crate::auth) fn reason(error: &reqwest::Error, limit: Duration) -> String {
    if error.is_timeout() { format!("no answer within {} s", limit.as_secs()) } else { cause(error) }
}
