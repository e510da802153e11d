//! Answers as JSON text. Text that is JSON already, such as a written event or Okta's own text, stands in a value as bytes
//! and is printed as it is: a JSON library would parse and copy it once more.

use async_graphql::{Response, Value};

/// A value of JSON text that is printed as it is.
pub(in crate::graphql) fn raw(json: String) -> Value {
    Value::Binary(json.into())
}

/// Prints a response object without extensions.
pub(in crate::graphql) fn response(response: &Response) -> String {
    let mut out = String::with_capacity(1024);
    out.push('{');
    // Errors come first, where people see them.
    if !response.errors.is_empty() {
        out.push_str("\"errors\":");
        out.push_str(&serde_json::to_string(&response.errors).unwrap_or_default());
        out.push(',');
    }
    out.push_str("\"data\":");
    value(&mut out, &response.data);
    out.push('}');
    out
}

/// Prints a value.
pub(in crate::graphql) fn json(printed: &Value) -> String {
    let mut out = String::with_capacity(1024);
    value(&mut out, printed);
    out
}

fn value(out: &mut String, printed: &Value) {
    match printed {
        Value::Null => out.push_str("null"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => string(out, text),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        // Only `raw` makes such a value, from a text.
        Value::Binary(json) => out.push_str(std::str::from_utf8(json).unwrap_or("null")),
        Value::Enum(name) => string(out, name),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(out, name);
                out.push(':');
                value(out, field);
            }
            out.push('}');
        }
    }
}

/// Prints a text as JSON, and escapes only what must be escaped, as serde_json does.
pub(in crate::graphql) fn string(out: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, escaped) = rest.split_at(plain_bytes(rest));
        out.push_str(plain);
        let Some(byte) = escaped.bytes().next() else { break };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => {
                out.push_str("\\u00");
                out.push(HEX[usize::from(byte >> 4) % 16]);
                out.push(HEX[usize::from(byte) % 16]);
            }
        }
        rest = escaped.get(1..).unwrap_or_default();
    }
    out.push('"');
}

/// The number of bytes before the first one that must be escaped.
fn plain_bytes(text: &str) -> usize {
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // A fold without an early exit, so that the compiler compares the 16 bytes of a chunk at once.
    let (chunks, end) = text.as_bytes().as_chunks::<16>();
    for (index, chunk) in chunks.iter().enumerate() {
        if chunk.iter().fold(false, |any, byte| any | is_escaped(byte)) {
            return index * 16 + chunk.iter().position(is_escaped).unwrap_or_default();
        }
    }
    chunks.len() * 16 + end.iter().position(is_escaped).unwrap_or(end.len())
}

#[cfg(test)]
mod tests {
    use async_graphql::ServerError;

    use super::*;

    proptest::proptest! {
        #[test]
        fn texts_are_escaped_as_serde_json_does(text: String, controls in "[\u{0}-\u{7f}\"\\\\]*") {
            for text in [text, controls] {
                let mut out = String::new();
                string(&mut out, &text);
                assert_eq!(out, serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn an_answer_is_printed_as_its_own_serialisation() {
        let data = serde_json::json!({"a": [1, -2.5, true, null, "x\u{1}\"y"], "b": {"c": {}, "d": []}, "ü": 1e30});
        let mut answer = Response::new(Value::from_json(data).unwrap());
        assert_eq!(response(&answer), serde_json::to_string(&answer).unwrap());
        answer.errors.push(ServerError::new("no", None));
        assert_eq!(response(&answer), serde_json::to_string(&answer).unwrap());
        assert_eq!(response(&Response::new(raw("{ \"as\" : 1 }".to_owned()))), "{\"data\":{ \"as\" : 1 }}");
    }
}
