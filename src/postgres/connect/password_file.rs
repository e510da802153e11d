//! Passwords from libpq's password file (`PGPASSFILE`, else `~/.pgpass`). sqlx could read the file, too, but it logs
//! lines that it cannot parse, and such lines may hold passwords.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Returns the password for a server, a database and a user; None without a file that only its owner may read, or
/// without a matching line.
pub(super) fn find(path: Option<&str>, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let path = path
        .map(PathBuf::from)
        .or_else(|| env::var_os("PGPASSFILE").map(PathBuf::from))
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass")))?;
    let about = File::open(&path).ok()?.metadata().ok()?;
    if about.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read this password file, so it is not used: chmod 0600");
        return None;
    }
    // libpq looks for `localhost` when it connects over a Unix socket.
    let host = if host.starts_with('/') { "localhost" } else { host };
    in_file(&fs::read_to_string(&path).ok()?, [host, &port.to_string(), database, user])
}

/// Returns the password of the first line whose other fields are equal to these, or are `*`.
fn in_file(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|mut fields| {
        let matches = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        (fields.len() == 5 && matches).then(|| fields.pop()).flatten()
    })
}

/// Splits a line at its colons. A backslash escapes the character after it.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, fields.last_mut()) {
            (':', _) => fields.push(String::new()),
            ('\\', Some(field)) => field.extend(letters.next()),
            (letter, Some(field)) => field.push(letter),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# a comment\nbroken:line\ndb:5432:*:sluice:one\\:two\\\\\n*:*:log:*:any\ndb:5432:*:sluice:later\n";
        let password = |wanted| in_file(file, wanted);
        assert_eq!(password(["db", "5432", "log", "sluice"]).as_deref(), Some("one:two\\"));
        assert_eq!(password(["db", "5432", "log", "other"]).as_deref(), Some("any"));
        assert_eq!(password(["db", "5433", "else", "sluice"]), None);
    }

    /// A file that its group or others may read or write is not used.
    #[test]
    fn a_file_is_used_that_only_its_owner_may_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "*:*:*:*:one\n").unwrap();
        for (mode, expected) in
            [(0o600, Some("one")), (0o400, Some("one")), (0o640, None), (0o620, None), (0o604, None)]
        {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = find(file.path().to_str(), "db", 5432, "log", "sluice");
            assert_eq!(found.as_deref(), expected, "{mode:o}");
        }
    }
}
