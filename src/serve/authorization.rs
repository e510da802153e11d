//! The authentication of viewers by a request's header.

use axum::http::{HeaderMap, StatusCode, header};

use crate::auth::{Authenticator, Denied, RightsEnd, Viewer};

/// Returns the viewer whose token the request's `Authorization` header has.
pub(super) async fn viewer(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Viewer, Denied> {
    authenticator.identify(headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())).await
}

/// Returns the status and the code of the response to a request whose sender is unknown or has no rights.
pub(super) fn status(denied: &Denied) -> (StatusCode, &'static str) {
    match denied {
        Denied::KeysUnread => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        denied if denied.is_without_rights() => (StatusCode::FORBIDDEN, "NO_RIGHTS"),
        _ => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    }
}

/// Returns the code and the message for operations that end with the viewer's rights.
pub(super) const fn of_rights_end(end: RightsEnd) -> (&'static str, &'static str) {
    match end {
        RightsEnd::Expired => {
            ("TOKEN_EXPIRED", "the token has expired: get a new one, and resume from the last position")
        }
        RightsEnd::Revoked => {
            ("REVOKED", "the rights were revoked or changed: connect again, and resume from the last position")
        }
    }
}
