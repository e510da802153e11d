//! The headers that are stored with a delivery. Only listed headers are, since any other may contain a secret.

use std::collections::BTreeSet;

/// Headers that describe a request and never contain a secret.
const KEPT: [&str; 6] = ["content-type", "content-length", "user-agent", "host", "date", "x-request-id"];

/// The prefix of Okta's own headers.
const OKTA_PREFIX: &str = "x-okta-";

/// Parts of the names of headers that contain secrets.
const SECRET_PARTS: [&str; 7] = ["token", "secret", "key", "auth", "password", "cookie", "session"];

/// Headers that always contain credentials; no setting can make sluice store them.
pub const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// The rule that decides which headers of an org's deliveries are stored.
#[derive(Clone, Debug, Default)]
pub struct KeptHeaders {
    /// Names that the org's settings add, in lower case.
    added: BTreeSet<String>,
    /// The header with the hook's secret, in lower case.
    secret: String,
}

impl KeptHeaders {
    /// Creates a rule that stores the default headers and those in `added`, but never the header with the hook's
    /// secret.
    pub fn new(added: &[String], secret: &str) -> Self {
        let added = added.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { added, secret: secret.to_ascii_lowercase() }
    }

    /// Returns the headers that are stored, as a JSON object with names in lower case. Several values of a header are joined
    /// with `, `.
    pub fn filter<'a>(&self, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
        let mut kept = serde_json::Map::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if !self.keeps(&name) {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            match kept.get_mut(&name) {
                Some(serde_json::Value::String(first)) => {
                    first.push_str(", ");
                    first.push_str(&value);
                }
                _ => _ = kept.insert(name, value.into_owned().into()),
            }
        }
        serde_json::Value::Object(kept).to_string()
    }

    /// Filters headers that an earlier version stored; None if all of them stay.
    pub(super) fn filter_stored(&self, stored: &str) -> Option<String> {
        let Ok(serde_json::Value::Object(mut headers)) = serde_json::from_str(stored) else {
            return Some("{}".to_owned());
        };
        let before = headers.len();
        headers.retain(|name, _| self.keeps(&name.to_ascii_lowercase()));
        (headers.len() < before).then(|| serde_json::Value::Object(headers).to_string())
    }

    fn keeps(&self, name: &str) -> bool {
        if name == self.secret || CREDENTIAL_HEADERS.contains(&name) {
            return false;
        }
        let is_oktas =
            name.strip_prefix(OKTA_PREFIX).is_some_and(|rest| !SECRET_PARTS.iter().any(|part| rest.contains(part)));
        is_oktas || KEPT.contains(&name) || self.added.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_of_the_list_are_kept() {
        let headers = [
            ("Authorization", &b"a"[..]),
            ("X-Hook", b"b"),
            ("User-Agent", b"Okta"),
            ("user-agent", b"hooks"),
            ("X-Okta-Request-Id", b"c"),
            ("X-Okta-Session-Token", b"d"),
            ("X-Vault-Token", b"e"),
            ("X-Trace", b"f"),
        ];
        let kept = |keeper: &KeptHeaders| keeper.filter(headers.into_iter());
        let usual = r#"{"user-agent":"Okta, hooks","x-okta-request-id":"c"}"#;
        assert_eq!(kept(&KeptHeaders::new(&[], "x-hook")), usual);
        let added = ["X-Trace", "x-hook", "authorization"].map(str::to_owned);
        let more = r#"{"user-agent":"Okta, hooks","x-okta-request-id":"c","x-trace":"f"}"#;
        assert_eq!(kept(&KeptHeaders::new(&added, "X-Hook")), more);
        assert_eq!(KeptHeaders::new(&[], "user-agent").filter(headers.into_iter()), r#"{"x-okta-request-id":"c"}"#);
    }

    #[test]
    fn no_header_that_bears_a_secret_is_kept_whatever_the_settings_say() {
        let mut names: Vec<String> = CREDENTIAL_HEADERS.map(str::to_owned).to_vec();
        names.push("x-hook".to_owned());
        let keeper = KeptHeaders::new(&names, "X-Hook");
        let of_okta =
            SECRET_PARTS.iter().flat_map(|part| [format!("{OKTA_PREFIX}{part}"), format!("{OKTA_PREFIX}a-{part}-b")]);
        names.extend(of_okta);
        for secret in ["x-api-key", "x-amz-security-token", "proxy-authenticate", "x-hook-2", "x-csrf", "token"] {
            names.push(secret.to_owned());
        }
        for name in names {
            for name in [name.clone(), name.to_ascii_uppercase()] {
                assert_eq!(keeper.filter([(name.as_str(), &b"s3cr3t"[..])].into_iter()), "{}", "{name}");
                let stored = serde_json::json!({&name: "s3cr3t", "date": "today"}).to_string();
                assert_eq!(keeper.filter_stored(&stored).as_deref(), Some(r#"{"date":"today"}"#), "{name}");
            }
        }
        for kept in KEPT {
            let expected = serde_json::json!({kept: "1"}).to_string();
            assert_eq!(keeper.filter([(kept.to_ascii_uppercase().as_str(), &b"1"[..])].into_iter()), expected);
        }
    }

    #[test]
    fn headers_that_were_stored_are_reduced_once() {
        let keeper = KeptHeaders::new(&[], "x-hook");
        let stored = r#"{"authorization":"[redacted]","user-agent":"Okta","x-vault-token":"s"}"#;
        let reduced = keeper.filter_stored(stored).unwrap();
        assert_eq!(reduced, r#"{"user-agent":"Okta"}"#);
        assert_eq!(keeper.filter_stored(&reduced), None);
        assert_eq!(keeper.filter_stored("no JSON").as_deref(), Some("{}"));
    }
}
