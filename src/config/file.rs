//! `sluice.toml` as it is written.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Limits;

/// The whole file. A key that is not known is a fault: it is a typing error, or of another version.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) orgs: Vec<OrgTable>,
    #[serde(default)]
    pub(super) readers: Vec<ReaderTable>,
    #[serde(default)]
    pub(super) graphql: GraphqlTable,
    #[serde(default)]
    pub(super) access: AccessTable,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessTable {
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
    pub(super) client_header: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphqlTable {
    pub(super) introspection: Option<bool>,
    pub(super) trusted_documents: Option<PathBuf>,
    #[serde(default)]
    pub(super) trusted_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrgTable {
    pub(super) name: String,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) hook_secrets: Vec<String>,
    pub(super) hook_header: Option<String>,
    #[serde(default)]
    pub(super) keep_headers: Vec<String>,
    pub(super) event_types: Option<Vec<String>>,
    pub(super) api: Option<ApiTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiTable {
    pub(super) token: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) private_key: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) rate_share: Option<f64>,
    pub(super) poll_seconds: Option<u64>,
    pub(super) catalogue_seconds: Option<u64>,
    pub(super) settle_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReaderTable {
    pub(super) name: String,
    pub(super) token: String,
}

/// What the file is called where nobody says.
const DEFAULT_NAME: &str = "sluice.toml";

/// Reads the file, and tells the directory from which its own paths are meant. Without a name it may be missing.
pub(super) fn read(named: Option<&Path>) -> Result<(File, PathBuf), String> {
    let path = named.unwrap_or(Path::new(DEFAULT_NAME));
    let directory = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok((File::default(), directory));
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let file = toml::from_str(&text).map_err(|error| format!("{}, {}", path.display(), told(&error, &text)))?;
    Ok((file, directory))
}

/// What is wrong, and in which line; never what stands there, which may be a secret.
fn told(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message();
    let expected = message.starts_with("invalid ").then(|| message.split_once(", expected ")).flatten();
    match expected {
        Some((_, expected)) => format!("line {line}: expected {expected}"),
        None => format!("line {line}: {message}"),
    }
}
