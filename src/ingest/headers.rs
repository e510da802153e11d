//! The headers of a delivery, fit to be kept.

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Headers that bear secrets wherever they come from.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-amz-security-token"];

/// The headers as a JSON object with names in lower case; several values of one name are joined with `, `. The
/// header that bears the hook's secret and others that bear secrets have their values taken out.
pub fn redacted_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, secret_header: &str) -> String {
    let mut kept = serde_json::Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let is_secret = name == secret_header || SECRET_HEADERS.contains(&name.as_str());
        let value = if is_secret { REDACTED.into() } else { String::from_utf8_lossy(value) };
        match kept.get_mut(&name) {
            Some(serde_json::Value::String(first)) if !is_secret => {
                first.push_str(", ");
                first.push_str(&value);
            }
            _ => _ = kept.insert(name, value.into_owned().into()),
        }
    }
    serde_json::Value::Object(kept).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out() {
        let headers =
            [("Authorization", &b"a"[..]), ("X-Hook", b"b"), ("Accept", b"c"), ("accept", b"d"), ("cookie", b"e")];
        let kept = redacted_headers(headers.into_iter(), "x-hook");
        assert_eq!(
            kept,
            r#"{"accept":"c, d","authorization":"[redacted]","cookie":"[redacted]","x-hook":"[redacted]"}"#
        );
    }
}
