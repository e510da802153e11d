//! Response headers that tell browsers what a response may do, and who may use it.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The content security policy of a response that loads nothing.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// The header with which a browser remembers for a year to use TLS only.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The headers of all responses. A response that is no page loads nothing, and no other site may show or embed it.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, NOTHING),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (RESOURCE_POLICY, "same-origin"),
    (OPENER_POLICY, "same-origin"),
];

/// Adds the headers to a response. A header that the response has already stays, since a page has a policy of its own.
pub(super) fn add(headers: &mut HeaderMap, is_https: bool) {
    if is_https {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(STRICT_TRANSPORT);
    }
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Returns the content security policy of a page with scripts and styles of its own. It names them by their hashes: a script
/// that somebody's text brought into the page would not run.
pub(super) fn policy_of_inline(page: &str) -> HeaderValue {
    let sources = |element: &str| {
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        let elements = page.split(start.as_str()).skip(1).filter_map(|rest| rest.split_once(end.as_str()));
        let hash = |(text, _): (&str, &str)| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        elements.map(hash).collect::<String>()
    };
    let policy = format!(
        "default-src 'none'; style-src{}; script-src{}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        sources("style"),
        sources("script"),
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(NOTHING))
}
