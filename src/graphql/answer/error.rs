//! Errors as clients see them: a code and a sentence; the cause goes to the log.

use async_graphql::{Error, ErrorExtensions as _};

use crate::log::ResumeError;
use crate::store::StoreError;

/// The code of requests that are refused because other requests of the same credential keep the database busy.
pub(in crate::graphql) const BUSY: &str = "BUSY";

/// An error with a code that clients can act on.
pub(in crate::graphql) fn coded(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// An error for a request with a wrong value.
pub(in crate::graphql) fn bad_input(message: impl Into<String>) -> Error {
    coded("BAD_USER_INPUT", message)
}

/// The error for a failed read. The database's own message goes to the log alone.
pub(in crate::graphql) fn from_store(error: &StoreError) -> Error {
    if let StoreError::UnknownEra(position) = error {
        let message = format!(
            "position {position} is of an era that this log does not have: of another copy of it, or lost when the database \
             was restored"
        );
        return coded("POSITION_LOST", message);
    }
    if !error.is_logged() {
        tracing::error!(%error, "a query failed in the database");
    }
    match error {
        StoreError::Busy(_) => coded(BUSY, error.to_string()),
        error if error.is_unavailable() => {
            coded("UNAVAILABLE", "the database is not available or took too long; try again")
        }
        StoreError::Data(_) => bad_input("the database cannot compare a value of the request"),
        _ => coded("INTERNAL", "the gateway failed; its log says why"),
    }
}

/// The error for a subscriber that cannot resume, or cannot go on.
pub(in crate::graphql) fn from_resume(error: &ResumeError) -> Error {
    match error {
        ResumeError::Ahead { .. } => coded("POSITION_AHEAD", error.to_string()),
        ResumeError::Lost { .. } | ResumeError::UnknownEra { .. } => coded("POSITION_LOST", error.to_string()),
        ResumeError::Store(error) => from_store(error),
    }
}
