//! Sending requests to Okta, and reading the responses.

use bytes::{Bytes, BytesMut};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::error::OktaError;
use crate::event::Timestamp;

/// The maximum size of a response. A page of 1,000 events has about 2 MB.
const BODY_BYTES: usize = 64 << 20;

pub(super) async fn sent(request: RequestBuilder) -> Result<Response, OktaError> {
    request.send().await.map_err(|error| OktaError::from_transport(&error))
}

/// Reads a body of up to [`BODY_BYTES`].
pub(super) async fn read_body(mut response: Response) -> Result<Bytes, OktaError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| OktaError::from_transport(&error))? {
        if body.len() + piece.len() > BODY_BYTES {
            return Err(OktaError::NotOkta(format!("a response has more than {BODY_BYTES} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Returns the time of a response by Okta's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("Thu, 26 Nov 2026 07:58:39 GMT"));
        assert_eq!(date(&headers).unwrap().to_string(), "2026-11-26T07:58:39.000Z");
    }
}
