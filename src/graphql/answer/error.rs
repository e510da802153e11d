//! Errors as clients see them: a code, a sentence, and the facts that a program needs to act on the code. The cause goes to
//! the log.

use async_graphql::{Error, ErrorExtensionValues, ErrorExtensions as _};

use crate::event::Position;
use crate::log::ResumeError;
use crate::store::StoreError;

/// The code of requests that are refused because other requests of the same credential keep the database busy.
pub(in crate::graphql) const BUSY: &str = "BUSY";

/// The code of errors that pass when the database or another gateway is available again.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// Time after which a client may send the request again, in seconds. The header `retry-after` has the same value.
const RETRY_AFTER_SECONDS: i32 = 1;

/// An error with a code that clients can act on.
pub(in crate::graphql) fn coded(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| set_code(extensions, code))
}

/// Sets the code of an error, and the fact that goes with the code in every case.
pub(in crate::graphql) fn set_code(extensions: &mut ErrorExtensionValues, code: &'static str) {
    extensions.set("code", code);
    if matches!(code, BUSY | UNAVAILABLE) {
        extensions.set("retryAfterSeconds", RETRY_AFTER_SECONDS);
    }
}

/// An error for a request with a wrong value. Where the message begins with an argument's name in backquotes, the name is a
/// fact, too.
pub(in crate::graphql) fn bad_input(message: impl Into<String>) -> Error {
    let message = message.into();
    let argument = message.strip_prefix('`').and_then(|rest| rest.split_once('`')).map(|(name, _)| name.to_owned());
    coded("BAD_USER_INPUT", message).extend_with(|_, extensions| {
        if let Some(argument) = argument {
            extensions.set("argument", argument);
        }
    })
}

/// Adds positions to the facts of an error.
fn with_positions(error: Error, facts: &[(&str, Position)]) -> Error {
    error.extend_with(|_, extensions| {
        for (name, position) in facts {
            extensions.set(*name, position.to_string());
        }
    })
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
            coded(UNAVAILABLE, "the database is not available or took too long; try again")
        }
        StoreError::Data(_) => bad_input("the database cannot compare a value of the request"),
        _ => coded("INTERNAL", "the gateway failed; its log says why"),
    }
}

/// The error for a subscriber that cannot resume, or cannot go on.
pub(in crate::graphql) fn from_resume(error: &ResumeError) -> Error {
    match error {
        ResumeError::Ahead { head, .. } => {
            with_positions(coded("POSITION_AHEAD", error.to_string()), &[("head", *head)])
        }
        ResumeError::Lost { after, previous_end } => {
            let facts = [("resumeAfter", *previous_end), ("lostFrom", previous_end.next()), ("lostThrough", *after)];
            with_positions(coded("POSITION_LOST", error.to_string()), &facts)
        }
        // Where this log goes on after a position of another copy of it is not known.
        ResumeError::UnknownEra { .. } => coded("POSITION_LOST", error.to_string()),
        ResumeError::Store(error) => from_store(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn facts(error: Error) -> Value {
        serde_json::to_value(error.extensions).unwrap()
    }

    #[test]
    fn errors_have_the_facts_that_a_program_acts_on() {
        let at = Position::new;
        for (error, expected) in [
            (
                from_resume(&ResumeError::Ahead { after: at(9), head: at(7) }),
                json!({"code": "POSITION_AHEAD", "head": "7"}),
            ),
            (
                from_resume(&ResumeError::Lost { after: at(9), previous_end: at(5) }),
                json!({"code": "POSITION_LOST", "resumeAfter": "5", "lostFrom": "6", "lostThrough": "9"}),
            ),
            (from_resume(&ResumeError::UnknownEra { after: at(9) }), json!({"code": "POSITION_LOST"})),
            (coded(BUSY, ""), json!({"code": "BUSY", "retryAfterSeconds": 1})),
            (bad_input("`batch` is 0"), json!({"code": "BAD_USER_INPUT", "argument": "batch"})),
            (bad_input("give one"), json!({"code": "BAD_USER_INPUT"})),
        ] {
            assert_eq!(facts(error), expected);
        }
    }
}
