//! WebSocket handshakes whose headers a proxy did not forward.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};

use super::super::problem::Problem;

/// Refuses a WebSocket handshake whose upgrade headers a proxy has removed; None for every other request. Otherwise the
/// client would get a response to an HTTP request that it did not send.
pub(super) fn refuse(request: &Request) -> Option<Response> {
    let headers = request.headers();
    if request.method() != Method::GET || !headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return None;
    }
    let missing = missing(request.version(), headers)?;
    metrics::counter!("sluice_requests_refused_total", "code" => "UPGRADE_REQUIRED").increment(1);
    let message = format!(
        "this is a WebSocket's handshake, but {missing}: a proxy in front of the gateway left that out. Let it pass on \
         `Upgrade` and `Connection: upgrade` over HTTP/1.1 (docs/proxies.md)"
    );
    tracing::debug!(message, "refused a handshake");
    let mut response = Problem::new(StatusCode::UPGRADE_REQUIRED, "UPGRADE_REQUIRED", message).into_response();
    if request.version() <= Version::HTTP_11 {
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    Some(response)
}

/// Describes the missing headers of a handshake; None if it is complete.
fn missing(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let names = |name, wanted: &str| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    if version > Version::HTTP_11 {
        Some("it came over HTTP/2")
    } else if !names(header::UPGRADE, "websocket") {
        Some("its header `Upgrade: websocket` is missing")
    } else if version < Version::HTTP_11 {
        Some("it came over HTTP/1.0")
    } else if !names(header::CONNECTION, "upgrade") {
        Some("its header `Connection: upgrade` is missing")
    } else {
        None
    }
}
