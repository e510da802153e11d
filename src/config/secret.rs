//! Secrets as settings name them: in the environment, in a file, or, said out loud, in the settings themselves.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

/// The shortest secret with which others prove themselves to sluice, in characters.
pub(super) const LEAST_CHARACTERS: usize = 16;

/// The forms in which a setting names a secret.
const FORMS: &str = "write env:NAME, file:PATH or, for a secret that stands in the settings, literal:SECRET";

/// The longest text before a colon that is taken for a misspelt `env`, `file` or `literal`.
const LONGEST_PREFIX: usize = 12;

/// Where secrets are looked up.
pub(super) struct Secrets<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// From where the paths of files are meant.
    pub(super) directory: &'a Path,
}

impl Secrets<'_> {
    /// Returns the secret that a setting names: `env:NAME`, `file:PATH` (a line end after it is not part of it), or
    /// `literal:SECRET`.
    ///
    /// # Errors
    /// The setting names no secret, or the text that it names could not be one. No error shows a part of a secret.
    pub(super) fn find(&self, named: &str) -> Result<SecretString, String> {
        let secret = self.find_text(named)?;
        let text = secret.expose_secret();
        let fault = if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            "holds characters that a header cannot carry: use printable ASCII"
        } else if let Some(scheme) = scheme(text) {
            return Err(format!("{} begins with {scheme}: leave it out", place(named)));
        } else if is_placeholder(text) {
            "is a variable or a placeholder that nobody has filled in"
        } else if ["env:", "file:", "literal:"].iter().any(|form| text.starts_with(form)) {
            "holds the name of a secret in place of the secret"
        } else {
            return Ok(secret);
        };
        Err(format!("{} {fault}", place(named)))
    }

    /// Returns the secret that a setting names and with which others prove themselves to sluice.
    ///
    /// # Errors
    /// The setting names no secret, or one that is easily guessed.
    pub(super) fn find_strong(&self, named: &str) -> Result<SecretString, String> {
        let secret = self.find(named)?;
        if secret.expose_secret().chars().count() < LEAST_CHARACTERS {
            return Err(format!(
                "{} has fewer than {LEAST_CHARACTERS} characters: make a long random one, as `openssl rand -hex 32` does",
                place(named)
            ));
        }
        Ok(secret)
    }

    /// Returns the text that a setting names, which may have any characters, as a key of several lines has.
    ///
    /// # Errors
    /// The setting names no text, or an empty one.
    pub(super) fn find_text(&self, named: &str) -> Result<SecretString, String> {
        if named == "env:" || named == "file:" {
            return Err(format!("{named} names nothing: give it as {named}NAME"));
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

/// Returns how a message calls a secret, without showing the secret.
fn place(named: &str) -> &str {
    match named.split_once(':') {
        Some(("env", name)) if is_variable_name(name) => named,
        Some(("file", _)) => named,
        _ => "the secret",
    }
}

/// Returns the fault of a text that names no secret. The text may be the secret, so the fault shows no part of it.
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
        "is a variable of a shell or a placeholder, which are not filled in here"
    } else if has_other_prefix {
        "begins with none of env:, file: and literal: (in lower case, without blanks)"
    } else {
        "is neither env:NAME, nor file:PATH, nor literal:SECRET"
    };
    format!("the text {found}: {FORMS}")
}

/// Returns the fault of a variable that is not set. A name in lower case may be the secret itself, so it is not shown.
fn missing_variable(name: &str) -> String {
    if is_variable_name(name) {
        format!("the environment variable {name} is not set")
    } else {
        "the environment variable that env: names is not set".to_owned()
    }
}

/// True for names as environment variables usually have: capital letters, digits and `_`.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Returns the scheme with which a whole value of an `Authorization` header begins, in words.
fn scheme(text: &str) -> Option<&'static str> {
    let (scheme, _) = text.split_once(' ')?;
    let known = [
        ("bearer", "`Bearer `, which belongs to the header and not to the secret"),
        ("ssws", "`SSWS `, which belongs to the header and not to the secret"),
    ];
    known.into_iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known)).map(|(_, told)| told)
}

/// True for `$NAME`, `${…}`, `$(…)`, `%NAME%`, `{{…}}` and `<…>`.
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
