//! Protection against foreign web pages. A browser sends a page's simple requests, and opens its WebSockets, without
//! asking the gateway first, so only pages of the gateway's own host are allowed, and on `/graphql` those of the
//! configured origins. Routes that are open to everybody on
//! this machine accept its own names only, which prevents DNS rebinding.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::authority::without_port;
use crate::auth::{AllowedOrigins, PublicUrl};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The maximum length of a header's value in an error, in characters.
const LONGEST_VALUE: usize = 200;

/// The parts of a request that name the requested host and the page that sent it.
pub(super) struct RequestOrigin<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    /// The host with its port.
    pub(super) host: Option<&'r str>,
    /// The requested hosts that trusted proxies report.
    pub(super) forwarded_hosts: &'r [String],
    /// The other origins whose pages may query and subscribe.
    pub(super) allowed_origins: &'r AllowedOrigins,
    /// The URL at which browsers reach the gateway.
    pub(super) public_url: Option<&'r PublicUrl>,
    pub(super) headers: &'r HeaderMap,
}

/// The missing setting because of which a route is open to everybody on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MissingSetting {
    /// `[[readers]]`
    Readers,
    /// The `hook_secrets` of this org.
    HookSecrets(String),
}

/// The reason why a request is refused because of its origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ForeignRequest {
    /// The request comes from a page of another origin.
    #[error(
        "a page of {page} may not send requests to the host {host}: only pages of the same host may, and on /graphql those \
         of access.allowed_origins. If a proxy has set that host, set access.public_url, or configure it to keep the Host header, or to send the original one as X-Forwarded-Host, and list the \
         proxy's address in access.trusted_proxies (docs/proxies.md)"
    )]
    Origin { page: String, host: String },
    /// The request names a host that is not this machine, on a route that is open to this machine only.
    #[error("{host} is not a name of this machine{page}. {}", fix(.missing))]
    Host { host: String, page: String, missing: MissingSetting },
}

fn fix(missing: &MissingSetting) -> String {
    match missing {
        MissingSetting::Readers => {
            "Without readers, only localhost and IP addresses are accepted: configure [[readers]], or use one of these"
                .to_owned()
        }
        MissingSetting::HookSecrets(org) => {
            format!(
                "The org {org} has no hook secret, so only localhost and IP addresses are accepted: configure its \
                 hook_secrets, or use one of these"
            )
        }
    }
}

impl ForeignRequest {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Origin { .. } => "FOREIGN_ORIGIN",
            Self::Host { .. } => "FOREIGN_HOST",
        }
    }
}

impl RequestOrigin<'_> {
    /// Refuses the request of a foreign page. If a setting is missing, so that the route is open to this machine, a request
    /// to a foreign name is refused too.
    pub(super) fn check(&self, missing: Option<MissingSetting>) -> Result<(), ForeignRequest> {
        let mut names = self.host.into_iter().chain(self.forwarded_hosts.iter().map(String::as_str));
        if let Some(missing) = missing
            && let Some(foreign) = names.find(|name| !name.is_empty() && !is_of_machine(name))
        {
            let page = self.value(&header::ORIGIN).map(|origin| format!(" (requested by a page of {origin})"));
            let host = shortened(foreign);
            return Err(ForeignRequest::Host { host, page: page.unwrap_or_default(), missing });
        }
        if self.is_allowed() {
            return Ok(());
        }
        let page = match self.value(&header::ORIGIN) {
            Some(origin) if !self.is_own(&origin) => shortened(&origin),
            _ if self.is_cross_site() => "another site".to_owned(),
            _ => return Ok(()),
        };
        let host = self.host.map_or_else(|| "unknown".to_owned(), shortened);
        Err(ForeignRequest::Origin { page, host })
    }

    fn value(&self, name: &HeaderName) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// Returns true for a request of an allowed origin's page to `/graphql`. No other route is for such pages.
    fn is_allowed(&self) -> bool {
        let allowed = |origin: &HeaderValue| self.allowed_origins.contains(origin.as_bytes());
        self.path == "/graphql" && self.headers.get(header::ORIGIN).is_some_and(allowed)
    }

    /// Returns true if an origin is the gateway's own by the settings, or has one of the requested hosts.
    fn is_own(&self, origin: &str) -> bool {
        if self.public_url.is_some_and(|url| url.is_origin(origin.as_bytes())) {
            return true;
        }
        let Some((scheme, origin_host)) = origin.split_once("://") else { return false };
        let plain = |host: &str| without_port(Some(scheme), host);
        let requested = self.host.into_iter().chain(self.forwarded_hosts.iter().map(String::as_str));
        !origin_host.is_empty() && requested.map(plain).any(|host| host == plain(origin_host))
    }

    /// Returns true if the browser reports that a page of another site sent the request. Links to pages are allowed,
    /// since the other site cannot read the response; on `/graphql`, however, a link would execute a query.
    fn is_cross_site(&self) -> bool {
        let is = |name: HeaderName, values: &[&[u8]]| {
            self.headers.get(name).is_some_and(|value| values.contains(&value.as_bytes()))
        };
        let is_reported = self.headers.contains_key(FETCH_SITE);
        let is_link = matches!(*self.method, Method::GET | Method::HEAD)
            && self.path != "/graphql"
            && is(FETCH_MODE, &[b"navigate"])
            && is(FETCH_DEST, &[b"document"]);
        is_reported && !is(FETCH_SITE, &[b"same-origin", b"none"]) && !is_link
    }
}

/// Shortens a header's value for an error.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Returns true if a host, with or without a port, is an IP address or a name of localhost, which no foreign site can
/// use.
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

    const LINK: [(HeaderName, &str); 3] =
        [(FETCH_SITE, "cross-site"), (FETCH_MODE, "navigate"), (FETCH_DEST, "document")];

    fn checked(
        host: &str,
        forwarded: &[&str],
        lines: &[(HeaderName, &str)],
        is_open: bool,
    ) -> Result<(), ForeignRequest> {
        checked_at(&Method::POST, "/graphql", host, forwarded, lines, is_open)
    }

    fn checked_at(
        method: &Method,
        path: &str,
        host: &str,
        forwarded: &[&str],
        lines: &[(HeaderName, &str)],
        is_open: bool,
    ) -> Result<(), ForeignRequest> {
        let headers = lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let forwarded_hosts: Vec<_> = forwarded.iter().map(|host| (*host).to_owned()).collect();
        let allowed_origins = AllowedOrigins::new(vec!["https://portal.example".parse().unwrap()]);
        let origin = RequestOrigin {
            method,
            path,
            host: Some(host),
            forwarded_hosts: &forwarded_hosts,
            allowed_origins: &allowed_origins,
            public_url: Some(&"https://public.example".parse().unwrap()),
            headers: &headers,
        };
        origin.check(is_open.then_some(MissingSetting::Readers))
    }

    #[test]
    fn only_pages_of_this_host() {
        let own = |origin: &str, host: &str| checked(host, &[], &[(header::ORIGIN, origin)], false).is_ok();
        assert!(checked("sluice.example", &[], &[], false).is_ok());
        assert!(own("https://sluice.example", "sluice.example"));
        assert!(own("https://Sluice.example", "sluice.example:443"));
        assert!(own("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(own("https://public.example", "127.0.0.1:8080") && !own("http://public.example", "127.0.0.1:8080"));
        for foreign in [
            "https://evil.example",
            "null",
            "",
            "https://",
            "https://sluice.example.evil.example",
            "http://127.0.0.1:9",
        ] {
            assert!(!own(foreign, "sluice.example"), "{foreign}");
        }
        for (site, allowed) in [("none", true), ("same-origin", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(checked("sluice.example", &[], &[(FETCH_SITE, site)], false).is_ok(), allowed, "{site}");
        }
    }

    #[test]
    fn pages_of_an_allowed_origin_may_ask_the_graph_and_nothing_else() {
        let headers = [(header::ORIGIN, "https://portal.example"), (FETCH_SITE, "cross-site")];
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            assert_eq!(checked_at(&method, "/graphql", "sluice.example", &[], &headers, false), Ok(()), "{method}");
        }
        for path in ["/", "/graphiql", "/okta/acme/import", "/metrics", "/graphql/"] {
            assert!(checked_at(&Method::POST, path, "sluice.example", &[], &headers, false).is_err(), "{path}");
        }
        // The hosts of an open route stay those of this machine.
        assert!(matches!(checked("sluice.example", &[], &headers, true), Err(ForeignRequest::Host { .. })));
    }

    #[test]
    fn a_trusted_proxy_names_the_requested_host() {
        let origin = [(header::ORIGIN, "https://sluice.example")];
        assert_eq!(checked("127.0.0.1:8080", &["sluice.example"], &origin, false), Ok(()));
        assert!(checked("127.0.0.1:8080", &["other.example"], &origin, false).is_err());
        // Without readers, neither name may be foreign.
        for (host, forwarded) in [("127.0.0.1:8080", "evil.example"), ("evil.example", "127.0.0.1:8080")] {
            let refused = checked(host, &[forwarded], &[], true);
            assert!(matches!(refused, Err(ForeignRequest::Host { .. })), "{refused:?}");
        }
    }

    #[test]
    fn links_lead_to_pages_and_not_to_queries() {
        let linked = |method: &Method, path| checked_at(method, path, "sluice.example", &[], &LINK, false).is_ok();
        assert!(linked(&Method::GET, "/") && linked(&Method::GET, "/graphiql"));
        assert!(!linked(&Method::GET, "/graphql") && !linked(&Method::POST, "/"));
        let framed = [LINK[0].clone(), LINK[1].clone(), (FETCH_DEST, "iframe")];
        assert!(checked_at(&Method::GET, "/", "sluice.example", &[], &framed, false).is_err());
    }

    #[test]
    fn open_routes_accept_names_of_this_machine_only() {
        for host in ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.7"]
        {
            assert_eq!(checked(host, &[], &[], true), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "[evil"] {
            assert!(matches!(checked(host, &[], &[], true), Err(ForeignRequest::Host { .. })), "{host}");
            assert_eq!(checked(host, &[], &[], false), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_refusal_names_both_values_and_the_fix() {
        let text = checked("127.0.0.1:8080", &[], &[(header::ORIGIN, "https://sluice.example")], true).unwrap_err();
        let text = text.to_string();
        for part in ["https://sluice.example", "127.0.0.1:8080", "access.trusted_proxies", "Host header"] {
            assert!(text.contains(part), "{text}");
        }
        let text = checked("evil.example", &[], &[(header::ORIGIN, "http://evil.example")], true).unwrap_err();
        let text = text.to_string();
        for part in ["evil.example is not a name of this machine", "http://evil.example", "[[readers]]"] {
            assert!(text.contains(part), "{text}");
        }
        let long = format!("https://{}.example", "a".repeat(1_000));
        let text = checked("127.0.0.1", &[], &[(header::ORIGIN, &long)], false).unwrap_err().to_string();
        assert!(text.contains('…') && text.len() < 1_000, "{text}");
    }
}
