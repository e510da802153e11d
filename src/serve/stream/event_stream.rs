//! Server-sent events, in the distinct connections mode of graphql-sse: see
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.
//!
//! The id of each payload is its position, so that `Last-Event-ID` resumes.

use std::fmt::Write as _;

use crate::graphql::Answer;

pub(super) const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// Writes an answer. Each line of its text becomes a line of data; the client joins the lines again.
pub(super) fn write_next(out: &mut String, answer: &Answer) {
    out.push_str("event: next\n");
    if let Some(position) = answer.position {
        // Writing to a string cannot fail.
        _ = writeln!(out, "id: {position}");
    }
    for line in lines(&answer.json) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}

/// Writes the end. The event has empty data, since browsers ignore events without data.
pub(super) fn write_complete(out: &mut String) {
    out.push_str("event: complete\ndata:\n\n");
}

/// Writes a heartbeat, which is a comment.
pub(super) fn write_heartbeat(out: &mut String) {
    out.push_str(":\n\n");
}

/// Splits a text into lines, which end with `\n`, `\r` or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else { return rest.take() };
        let (line, after) = text.split_at(end);
        rest = after.strip_prefix("\r\n").or_else(|| after.get(1..));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;

    #[test]
    fn every_line_of_an_answer_is_data() {
        for (text, expected) in [
            ("", &[""][..]),
            ("{}", &["{}"]),
            ("{\n\"a\":\r\n1\r}", &["{", "\"a\":", "1", "}"]),
            ("\n\na\r", &["", "", "a", ""]),
        ] {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
        let mut answer = Answer::refusal("UNAVAILABLE", "no");
        answer.json = "{\n}".to_owned().into();
        answer.position = Some(Position::new(7));
        let mut out = String::new();
        write_next(&mut out, &answer);
        assert_eq!(out, "event: next\nid: 7\ndata: {\ndata: }\n\n");
    }
}
