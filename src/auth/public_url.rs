//! The URL at which browsers reach the gateway.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::origins::{NotAnOrigin, PageOrigin};

/// The longest path to which a browser may return after it has signed in, in bytes.
const MAX_PATH_BYTES: usize = 2_000;

/// The gateway's own origin, as browsers see it. It has no path, since cookies with the prefix `__Host-` belong to a whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(PageOrigin);

impl FromStr for PublicUrl {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        text.strip_suffix('/').unwrap_or(text).parse().map(Self)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl PublicUrl {
    /// Returns true if browsers reach the gateway by TLS. Otherwise they are on its machine.
    pub fn is_https(&self) -> bool {
        self.0.as_str().starts_with("https://")
    }

    /// Returns true if the value of an `Origin` header is the gateway's own origin.
    pub fn is_origin(&self, origin: &[u8]) -> bool {
        self.0.as_str().as_bytes() == origin
    }

    /// Returns the host, with its port unless that is the scheme's default.
    pub fn host(&self) -> &str {
        self.0.as_str().split_once("://").map_or("", |(_, host)| host)
    }

    /// Returns the whole URL of a path of the gateway, which begins with a slash.
    pub fn with_path(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str())
    }

    /// Returns a path of the gateway, with its query and fragment; None for a text that browsers would take for a place
    /// elsewhere, such as `//evil.example` or `/\evil.example`.
    pub fn local_path(&self, text: &str) -> Option<String> {
        let is_plain = text.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\');
        if !is_plain || text.len() > MAX_PATH_BYTES || !text.starts_with('/') || text.starts_with("//") {
            return None;
        }
        let own = Url::parse(&self.with_path("/")).ok()?;
        let url = own.join(text).ok().filter(|url| url.origin() == own.origin())?;
        let path = url[url::Position::BeforePath..].to_owned();
        (!path.starts_with("//")).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_url(text: &str) -> PublicUrl {
        text.parse().unwrap()
    }

    #[test]
    fn only_paths_of_the_gateway_are_local() {
        let url = public_url("https://sluice.example/");
        assert_eq!(url.with_path("/auth/callback"), "https://sluice.example/auth/callback");
        for (text, path) in [
            ("/", "/"),
            ("/graphiql", "/graphiql"),
            ("/graphiql?a=%2F%2Fb#c", "/graphiql?a=%2F%2Fb#c"),
            ("/a/../graphiql", "/graphiql"),
            ("/@evil.example", "/@evil.example"),
        ] {
            assert_eq!(url.local_path(text).as_deref(), Some(path), "{text}");
        }
        for text in [
            "",
            "graphiql",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/ /evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/..//evil.example",
            "/.//evil.example",
            "/a\r\nset-cookie: b",
            "/ü",
        ] {
            assert_eq!(url.local_path(text), None, "{text:?}");
        }
        assert_eq!(url.local_path(&format!("/{}", "a".repeat(MAX_PATH_BYTES))), None);
    }

    #[test]
    fn its_origin_is_compared_exactly() {
        let url = public_url("HTTPS://Sluice.example:443");
        assert!(url.is_https() && url.is_origin(b"https://sluice.example"));
        assert_eq!((url.host(), public_url("http://localhost:8080").host()), ("sluice.example", "localhost:8080"));
        for other in ["http://sluice.example", "https://sluice.example:8443", "https://sluice.example/", "null", ""] {
            assert!(!url.is_origin(other.as_bytes()), "{other}");
        }
        assert!(!public_url("http://localhost:8080").is_https());
        for wrong in ["https://sluice.example/path", "http://sluice.example", "sluice.example", ""] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }
}
