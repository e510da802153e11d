//! The body of a POST request: JSON, which a foreign page cannot send without the browser's preflight request.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::super::body::{BodyFault, BodyLimits, TOO_SLOW};
use super::refusal::HttpRefusal;
use crate::graphql::{BodyError, GraphBody};

/// Reads a request, or a batch of at most `most` requests.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
    most: usize,
) -> Result<GraphBody, HttpRefusal> {
    let unsupported = |message| HttpRefusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message);
    if !is_json(headers) {
        return Err(unsupported("the body's content-type must be application/json, in UTF-8"));
    }
    if !text(headers, &header::CONTENT_ENCODING).is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported("the body must not be compressed: remove its content-encoding"));
    }
    let too_large = |message| HttpRefusal::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message);
    let body = limits.read(body).await.map_err(|fault| match fault {
        BodyFault::TooLarge => too_large("the body is too large (limits.query_body_bytes)".to_owned()),
        BodyFault::TooSlow => HttpRefusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", TOO_SLOW),
        BodyFault::BrokenOff(_) => HttpRefusal::bad_request("the body is incomplete"),
    })?;
    GraphBody::from_json(&body, most).map_err(|error| match error {
        BodyError::Malformed(message) => HttpRefusal::bad_request(message),
        BodyError::BatchTooLarge(message) => too_large(message),
    })
}

/// Returns a header's text; an empty text if it is not valid.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Returns true for JSON in UTF-8. A foreign page could send any other type without a preflight request.
pub(in crate::serve) fn is_json(headers: &HeaderMap) -> bool {
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
