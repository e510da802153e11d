//! The command `sluice keys`.

use std::fmt::Write as _;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::database::{print_note, with_store};
use crate::access::{AccessRecords, ApiKeyRecord, NewApiKey};
use crate::auth::GeneratedKey;
use crate::config::{DatabaseLocation, IntakeSettings};
use crate::event::{Grant, GrantedPart, Rights, Rows, Timestamp};

/// The number of values of a grant that a list shows.
const SHOWN_VALUES: usize = 5;

/// The number of names that an error shows.
const SHOWN_NAMES: usize = 20;

/// Adds an API key, and prints its text to standard output, and all else to standard error: `KEY=$(sluice keys add …)`.
///
/// # Errors
/// The database cannot be opened, or the key cannot be added.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn add_key(settings: &IntakeSettings, name: &str, rights: &Rights, days: u16) -> anyhow::Result<()> {
    let key = GeneratedKey::generate()?;
    let new = NewApiKey { id: key.id.clone(), name: name.to_owned(), hash: key.hash, rights: rights.clone(), days };
    with_store(&settings.database, settings.create, "adding an API key to", async |store| {
        let expires_at = store.access_records().add_api_key(&new).await?;
        println!("{}", key.text.expose_secret());
        print_note(&format!(
            "added the API key {name} (slk_{}…), which expires at {expires_at}. {}\nIt is shown this once. Gateways accept it \
             within 3 seconds, as `authorization: Bearer slk_…`",
            key.id,
            described(rights)
        ));
        Ok(())
    })
    .await
}

/// Prints all API keys: usable ones first, and newer ones before older ones.
///
/// # Errors
/// The database cannot be opened.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn list_keys(database: &DatabaseLocation, create: bool) -> anyhow::Result<()> {
    with_store(database, create, "reading the API keys in", async |store| {
        let keys = store.access_records().api_keys(usize::MAX).await?;
        let now = Timestamp::now();
        for key in &keys {
            println!("{}", line(key, now));
        }
        if keys.is_empty() {
            println!("there are no API keys");
        }
        Ok(())
    })
    .await
}

/// Revokes the API key with a name.
///
/// # Errors
/// The database cannot be opened, or no usable key has this name.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn revoke_key(database: &DatabaseLocation, create: bool, name: &str) -> anyhow::Result<()> {
    with_store(database, create, "revoking an API key in", async |store| {
        let access = store.access_records();
        if let Some(id) = access.revoke_api_key(name).await? {
            println!("revoked the API key {name} (slk_{id}…): every gateway refuses it within 3 seconds");
            return Ok(());
        }
        let known = known_names(&access).await.context("could not read the names of the API keys")?;
        anyhow::bail!("there is no API key {name:?} to revoke; there are: {known}")
    })
    .await
}

/// Returns the names of the keys that are not revoked.
async fn known_names(access: &AccessRecords) -> anyhow::Result<String> {
    let keys = access.api_keys(usize::MAX).await?;
    let mut names: Vec<_> = keys.iter().filter(|key| key.revoked_at.is_none()).map(|key| &*key.name).collect();
    names.sort_unstable();
    let more = if names.len() > SHOWN_NAMES { ", …" } else { "" };
    names.truncate(SHOWN_NAMES);
    Ok(if names.is_empty() { "none".to_owned() } else { names.join(", ") + more })
}

/// Returns the lines of a key in the list.
fn line(key: &ApiKeyRecord, now: Timestamp) -> String {
    let ApiKeyRecord { id, name, rights, created_at, expires_at, revoked_at, last_used_at, .. } = key;
    let rights = rights.as_ref().map_or_else(|| "rights that a newer version has stored".to_owned(), described);
    let ends = if *expires_at <= now { "expired" } else { "expires" };
    let used = last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"));
    let mut line = format!("{name}  slk_{id}…  {rights}\n    created {created_at}, {ends} {expires_at}, {used}");
    if let Some(at) = revoked_at {
        // Writing to a string cannot fail.
        _ = write!(line, ", revoked {at}");
    }
    line
}

/// Returns rights in words.
fn described(rights: &Rights) -> String {
    let rows = match rights.rows() {
        Rows::All => "everything".to_owned(),
        Rows::Granted(grants) => grants.iter().map(described_grant).collect::<Vec<_>>().join(" "),
    };
    format!("Scopes: {}; sees: {rows}.", rights.scopes())
}

fn described_grant(Grant { org, part }: &Grant) -> String {
    let list = |values: &[String]| {
        let shown = values.iter().take(SHOWN_VALUES).map(String::as_str).collect::<Vec<_>>().join(",");
        if values.len() > SHOWN_VALUES { format!("{shown},… ({})", values.len()) } else { shown }
    };
    match part {
        GrantedPart::Whole => org.clone(),
        GrantedPart::Applications(names) => format!("{org}/applications={}", list(names)),
        GrantedPart::Instances(ids) => format!("{org}/instances={}", list(ids)),
    }
}
