//! The command `sluice access explain`.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::database::with_store;
use crate::auth::{AccessWatch, ApiKeys, Denied, RuleExplanation, TokenExplanation, TokenFault, Viewer};
use crate::config::Settings;
use crate::event::{GrantedPart, Rights, Rows};

/// The maximum length of what is read from standard input, in bytes.
const MAX_INPUT_BYTES: u64 = 64 << 10;

/// Explains the token or the claims on standard input: what they may do and see, by which rule of the settings file, and why not.
/// Returns true if a gateway with these settings accepts them.
///
/// # Errors
/// The input cannot be read.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command's output")]
pub async fn explain(settings: &Settings, file: Option<&Path>) -> anyhow::Result<bool> {
    if std::io::stdin().is_terminal() {
        eprintln!("enter a token, or claims as a JSON object, and end with Ctrl+D");
    }
    let mut input = String::new();
    std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut input).context("could not read standard input")?;
    let input = input.trim();
    if input.is_empty() {
        bail!("standard input is empty: send a token, or claims as a JSON object");
    }
    print!("{}", text_of_file(file));
    let is_claims = input.starts_with('{');
    let explained = if is_claims {
        let claims: Map<String, Value> = serde_json::from_str(input).context("the claims are no JSON object")?;
        settings.issuers.explain_claims(&claims)
    } else {
        let token = input.strip_prefix("Bearer ").unwrap_or(input).trim();
        if let Some(viewer) = settings.readers.identify(token) {
            print!("{}", text_of_viewer("reader", &viewer));
            return Ok(true);
        }
        if ApiKeys::is_key(token) {
            let found = identify_key(settings, token).await?;
            print!("{}", found.as_ref().map_or_else(text_of_refused_key, |viewer| text_of_viewer("API key", viewer)));
            return Ok(found.is_ok());
        }
        settings.issuers.explain_token(token).await
    };
    let (text, is_accepted) = match explained {
        Ok(explanation) => (text(&explanation), explanation.fault.is_none() && explanation.rights.is_some()),
        Err(fault) => (text_of_unknown(settings, &fault, is_claims), false),
    };
    print!("{text}");
    Ok(is_accepted)
}

/// Returns the viewer of an API key in the database.
async fn identify_key(settings: &Settings, key: &str) -> anyhow::Result<Result<Viewer, Denied>> {
    // A gateway that anybody may use would accept any text.
    settings.readers.close();
    with_store(&settings.database, false, "reading the API keys in", async |store| {
        let authenticator = settings.authenticator();
        AccessWatch::start(store.access_records(), authenticator.clone()).await?;
        Ok(authenticator.identify(Some(&format!("Bearer {key}"))).await)
    })
    .await
}

fn text_of_refused_key(denied: &Denied) -> String {
    let mut text = String::new();
    line(&mut text, "refused", &denied.to_string());
    text
}

fn text_of_viewer(kind: &str, viewer: &Viewer) -> String {
    let mut text = String::new();
    line(&mut text, kind, viewer.name.as_deref().unwrap_or_default());
    if let Some(expires) = viewer.expires {
        line(&mut text, "verified", &format!("accepted until {expires}"));
    }
    of_rights(&mut text, &viewer.rights);
    text
}

fn text_of_file(file: Option<&Path>) -> String {
    let mut text = String::new();
    let name = file.map(|file| file.display().to_string());
    line(&mut text, "settings", &name.unwrap_or_else(|| "none: there is no sluice.toml here (--config)".to_owned()));
    text
}

fn text_of_unknown(settings: &Settings, fault: &TokenFault, is_claims: bool) -> String {
    let mut text = String::new();
    let reason = match (settings.issuers.is_empty(), is_claims) {
        (true, true) => "there are no issuers".to_owned(),
        (true, false) => "no reader has this token, and there are no issuers".to_owned(),
        (false, true) => fault.to_string(),
        (false, false) => format!("no reader has this token, and as a token of an issuer: {fault}"),
    };
    line(&mut text, "refused", &reason);
    for (name, url) in settings.issuers.names_and_urls() {
        line(&mut text, "issuer", &format!("{name} ({url})"));
    }
    text
}

fn text(explanation: &TokenExplanation) -> String {
    let TokenExplanation { issuer, url, subject, expires, fault, keys_fault, unknown_key, claims, rules, rights } =
        explanation;
    let mut text = String::new();
    line(&mut text, "issuer", &format!("{issuer} ({url})"));
    line(&mut text, "subject", subject);
    line(&mut text, "claims", &claims.join(", "));
    match (fault, expires) {
        (Some(TokenFault::NoKeys(_)), _) => {
            let reason = keys_fault.as_deref().unwrap_or("they were not fetched in time");
            line(
                &mut text,
                "refused",
                &format!("the keys of issuers.{issuer} could not be fetched: {reason}. If it were accepted:"),
            );
        }
        (Some(fault), _) => line(&mut text, "refused", &format!("{fault}. If it were accepted:")),
        (None, Some(expires)) => line(&mut text, "verified", &format!("accepted until {expires}")),
        (None, None) => line(&mut text, "verified", "nothing: these are claims without a token"),
    }
    if let Some(unknown_key) = unknown_key {
        line(&mut text, "  key", unknown_key);
    }
    for (index, RuleExplanation { claim, has, result, notes }) in rules.iter().enumerate() {
        let told = match result {
            Ok(_) => format!("matches: {claim} has {has:?}"),
            Err(mismatch) => format!("does not match, since {claim} must have {has:?}: {mismatch}"),
        };
        line(&mut text, &format!("rules[{index}]"), &told);
        if let Ok(rights) = result {
            of_rights(&mut text, rights);
        }
        for note in notes {
            line(&mut text, "  note", note);
        }
    }
    match rights {
        Some(rights) => {
            line(&mut text, "together", "");
            of_rights(&mut text, rights);
        }
        None => line(&mut text, "refused", &format!("no rule of issuers.{issuer}.rules matches")),
    }
    text
}

fn of_rights(text: &mut String, rights: &Rights) {
    line(text, "  may", &rights.scopes().to_string().replace(',', ", "));
    match rights.rows() {
        Rows::All => line(text, "  sees", "everything"),
        Rows::Granted(grants) if grants.is_empty() => line(text, "  sees", "nothing"),
        Rows::Granted(grants) => {
            for grant in grants.iter() {
                let part = match &grant.part {
                    GrantedPart::Whole => "everything".to_owned(),
                    GrantedPart::Applications(names) => format!("applications {}", names.join(", ")),
                    GrantedPart::Instances(ids) => format!("instances {}", ids.join(", ")),
                };
                line(text, "  sees", &format!("{}: {part}", grant.org));
            }
        }
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "{}", format!("{name:<11}{value}").trim_end());
}
