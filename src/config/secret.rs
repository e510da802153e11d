//! The secrets that settings name: environment variables, files, or literals in the settings.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

/// The minimum length of a secret with which others authenticate to sluice, in characters.
pub(super) const LEAST_CHARACTERS: usize = 16;

/// The ways to name a secret.
const FORMS: &str = "write env:NAME, file:PATH or, for a secret in the settings themselves, literal:SECRET";

/// The maximum length of a text before a colon that counts as a misspelt `env`, `file` or `literal`.
const LONGEST_PREFIX: usize = 12;

/// The sources of secrets.
pub(super) struct Secrets<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The directory to which paths of files are relative.
    pub(super) directory: &'a Path,
}

impl Secrets<'_> {
    /// Returns the secret that a setting names: `env:NAME`, `file:PATH` (without the line break at its end), or
    /// `literal:SECRET`.
    ///
    /// # Errors
    /// The setting does not name a secret, or the text cannot be one. No error shows a part of a secret.
    pub(super) fn find(&self, named: &str) -> Result<SecretString, String> {
        let secret = self.find_text(named)?;
        let text = secret.expose_secret();
        let fault = if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            "contains characters that a header cannot carry: use printable ASCII"
        } else if let Some(scheme) = scheme(text) {
            return Err(format!("{} begins with {scheme}: leave it out", place(named)));
        } else if is_placeholder(text) {
            "is a variable or placeholder that was not replaced"
        } else if ["env:", "file:", "literal:"].iter().any(|form| text.starts_with(form)) {
            "contains the name of a secret instead of the secret"
        } else {
            return Ok(secret);
        };
        Err(format!("{} {fault}", place(named)))
    }

    /// Returns a secret with which others authenticate to sluice.
    ///
    /// # Errors
    /// The setting does not name a secret, or the secret is easy to guess.
    pub(super) fn find_strong(&self, named: &str) -> Result<SecretString, String> {
        let secret = self.find(named)?;
        if secret.expose_secret().chars().count() < LEAST_CHARACTERS {
            return Err(format!(
                "{} has fewer than {LEAST_CHARACTERS} characters: create a long random one, for example with `openssl rand -hex 32`",
                place(named)
            ));
        }
        Ok(secret)
    }

    /// Returns the text that a setting names, which may contain any characters, like the lines of a key.
    ///
    /// # Errors
    /// The setting does not name a text, or the text is empty.
    pub(super) fn find_text(&self, named: &str) -> Result<SecretString, String> {
        if named == "env:" || named == "file:" {
            return Err(format!("{named} names nothing: write {named}NAME"));
        }
        let secret = if let Some(name) = named.strip_prefix("env:") {
            (self.variable)(name).ok_or_else(|| missing_variable(name))?
        } else if let Some(path) = named.strip_prefix("file:") {
            let path = self.directory.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else if let Some(secret) = named.strip_prefix("literal:") {
            secret.to_owned()
        } else {
            return Err(unnamed(named));
        };
        if secret.is_empty() {
            return Err(format!("{} is empty", place(named)));
        }
        Ok(secret.into())
    }
}

/// Returns the name of a secret for messages, which does not show the secret.
fn place(named: &str) -> &str {
    match named.split_once(':') {
        Some(("env", name)) if is_variable_name(name) => named,
        Some(("file", _)) => named,
        _ => "the secret",
    }
}

/// Returns the fault of a text that does not name a secret. The text may be the secret, so the fault shows no part of
/// it.
fn unnamed(text: &str) -> String {
    let has_other_prefix = text.split_once(':').is_some_and(|(prefix, _)| {
        prefix.len() <= LONGEST_PREFIX && prefix.chars().all(|letter| letter.is_ascii_alphabetic() || letter == ' ')
    });
    if let Some(scheme) = scheme(text) {
        return format!("the text begins with {scheme}: {FORMS}");
    }
    let found = if text.is_empty() {
        "is empty"
    } else if is_placeholder(text) {
        "is a shell variable or a placeholder, which are not replaced here"
    } else if has_other_prefix {
        "does not begin with env:, file: or literal: (in lower case, without spaces)"
    } else {
        "is neither env:NAME, nor file:PATH, nor literal:SECRET"
    };
    format!("the text {found}: {FORMS}")
}

/// Returns the fault of a variable that is not set. A name in lower case may be the secret itself and is not shown.
fn missing_variable(name: &str) -> String {
    if is_variable_name(name) {
        format!("the environment variable {name} is not set")
    } else {
        "the environment variable that env: names is not set".to_owned()
    }
}

/// Returns true for a usual name of an environment variable: capital letters, digits and `_`.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Describes the scheme with which the whole value of an `Authorization` header begins.
fn scheme(text: &str) -> Option<&'static str> {
    let (scheme, _) = text.split_once(' ')?;
    let known = [
        ("bearer", "`Bearer `, which belongs to the header and not to the secret"),
        ("ssws", "`SSWS `, which belongs to the header and not to the secret"),
    ];
    known.into_iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known)).map(|(_, description)| description)
}

/// Returns true for `$NAME`, `${…}`, `$(…)`, `%NAME%`, `{{…}}` and `<…>`.
fn is_placeholder(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let between = |start: &str, end: &str| text.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    text.strip_prefix('$').is_some_and(is_name)
        || [("${", "}"), ("$(", ")"), ("{{", "}}"), ("<", ">")].iter().any(|(start, end)| between(start, end).is_some())
        || between("%", "%").is_some_and(is_name)
}
