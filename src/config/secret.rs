//! Secrets as settings name them: in the environment, in a file, or as they are.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

/// Where secrets are looked up.
pub(super) struct Secrets<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// From where the paths of files are meant.
    pub(super) directory: &'a Path,
}

impl Secrets<'_> {
    /// The secret that a setting names: `env:NAME`, `file:PATH` (a line end after it is not part of it), or itself.
    ///
    /// # Errors
    /// It is not there, is empty, or could not be sent in a header.
    pub(super) fn find(&self, named: &str) -> Result<SecretString, String> {
        let secret = self.find_text(named)?;
        let text = secret.expose_secret();
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            let place = place(named);
            return Err(format!("{place} holds characters that a header cannot carry: use printable ASCII"));
        }
        Ok(secret)
    }

    /// The same where it may have any characters, as a key of several lines has.
    ///
    /// # Errors
    /// It is not there, or is empty.
    pub(super) fn find_text(&self, named: &str) -> Result<SecretString, String> {
        if named == "env:" || named == "file:" {
            return Err(format!("{named} names nothing: give it as {named}NAME"));
        }
        let secret = if let Some(name) = named.strip_prefix("env:") {
            (self.variable)(name).ok_or_else(|| format!("the environment variable {name} is not set"))?
        } else if let Some(path) = named.strip_prefix("file:") {
            let path = self.directory.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            named.to_owned()
        };
        if secret.is_empty() {
            return Err(format!("{} is empty", place(named)));
        }
        Ok(secret.into())
    }
}

/// How a secret is called in a message, which never shows it.
fn place(named: &str) -> &str {
    if named.starts_with("env:") || named.starts_with("file:") { named } else { "the secret" }
}
