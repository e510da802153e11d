//! The cookies of people who sign in, and the check that a page of the gateway has sent them.
//!
//! A browser sends cookies with requests of any page, so a session counts only if the browser's own headers say that the page is
//! the gateway's.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::auth::PublicUrl;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A cookie of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// The id of a session.
    Session,
    /// The mark of a browser that has begun to sign in.
    Login,
}

/// The kind of a request that may have a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentBy {
    /// Any request but a handshake. Browsers leave out the origin of a page's GET requests to the page's own host.
    Request,
    /// The handshake of a WebSocket, of which browsers always name the origin.
    Handshake,
}

impl Cookie {
    /// Returns the name. With TLS, browsers let nobody but the host itself set it, not even a site beside it.
    const fn name(self, is_https: bool) -> &'static str {
        match (self, is_https) {
            (Self::Session, true) => "__Host-sluice",
            (Self::Session, false) => "sluice",
            (Self::Login, true) => "__Host-sluice-login",
            (Self::Login, false) => "sluice-login",
        }
    }

    /// Returns the cookie's value in a request; None if it has none or several.
    pub(super) fn value<'h>(self, public_url: &PublicUrl, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.name(public_url.is_https());
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the header that sets the cookie for a time; a time of 0 removes it.
    pub(super) fn set(self, public_url: &PublicUrl, value: &str, lasts: Duration) -> Option<HeaderValue> {
        let is_https = public_url.is_https();
        let secure = if is_https { "; Secure" } else { "" };
        let (name, seconds) = (self.name(is_https), lasts.as_secs());
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).ok()
    }
}

/// Returns the id of the session in a request's cookie.
pub(super) fn session<'h>(public_url: Option<&PublicUrl>, headers: &'h HeaderMap) -> Option<&'h str> {
    Cookie::Session.value(public_url?, headers)
}

/// Returns true if a page of the gateway has sent a request, or the person has typed its address.
pub(super) fn is_own_page(public_url: &PublicUrl, headers: &HeaderMap, sent_by: SentBy) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), sent_by) {
        (Some(origin), _) => public_url.is_origin(origin.as_bytes()) && origins.next().is_none(),
        (None, SentBy::Handshake) => false,
        (None, SentBy::Request) => {
            headers.get(FETCH_SITE).is_some_and(|site| [&b"same-origin"[..], b"none"].contains(&site.as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let (https, http) = ("https://sluice.example".parse().unwrap(), "http://localhost:8080".parse().unwrap());
        let value = |url: &PublicUrl, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| (header::COOKIE, *line)).collect();
            session(Some(url), &headers(&lines)).map(str::to_owned)
        };
        assert_eq!(value(&https, &["a=b; __Host-sluice=id; c=d"]).as_deref(), Some("id"));
        assert_eq!(value(&https, &["a=b", "__Host-sluice=id"]).as_deref(), Some("id"));
        assert_eq!(value(&http, &["__Host-sluice=one; sluice=two"]).as_deref(), Some("two"));
        for lines in [&["sluice=id"][..], &["x__Host-sluice=id"], &["__Host-sluice"], &[""], &[]] {
            assert_eq!(value(&https, lines), None, "{lines:?}");
        }
        // A site beside this one may have set another one.
        assert_eq!(value(&http, &["sluice=one; sluice=two"]), None);
        assert_eq!(session(None, &headers(&[(header::COOKIE, "sluice=id")])), None);
    }

    #[test]
    fn cookies_are_for_the_host_alone() {
        let (https, http) = ("https://sluice.example".parse().unwrap(), "http://localhost:8080".parse().unwrap());
        let set = |url: &PublicUrl| Cookie::Session.set(url, "id", Duration::from_hours(1)).unwrap();
        assert_eq!(set(&https), "__Host-sluice=id; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(set(&http), "sluice=id; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_pages_of_the_gateway_count() {
        let url: PublicUrl = "https://sluice.example".parse().unwrap();
        let is_own = |sent_by, lines: &[(HeaderName, &str)]| is_own_page(&url, &headers(lines), sent_by);
        for (lines, by_request, by_handshake) in [
            (&[(header::ORIGIN, "https://sluice.example")][..], true, true),
            (&[(FETCH_SITE, "same-origin")], true, false),
            (&[(FETCH_SITE, "none")], true, false),
            (&[], false, false),
            (&[(FETCH_SITE, "same-site")], false, false),
            (&[(FETCH_SITE, "cross-site")], false, false),
            (&[(header::ORIGIN, "https://portal.sluice.example"), (FETCH_SITE, "same-site")], false, false),
            (&[(header::ORIGIN, "http://sluice.example"), (FETCH_SITE, "same-origin")], false, false),
            (&[(header::ORIGIN, "null"), (FETCH_SITE, "same-origin")], false, false),
            (&[(header::ORIGIN, "https://sluice.example"), (header::ORIGIN, "https://evil.example")], false, false),
        ] {
            assert_eq!(is_own(SentBy::Request, lines), by_request, "{lines:?}");
            assert_eq!(is_own(SentBy::Handshake, lines), by_handshake, "{lines:?}");
        }
    }
}
