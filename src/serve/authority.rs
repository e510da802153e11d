//! The host that a request names, in its `Host` header or its target.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version, header};

/// The error for a request that names no host, or contradictory ones (RFC 9112, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHost {
    #[error("the request has no Host header")]
    Missing,
    #[error("the request has {0} Host headers; it must have one")]
    Several(usize),
    #[error("the Host header {0:?} is not a host with an optional port")]
    Malformed(String),
    #[error("the request's target names the host {target:?}, but its Host header names {header:?}")]
    Contradictory { target: String, header: String },
}

/// Returns the host that a request names, with its port if it has one; None if an HTTP/1.0 request omits it.
pub(super) fn of<'r>(version: Version, uri: &'r Uri, headers: &'r HeaderMap) -> Result<Option<&'r str>, BadHost> {
    let target = uri.authority().map(Authority::as_str);
    let mut lines = headers.get_all(header::HOST).iter();
    let Some(line) = lines.next() else {
        let must_be_there = version == Version::HTTP_11 || (version > Version::HTTP_11 && target.is_none());
        return if must_be_there { Err(BadHost::Missing) } else { Ok(target) };
    };
    let others = lines.count();
    if others > 0 {
        return Err(BadHost::Several(others + 1));
    }
    let malformed = || BadHost::Malformed(String::from_utf8_lossy(line.as_bytes()).into_owned());
    let host = line.to_str().ok().filter(|host| is_host(host)).ok_or_else(malformed)?;
    match target {
        Some(target) if without_port(uri.scheme_str(), target) != without_port(uri.scheme_str(), host) => {
            Err(BadHost::Contradictory { target: target.to_owned(), header: host.to_owned() })
        }
        _ => Ok(Some(host)),
    }
}

/// Returns true if a text consists of the characters of a host and a port, without user information (`name@host`).
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%[]:".contains(&byte))
}

/// Returns a host in lower case, without its scheme's default port.
pub(super) fn without_port(scheme: Option<&str>, host: &str) -> String {
    let port = if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: Version, target: &str, hosts: &[&str]) -> Result<Option<String>, BadHost> {
        let headers = hosts.iter().map(|host| (header::HOST, host.parse().unwrap())).collect();
        of(version, &target.parse().unwrap(), &headers).map(|host| host.map(str::to_owned))
    }

    #[test]
    fn a_request_names_one_host() {
        let http1 = |target: &str, hosts: &[&str]| asked(Version::HTTP_11, target, hosts);
        for (target, host) in [
            ("/", "sluice.example"),
            ("/", "[::1]:8080"),
            ("http://sluice.example/", "sluice.example"),
            ("http://SLUICE.example:80/", "sluice.EXAMPLE"),
            ("https://sluice.example/", "sluice.example:443"),
        ] {
            assert_eq!(http1(target, &[host]), Ok(Some(host.to_owned())), "{target} {host}");
        }
        assert_eq!(asked(Version::HTTP_10, "/", &[]), Ok(None));
        assert_eq!(asked(Version::HTTP_2, "http://sluice.example/", &[]), Ok(Some("sluice.example".to_owned())));
        assert_eq!(asked(Version::HTTP_2, "/", &[]), Err(BadHost::Missing));
        assert_eq!(http1("/", &[]), Err(BadHost::Missing));
        assert_eq!(http1("http://sluice.example/", &[]), Err(BadHost::Missing));
        assert_eq!(http1("/", &["a", "a"]), Err(BadHost::Several(2)));
        assert_eq!(asked(Version::HTTP_10, "/", &["a", "b", "c"]), Err(BadHost::Several(3)));
        for bad in ["", "a b", "a/b", "name@a", "a\"", "ü"] {
            assert!(matches!(http1("/", &[bad]), Err(BadHost::Malformed(_))), "{bad}");
        }
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let asked = asked(version, "http://sluice.example/", &["localhost"]);
            assert!(matches!(asked, Err(BadHost::Contradictory { .. })), "{asked:?}");
        }
    }
}
