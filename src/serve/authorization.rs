//! Who is asking, by the request's header.

use axum::http::{HeaderMap, header};

use crate::auth::{Denied, Readers, Viewer};

/// Finds out who bears the request's `Authorization`.
pub(super) fn viewer(readers: &Readers, headers: &HeaderMap) -> Result<Viewer, Denied> {
    readers.identify(headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()))
}
