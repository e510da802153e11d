//! The tables of `sluice.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Limits;

/// The whole file. An unknown key is a fault, since it is a typing error or belongs to another version.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) orgs: Vec<OrgTable>,
    #[serde(default)]
    pub(super) readers: Vec<ReaderTable>,
    #[serde(default)]
    pub(super) issuers: Vec<IssuerTable>,
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
    pub(super) public_url: Option<String>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
    pub(super) client_header: Option<String>,
    pub(super) open: Option<bool>,
    #[serde(default)]
    pub(super) allowed_origins: Vec<String>,
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
    pub(super) privacy: Option<PrivacyTable>,
    pub(super) api: Option<ApiTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivacyTable {
    #[serde(default)]
    pub(super) drop: Vec<String>,
    #[serde(default)]
    pub(super) hash: Vec<String>,
    pub(super) hash_key: Option<String>,
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
    pub(super) scopes: Option<Vec<String>>,
    pub(super) see: Option<Vec<GrantTable>>,
    #[serde(default)]
    pub(super) documents: DocumentsSetting,
}

/// The documents that a client may send.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum DocumentsSetting {
    #[default]
    Any,
    Trusted,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantTable {
    pub(super) org: String,
    pub(super) applications: Option<Vec<String>>,
    pub(super) instances: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerTable {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) jwks: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) leeway_seconds: Option<u64>,
    pub(super) max_token_seconds: Option<u64>,
    pub(super) sign_in: Option<SignInTable>,
    #[serde(default)]
    pub(super) rules: Vec<RuleTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInTable {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) session_hours: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleTable {
    pub(super) claim: String,
    pub(super) has: String,
    pub(super) scopes: Vec<String>,
    pub(super) see: Option<Vec<RuleGrantTable>>,
    #[serde(default)]
    pub(super) documents: DocumentsSetting,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleGrantTable {
    pub(super) org: String,
    pub(super) applications: Option<ListOrClaim>,
    pub(super) instances: Option<ListOrClaim>,
}

/// Values of a grant: a list, or the claim that has them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ListOrClaim {
    List(Vec<String>),
    Claim(String),
}

/// The default name of the file.
const DEFAULT_NAME: &str = "sluice.toml";

/// Returns the path of the file that [`read`] reads; None if it reads none.
pub(super) fn path(named: Option<&Path>) -> Option<PathBuf> {
    named.or(Some(Path::new(DEFAULT_NAME)).filter(|path| path.exists())).map(Path::to_owned)
}

/// Reads the file. Returns also its directory, to which the paths in it are relative. The default file may be missing.
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
    let file = toml::from_str(&text).map_err(|error| format!("{}, {}", path.display(), describe(&error, &text)))?;
    Ok((file, directory))
}

/// Describes an error with its line and key, but without the value, which may be a secret.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message();
    let expected = message.starts_with("invalid ").then(|| message.split_once(", expected ")).flatten();
    match expected {
        Some((_, expected)) => {
            let key = key_before(before).map(|key| format!("{key}: ")).unwrap_or_default();
            let range = if message.starts_with("invalid value: integer") { "the number is out of range: " } else { "" };
            format!("line {line}: {key}{range}expected {}", in_words(expected))
        }
        None => format!("line {line}: {message}"),
    }
}

/// Returns the key whose value or list begins after a text.
fn key_before(text: &str) -> Option<&str> {
    let key =
        text.trim_end_matches(|letter: char| letter.is_whitespace() || letter == '[').strip_suffix('=')?.trim_end();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let start = key.rfind(|letter: char| !is_part(letter)).map_or(0, |at| at + 1);
    key.get(start..).filter(|key| !key.is_empty())
}

/// Returns the description of a Rust type in plain words.
fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" => "a whole number, 0 or more, without quotes",
        "f64" => "a number, without quotes",
        "a boolean" => "true or false, without quotes",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_before_its_value_and_no_value_is_taken_for_one() {
        for (text, key) in [
            ("[limits]\nsockets = ", Some("sockets")),
            ("limits = {sockets = ", Some("sockets")),
            ("hook_secrets = [\n  ", Some("hook_secrets")),
            ("token = [\"hunter2=\", ", None),
            ("hook_secrets = [\"hunter2\", ", None),
            ("[[orgs]]\n", None),
            ("= ", None),
            ("", None),
        ] {
            assert_eq!(key_before(text), key, "{text}");
        }
    }
}
