//! The host under which a browser begins to sign in. Its cookies belong to that host, so it must be the one to which the issuer
//! sends the browser back.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use url::form_urlencoded;

use crate::auth::PublicUrl;
use crate::serve::client::RequestClient;
use crate::serve::{authority, forwarded};

/// The parameter of a browser that was sent to the public URL. A proxy that hides the host from the gateway would otherwise send it
/// there forever.
const MOVED: (&str, &str) = ("moved", "1");

/// Returns the address of `/auth/login` at the public URL, with the parameters that have a value; None if the browser is there
/// already.
pub(super) fn login_address(
    public_url: &PublicUrl,
    parts: &Parts,
    parameters: &[(&str, Option<&str>)],
) -> Option<String> {
    if is_public(public_url, parts) {
        return None;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair(MOVED.0, MOVED.1);
    Some(public_url.with_path(&format!("/auth/login?{}", query.finish())))
}

/// Returns true if a request names the host of the public URL, by itself or by a trusted proxy.
fn is_public(public_url: &PublicUrl, parts: &Parts) -> bool {
    let headers: &HeaderMap = &parts.headers;
    let proxies = RequestClient::trusted_proxies(&parts.extensions);
    let forwarded = proxies.map(|proxies| forwarded::hosts(proxies.header, headers)).unwrap_or_default();
    // Admission has refused requests whose host cannot be read.
    let Ok(Some(host)) = authority::of(parts.version, &parts.uri, headers) else { return true };
    let (scheme, public) = (if public_url.is_https() { "https" } else { "http" }, public_url.host());
    let mut hosts = forwarded.iter().map(String::as_str).chain([host]);
    hosts.any(|host| authority::without_port(Some(scheme), host) == public)
}
