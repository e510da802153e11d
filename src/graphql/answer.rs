//! Answers: what resolvers load and print with, and the JSON of a response, whose errors have a code.

pub(super) mod error;
pub(super) mod ids;
pub(super) mod schema_description;
pub(super) mod text;

pub(super) mod payload;
pub(super) mod print;
pub(super) mod writer;

pub(super) mod loaders;
pub(super) mod reads;

use std::fmt::Write as _;

use async_graphql::{ErrorExtensionValues, PathSegment, Pos, Response, ServerError};

use super::request::refusal::RequestRefusal;
use crate::event::{Position, SyncEvent};
use crate::live::{Payload, RenderedEvent};
use error::BUSY;
use text::JsonText;

/// Largest number of errors in an answer. A document can have many more.
const MAX_ERRORS: usize = 20;

/// Largest size of an error's message, in bytes. Some messages repeat what the client sent.
const MAX_MESSAGE: usize = 1_000;

/// The outcome of a request, for transports that have a status for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Executed; single fields may have failed.
    Executed,
    /// Refused: there is no data, not even null.
    Refused,
    /// Refused, since it names an unknown document by its hash: the client sends it again, with the document.
    UnknownDocument,
    /// Refused, since the reader lacks a scope.
    Forbidden,
    /// Stopped, since it took too long.
    TimedOut,
    /// Refused, since other requests of the same credential keep the database busy: the client sends it again later.
    Busy,
}

/// An answer: its JSON, and the facts that a transport needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response object.
    pub json: JsonText,
    /// The outcome of the request.
    pub verdict: Verdict,
    /// The `errors` list alone, for transports that send it by itself; empty if there are no errors.
    pub errors: String,
    /// The position from which a client resumes, if this is a payload of a subscription.
    pub position: Option<Position>,
}

impl From<RequestRefusal> for Answer {
    fn from(refusal: RequestRefusal) -> Self {
        Self::refusals(vec![refusal])
    }
}

impl Answer {
    /// An answer to a request that is not executed.
    pub fn refusal(code: &'static str, message: impl Into<String>) -> Self {
        RequestRefusal::new(code, message).into()
    }

    /// An answer to a request that is not executed, since it costs too much.
    pub fn too_complex(cost: u64, limit: usize, message: impl Into<String>) -> Self {
        RequestRefusal::new("TOO_COMPLEX", message).with("cost", cost).with("limit", limit).into()
    }

    /// An answer to a request that is not executed, for one or more reasons.
    pub(in crate::graphql) fn refusals(refusals: Vec<RequestRefusal>) -> Self {
        let code = refusals.first().map(|refusal| refusal.code).unwrap_or_default();
        let errors = refusals.into_iter().map(|refusal| {
            let mut error = ServerError::new(refusal.message, None);
            error.locations = refusal.locations;
            set_code(&mut error, refusal.code);
            let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
            for (name, value) in refusal.facts {
                extensions.set(name, value);
            }
            error
        });
        let mut answer = Self::new(Response::from_errors(errors.collect()), "");
        answer.verdict = match code {
            "PERSISTED_QUERY_NOT_FOUND" | "PERSISTED_QUERY_NOT_SUPPORTED" => Verdict::UnknownDocument,
            "TIMEOUT" => Verdict::TimedOut,
            BUSY => Verdict::Busy,
            "FORBIDDEN" => Verdict::Forbidden,
            _ => Verdict::Refused,
        };
        answer
    }

    /// The answer that is a payload of a subscription.
    pub fn of_payload(payload: Payload) -> Self {
        Self {
            json: JsonText::Shared(payload.text),
            verdict: Verdict::Executed,
            position: payload.errors.is_none().then_some(payload.position),
            errors: payload.errors.map_or_else(String::new, |errors| errors.to_string()),
        }
    }

    /// The event for which a subscription's operation was executed, rendered. An event with errors comes in no part.
    pub(in crate::graphql) fn render(mut response: Response, document: &str, event: &SyncEvent) -> RenderedEvent {
        let (position, stored_at) = (event.position, event.received_at);
        if response.errors.is_empty() {
            let texts = payload::event_texts(&response.data);
            return RenderedEvent { position, stored_at, texts, errors: None };
        }
        response.data = async_graphql::Value::Null;
        let answer = Self::new(response, document);
        let texts = std::iter::once(answer.json.into_shared()).collect();
        RenderedEvent { position, stored_at, texts, errors: Some(answer.errors.into()) }
    }

    /// The answer for a subscription that the executor ended without any answer, which is a bug.
    pub(in crate::graphql) fn nothing() -> Self {
        Self::refusal("INTERNAL", "the subscription ended without an event")
    }

    /// The response for an event that the executor left out, which is a bug.
    pub(in crate::graphql) fn no_event() -> Response {
        let mut error = ServerError::new("the subscription ended without an event", None);
        set_code(&mut error, "INTERNAL");
        Response::from_errors(vec![error])
    }

    /// The last answer of a subscription that cannot go on.
    pub(in crate::graphql) fn ended(key: &str, error: async_graphql::Error) -> Self {
        let mut error = error.into_server_error(Pos::default());
        error.path = vec![PathSegment::Field(key.to_owned())];
        error.locations.clear();
        Self::new(Response::from_errors(vec![error]), "")
    }

    /// True if the request itself was refused: there is no data, not even null.
    pub fn is_request_error(&self) -> bool {
        self.verdict != Verdict::Executed
    }

    /// True if there are errors.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The answer for the executor's response to a document.
    pub(in crate::graphql) fn new(mut response: Response, document: &str) -> Self {
        // Errors of a request that was not executed have no path, and its answer has no `data`.
        let is_request_error = !response.errors.is_empty()
            && response.data == async_graphql::Value::Null
            && response.errors.iter().all(|error| error.path.is_empty());
        response.errors.truncate(MAX_ERRORS);
        for error in &mut response.errors {
            complete(error, document);
        }
        let errors = if response.errors.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&response.errors).unwrap_or_default()
        };
        if is_request_error {
            return Self {
                json: format!(r#"{{"errors":{errors}}}"#).into(),
                verdict: Verdict::Refused,
                errors,
                position: None,
            };
        }
        let json = print::response(&response).into();
        Self { json, verdict: Verdict::Executed, errors, position: None }
    }

    /// The answer with the cost of its operation and the limit of the cost, if the operation was executed.
    pub(in crate::graphql) fn with_cost(mut self, requested: u64, limit: usize) -> Self {
        if let JsonText::Owned(json) = &mut self.json
            && self.verdict == Verdict::Executed
            && json.pop().is_some()
        {
            _ = write!(json, r#","extensions":{{"cost":{{"requested":{requested},"limit":{limit}}}}}}}"#);
        }
        self
    }
}

fn set_code(error: &mut ServerError, code: &'static str) {
    error::set_code(error.extensions.get_or_insert_with(ErrorExtensionValues::default), code);
}

/// Gives an error of the executor a code, and completes its message.
fn complete(error: &mut ServerError, document: &str) {
    if error.message.len() > MAX_MESSAGE {
        error.message.truncate(error.message.floor_char_boundary(MAX_MESSAGE));
        error.message.push('…');
    }
    let has_code = error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
    if has_code {
        return;
    }
    if error.path.is_empty() {
        set_code(error, "GRAPHQL_VALIDATION_FAILED");
        return;
    }
    // Errors of resolvers have a code. This one is about an argument's value, which stands at the error's place.
    if let Some(name) = error.locations.first().and_then(|place| argument_at(document, *place)) {
        error.message = format!("Invalid value for argument \"{name}\": {}", error.message);
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("argument", name);
    }
    set_code(error, "BAD_USER_INPUT");
}

/// The name of the argument whose value starts at a place of a document.
fn argument_at(document: &str, place: Pos) -> Option<&str> {
    let line_start: usize = document.split_inclusive('\n').take(place.line.checked_sub(1)?).map(str::len).sum();
    let line = document.get(line_start..)?;
    let column = line.char_indices().nth(place.column.checked_sub(1)?).map_or(line.len(), |(at, _)| at);
    let ignored = |letter: char| letter.is_whitespace() || letter == ',';
    let before = document.get(..line_start + column)?.trim_end_matches(ignored).strip_suffix(':')?;
    let before = before.trim_end_matches(ignored);
    let name = before.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').map_or(0, |at| at + 1);
    before.get(name..).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_found_by_the_place_of_its_value() {
        let document = "{\n  é: event(\n    uuid : , \"x\", org:$o) }";
        let at = |line, column| argument_at(document, Pos { line, column });
        assert_eq!(at(3, 14), Some("uuid"));
        assert_eq!(at(3, 23), Some("org"));
        assert_eq!(at(2, 6), Some("é").filter(|_| false));
        for (line, column) in [(0, 0), (1, 1), (9, 9), (3, 999)] {
            assert_eq!(at(line, column), None, "{line}:{column}");
        }
    }

    #[test]
    fn an_answer_tells_a_bounded_number_of_errors() {
        let errors = vec![ServerError::new("é".repeat(MAX_MESSAGE), None); MAX_ERRORS + 1];
        let answer = Answer::new(Response::from_errors(errors), "");
        assert_eq!(answer.errors.matches("GRAPHQL_VALIDATION_FAILED").count(), MAX_ERRORS);
        assert!(answer.is_request_error() && answer.errors.len() < MAX_ERRORS * 1_100);
    }
}
