//! Apollo's subscription protocol over multipart HTTP: see
//! <https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>.

use std::fmt::Write as _;

use crate::graphql::Answer;

/// The parameters have no quotes, since both values are tokens: Python's gql and Apollo's client for iOS compare them
/// literally.
pub(super) const CONTENT_TYPE: &str = "multipart/mixed; boundary=graphql; subscriptionSpec=1.0";

/// The first boundary. The boundary after each part is sent together with the part, since clients wait for it before
/// they process the part.
pub(super) const OPENING: &str = "\r\n--graphql";

/// Writes an answer. The object around the payload also has a place for errors of the stream itself.
pub(super) fn write_payload(out: &mut String, answer: &Answer) {
    write_part(out, &["{\"payload\":", &answer.json, "}"]);
}

/// Writes a heartbeat.
pub(super) fn write_heartbeat(out: &mut String) {
    write_part(out, &["{}"]);
}

/// Writes the end by closing the last boundary.
pub(super) fn write_end(out: &mut String) {
    out.push_str("--\r\n");
}

/// Writes the end of a stream whose gateway is stopping, which is an error of the stream and not of the operation.
pub(super) fn write_farewell(out: &mut String) {
    let stopping = Answer::refusal("UNAVAILABLE", "the gateway is stopping: resume from the last position");
    write_part(out, &["{\"payload\":null,\"errors\":", &stopping.errors, "}"]);
    write_end(out);
}

/// Writes a part with its length. Without the length, Python's aiohttp holds a part back until more bytes arrive,
/// possibly as late as the next heartbeat. Apollo's client for iOS takes all headers of a part up to the first `; ` for
/// its content type, which the parameter ends before the length.
fn write_part(out: &mut String, json: &[&str]) {
    let length: usize = json.iter().map(|text| text.len()).sum();
    // Writing to a string cannot fail.
    _ = write!(out, "\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\r\n");
    out.extend(json.iter().copied());
    out.push_str("\r\n--graphql");
}
