//! The claims of a token, and the places in them that rules look at.

use serde_json::{Map, Value};

/// The claims of a verified token.
pub(in crate::auth) type TokenClaims = Map<String, Value>;

/// The place of a claim: its name, or a JSON pointer that begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Creates a place; None if the text is empty.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the claim's text or texts; none, if it is missing or is anything else than a text or a list of texts. The
    /// claim `scope` has its scopes in one text, separated by blanks (RFC 8693), and some issuers write `scp` in this way.
    pub(super) fn texts<'c>(&self, claims: &'c TokenClaims) -> Vec<&'c str> {
        match self.value(claims) {
            Some(Value::String(text)) if matches!(self.0.as_str(), "scope" | "scp") => {
                text.split_ascii_whitespace().collect()
            }
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(values)) => {
                let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
                texts.unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the claim's value; None if the claim is missing.
    pub(super) fn value<'c>(&self, claims: &'c TokenClaims) -> Option<&'c Value> {
        let Some(pointer) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let mut parts = pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
        let mut value = claims.get(&parts.next()?)?;
        for part in parts {
            value = match value {
                Value::Object(fields) => fields.get(&part)?,
                Value::Array(values) => values.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

impl std::fmt::Display for ClaimPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_texts_and_lists_of_texts_count() {
        let claims = json!({
            "groups": ["a", "b"], "scope": "x y", "scp": "x y", "number": 1, "mixed": ["a", 1], "empty": [], "null": null,
            "https://acme.example/teams": "t", "role": "x y", "deep": {"a/b": [{"c": "d"}]},
        });
        let Value::Object(claims) = claims else { panic!() };
        for (path, expected) in [
            ("groups", &["a", "b"][..]),
            ("scope", &["x", "y"]),
            ("scp", &["x", "y"]),
            ("role", &["x y"]),
            ("number", &[]),
            ("mixed", &[]),
            ("empty", &[]),
            ("null", &[]),
            ("missing", &[]),
            ("https://acme.example/teams", &["t"]),
            ("/deep/a~1b/0/c", &["d"]),
            ("/deep/a~1b/1/c", &[]),
            ("/deep/a~1b/x", &[]),
            ("/deep", &[]),
            ("/", &[]),
        ] {
            assert_eq!(ClaimPath::new(path).unwrap().texts(&claims), expected, "{path}");
        }
        assert_eq!(ClaimPath::new(""), None);
    }
}
