//! What a POST brings: JSON, and nothing that a page can send without the browser asking first.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::super::body::{BodyFault, BodyLimits, TOO_SLOW};
use super::refusal::Refusal;
use crate::graphql::{BodyError, GraphBody};

/// Reads a request, or a batch of at most so many.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
    most: usize,
) -> Result<GraphBody, Refusal> {
    let unsupported = |message| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message);
    if !is_json(headers) {
        return Err(unsupported("the body's content-type must be application/json, in UTF-8"));
    }
    if !text(headers, &header::CONTENT_ENCODING).is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported("the body must not be packed: there must be no content-encoding"));
    }
    let too_large = |message| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message);
    let body = limits.read(body).await.map_err(|fault| match fault {
        BodyFault::TooLarge => too_large("the body is too large (limits.query_body_bytes)".to_owned()),
        BodyFault::TooSlow => Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", TOO_SLOW),
        BodyFault::BrokenOff(_) => Refusal::bad_request("the body breaks off"),
    })?;
    GraphBody::from_json(&body, most).map_err(|error| match error {
        BodyError::Malformed(message) => Refusal::bad_request(message),
        BodyError::BatchTooLarge(message) => too_large(message),
    })
}

/// A header's text; empty where it is none.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether the body is JSON in UTF-8. Any other type could be sent by a foreign page without the browser asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let mut parts = text(headers, &header::CONTENT_TYPE).unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let charset = parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
    is_json && charset.is_none_or(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_is_read() {
        let is_json = |value: &str| is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]));
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in
            ["", "text/plain", "application/jsonx", "text/plain;application/json", "application/json; charset=utf-16"]
        {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
