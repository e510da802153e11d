//! The origins of other sites whose pages may query and subscribe.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

/// The origin of a web page: scheme, host and port, as browsers write it in the `Origin` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOrigin(String);

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrigin {
    /// The text is not a scheme, a host and perhaps a port.
    #[error(
        "expected the origin of a page: a scheme, a host and perhaps a port, such as \"https://portal.example.com\""
    )]
    Malformed,
    /// The text has a wildcard.
    #[error("there are no wildcards: list each origin, such as \"https://portal.example.com\"")]
    Wildcard,
    /// The origin is of plain HTTP, and anybody on the way could change its pages.
    #[error("pages of plain http may be changed on their way: expected https, or http on localhost")]
    Insecure,
}

impl FromStr for PageOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text.contains('*') {
            return Err(NotAnOrigin::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| NotAnOrigin::Malformed)?;
        let has_rest = !matches!(url.path(), "/" | "")
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if has_rest || text.ends_with('/') || !matches!(url.scheme(), "http" | "https") {
            return Err(NotAnOrigin::Malformed);
        }
        let is_local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(NotAnOrigin::Malformed),
        };
        if url.scheme() == "http" && !is_local {
            return Err(NotAnOrigin::Insecure);
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PageOrigin {
    /// Returns the origin as browsers write it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The allowed origins of pages. Without any, only pages of the gateway's own host may send requests.
#[derive(Clone, Debug, Default)]
pub struct AllowedOrigins(Arc<[PageOrigin]>);

impl AllowedOrigins {
    /// Creates the set of these origins.
    pub fn new(origins: Vec<PageOrigin>) -> Self {
        Self(origins.into())
    }

    /// Returns true if no foreign origin is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the value of an `Origin` header is allowed. Browsers write origins in one way only, so the comparison
    /// is exact.
    pub fn contains(&self, origin: &[u8]) -> bool {
        self.0.iter().any(|allowed| allowed.0.as_bytes() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        for (text, origin) in [
            ("https://portal.example.com", "https://portal.example.com"),
            ("HTTPS://Portal.Example.com:443", "https://portal.example.com"),
            ("https://portal.example.com:8443", "https://portal.example.com:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://app.localhost:80", "http://app.localhost"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(text.parse::<PageOrigin>().unwrap().to_string(), origin);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "null",
            "portal.example.com",
            "https://",
            "https://portal.example.com/",
            "https://portal.example.com/app",
            "https://portal.example.com?a",
            "https://portal.example.com#a",
            "https://me@portal.example.com",
            "ftp://portal.example.com",
            "file:///tmp",
        ] {
            assert_eq!(text.parse::<PageOrigin>(), Err(NotAnOrigin::Malformed), "{text}");
        }
        for text in ["*", "https://*", "https://*.example.com", "http://localhost:*"] {
            assert_eq!(text.parse::<PageOrigin>(), Err(NotAnOrigin::Wildcard), "{text}");
        }
        for text in ["http://portal.example.com", "http://10.0.0.1:80", "http://localhost.example"] {
            assert_eq!(text.parse::<PageOrigin>(), Err(NotAnOrigin::Insecure), "{text}");
        }
    }

    #[test]
    fn only_the_same_origin_is_allowed() {
        let allowed = AllowedOrigins::new(vec!["https://portal.example.com".parse().unwrap()]);
        assert!(allowed.contains(b"https://portal.example.com"));
        for other in
            ["http://portal.example.com", "https://portal.example.com:8443", "https://portal.example.co", "null", ""]
        {
            assert!(!allowed.contains(other.as_bytes()), "{other}");
        }
    }
}
