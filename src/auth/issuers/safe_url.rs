//! Addresses whose answers nobody on the way can change.

use url::Url;

/// Returns true if nobody on the way can change what an address answers: it has TLS, or is on this machine.
pub fn is_safe(url: &Url) -> bool {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}
