//! Apollo's protocol of subscriptions over multipart HTTP: see
//! <https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>.

use std::fmt::Write as _;

use crate::graphql::Answer;

/// Parameters have no quotes, since both values are tokens: Python's gql and Apollo's client for iOS compare them as they
/// are written.
pub(super) const CONTENT_TYPE: &str = "multipart/mixed; boundary=graphql; subscriptionSpec=1.0";

/// The first boundary. Each part is followed by the next boundary at once, without which no client knows that the part is
/// whole.
pub(super) const OPENING: &str = "\r\n--graphql";

/// Writes an answer. The payload has an object around it, which has a place for errors of the stream itself.
pub(super) fn write_payload(out: &mut String, answer: &Answer) {
    write_part(out, &["{\"payload\":", &answer.json, "}"]);
}

/// Writes a heartbeat.
pub(super) fn write_heartbeat(out: &mut String) {
    write_part(out, &["{}"]);
}

/// Writes the end: the last boundary is closed.
pub(super) fn write_end(out: &mut String) {
    out.push_str("--\r\n");
}

/// Writes the end of a stream whose gateway is stopping. This is an error of the stream and not of the operation.
pub(super) fn write_farewell(out: &mut String) {
    let stopping = Answer::refusal("UNAVAILABLE", "the gateway is stopping: resume from the last position");
    write_part(out, &["{\"payload\":null,\"errors\":", &stopping.errors, "}"]);
    write_end(out);
}

/// Writes a part with its length. Without the length, Python's aiohttp holds a part back until more bytes come, which may be
/// as late as the next beat. Apollo's client for iOS takes all headers of a part for its content type, up to the first `; `:
/// the parameter ends that before the length.
fn write_part(out: &mut String, json: &[&str]) {
    let length: usize = json.iter().map(|text| text.len()).sum();
    // Writing to a string cannot fail.
    _ = write!(out, "\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\r\n");
    out.extend(json.iter().copied());
    out.push_str("\r\n--graphql");
}
