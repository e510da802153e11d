//! Where a browser's page comes from: only one from this very host may open a WebSocket, which knows no preflight.

use axum::http::{HeaderMap, Uri, header};

/// Whether the request comes from no page at all, or from one of the host it is sent to.
pub(super) fn is_own(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn own(origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_own(&headers, &Uri::from_static("/graphql"))
    }

    #[test]
    fn only_pages_of_this_host() {
        assert!(own(None, "sluice.example"));
        assert!(own(Some("https://sluice.example"), "sluice.example"));
        assert!(own(Some("https://Sluice.example"), "sluice.example:443"));
        assert!(own(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        for foreign in ["https://evil.example", "null", "https://sluice.example.evil.example", "http://127.0.0.1:9"] {
            assert!(!own(Some(foreign), "sluice.example"), "{foreign}");
        }
    }
}
