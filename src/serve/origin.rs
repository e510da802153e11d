//! Where a request comes from. A browser asks by itself whether another site may send what is not simple, but not before
//! it opens a WebSocket or sends a GET: so only pages of this very host may, and what is open to this machine is asked by
//! this machine's names, which a foreign name that was made to lead here is not.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Uri, header};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is refused for where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    /// A page of another site sent it.
    #[error("a page of another origin may not ask here: this one's own pages may, and programs")]
    Origin,
    /// It is sent to a name that is not this machine's, while asking is open to this machine.
    #[error("without readers, only localhost and addresses are answered, and not other names: configure [[readers]]")]
    Host,
}

impl Foreign {
    /// The error's code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Origin => "FOREIGN_ORIGIN",
            Self::Host => "FOREIGN_HOST",
        }
    }
}

/// Refuses requests of foreign pages. `is_open` is whether anybody on this machine may ask.
pub(super) fn check(headers: &HeaderMap, uri: &Uri, is_open: bool) -> Result<(), Foreign> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    if is_open && host.is_some_and(|host| !is_of_machine(host)) {
        return Err(Foreign::Host);
    }
    let site = headers.get(FETCH_SITE).map(axum::http::HeaderValue::as_bytes);
    let is_own = site.is_none_or(|site| matches!(site, b"same-origin" | b"none")) && is_own_origin(headers, host);
    if is_own { Ok(()) } else { Err(Foreign::Origin) }
}

/// Whether the request comes from no page that is told, or from one of the host it is sent to.
fn is_own_origin(headers: &HeaderMap, host: Option<&str>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((scheme, origin_host)), Some(host)) => {
            let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
            let plain = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
            plain(origin_host) == plain(host)
        }
        _ => false,
    }
}

/// Whether a host, with or without a port, is an address or a name of localhost: no foreign name can be that.
fn is_of_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(host: &str, origin: Option<&str>, site: Option<&str>, is_open: bool) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for (name, value) in [(header::ORIGIN, origin), (FETCH_SITE, site)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        check(&headers, &Uri::from_static("/graphql"), is_open)
    }

    #[test]
    fn only_pages_of_this_host() {
        let own = |origin: Option<&str>, host: &str| checked(host, origin, None, false).is_ok();
        assert!(own(None, "sluice.example"));
        assert!(own(Some("https://sluice.example"), "sluice.example"));
        assert!(own(Some("https://Sluice.example"), "sluice.example:443"));
        assert!(own(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        for foreign in ["https://evil.example", "null", "https://sluice.example.evil.example", "http://127.0.0.1:9"] {
            assert!(!own(Some(foreign), "sluice.example"), "{foreign}");
        }
        for (site, allowed) in [("none", true), ("same-origin", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(checked("sluice.example", None, Some(site), false).is_ok(), allowed, "{site}");
        }
    }

    #[test]
    fn what_is_open_is_asked_by_names_of_this_machine() {
        for host in ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.7"]
        {
            assert_eq!(checked(host, None, None, true), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "", "[evil"] {
            assert_eq!(checked(host, None, None, true), Err(Foreign::Host), "{host}");
            assert_eq!(checked(host, None, None, false), Ok(()), "{host}");
        }
    }
}
