//! The authentication of readers by a request's header.

use axum::http::{HeaderMap, header};

use crate::auth::{Denied, Readers, Viewer};

/// Returns the viewer whose token the request's `Authorization` header has.
pub(super) fn viewer(readers: &Readers, headers: &HeaderMap) -> Result<Viewer, Denied> {
    readers.identify(headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()))
}
