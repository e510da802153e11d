//! The authentication of viewers by a request's header.

use axum::http::{HeaderMap, StatusCode, header};

use super::session_cookie::{self, SentBy};
use crate::auth::{Authenticator, Denied, RightsEnd, SessionFault, Viewer};

/// Returns the viewer whose token the request's `Authorization` header has, or whose session the cookie has that a page of the
/// gateway has sent. A header goes before a cookie.
pub(super) async fn viewer(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Viewer, Denied> {
    viewer_of(authenticator, headers, SentBy::Request).await
}

/// Returns the viewer of a WebSocket's handshake, like [`viewer`]. With a cookie, its origin must be the gateway's own.
pub(super) async fn viewer_of_handshake(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Viewer, Denied> {
    viewer_of(authenticator, headers, SentBy::Handshake).await
}

async fn viewer_of(authenticator: &Authenticator, headers: &HeaderMap, sent_by: SentBy) -> Result<Viewer, Denied> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (token, others) = (lines.next(), lines.count());
    if others > 0 {
        return Err(Denied::SeveralHeaders);
    }
    let token = token.map(|value| value.to_str().unwrap_or_default());
    let cookie = authenticator.public_url().zip(session_cookie::session(authenticator.public_url(), headers));
    match (token, cookie) {
        (None, Some((public_url, session))) if !authenticator.is_open() => {
            if !session_cookie::is_own_page(public_url, headers, sent_by) {
                return Err(SessionFault::ForeignPage(public_url.to_string()).into());
            }
            authenticator.identify_session(session).await
        }
        (token, _) => authenticator.identify(token).await,
    }
}

/// Returns the status and the code of the response to a request whose sender is unknown or has no rights.
pub(super) fn status(denied: &Denied) -> (StatusCode, &'static str) {
    match denied {
        denied if denied.is_unavailable() => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Denied::SeveralHeaders => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        denied if denied.is_without_rights() => (StatusCode::FORBIDDEN, "NO_RIGHTS"),
        _ => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    }
}

/// Returns the code and the message for operations that end with the viewer's rights.
pub(super) const fn of_rights_end(end: RightsEnd) -> (&'static str, &'static str) {
    match end {
        RightsEnd::Expired => {
            ("TOKEN_EXPIRED", "the token or session has expired: get a new one, and resume from the last position")
        }
        RightsEnd::Revoked => {
            ("REVOKED", "the rights were revoked or changed: connect again, and resume from the last position")
        }
    }
}
