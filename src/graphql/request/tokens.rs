//! The tokens of a document, counted before it is parsed: parsing takes much longer than counting, and recurses as deep as
//! brackets are nested.

use super::limits::DocumentLimits;
use super::refusal::RequestRefusal;

/// Largest depth of nested brackets of every kind. The parser recurses as deep.
const MAX_BRACKETS: usize = 64;

/// Largest size of a name, in bytes. Validation compares an unknown name with all known ones.
const MAX_NAME: usize = 200;

/// Checks that a document is small enough to be parsed.
pub(in crate::graphql) fn check(document: &str, limits: &DocumentLimits) -> Result<(), RequestRefusal> {
    if document.len() > limits.bytes {
        return Err(too_complex(format!(
            "the document has {} bytes, at most {} are allowed (limits.document_bytes)",
            document.len(),
            limits.bytes
        )));
    }
    let mut rest = document.as_bytes();
    let (mut tokens, mut open) = (0_usize, 0_usize);
    while let Some((&first, after)) = rest.split_first() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | 0xef | 0xbb | 0xbf => {
                rest = after;
                continue;
            }
            b'#' => {
                rest = skip(rest, line(rest));
                continue;
            }
            b'"' => string(rest),
            b'.' if rest.starts_with(b"...") => 3,
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let length = run(rest, |byte| byte == b'_' || byte.is_ascii_alphanumeric());
                if length > MAX_NAME {
                    return Err(too_complex(format!("a name has {length} bytes, at most {MAX_NAME} are allowed")));
                }
                length
            }
            b'-' | b'0'..=b'9' => run(rest, |byte| b"+-.".contains(&byte) || byte.is_ascii_alphanumeric()),
            _ => 1,
        };
        match first {
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        tokens += 1;
        if tokens > limits.tokens {
            let most = limits.tokens;
            return Err(too_complex(format!(
                "the document has more than {most} tokens (limits.document_tokens): long lists belong into variables"
            )));
        }
        if open > MAX_BRACKETS {
            return Err(too_complex(format!("the document's brackets are nested deeper than {MAX_BRACKETS}")));
        }
        rest = skip(rest, length);
    }
    Ok(())
}

fn too_complex(message: String) -> RequestRefusal {
    RequestRefusal::new("TOO_COMPLEX", message)
}

fn skip(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(count..).unwrap_or_default()
}

/// The number of bytes at the start for which a condition holds.
fn run(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_such(*byte)).unwrap_or(bytes.len())
}

fn line(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte != b'\n' && byte != b'\r')
}

/// The length of the string at the start, in bytes. A string without an end goes to the end of its line, and a block string
/// to the end of the document.
fn string(bytes: &[u8]) -> usize {
    let quotes: &[u8] = if bytes.starts_with(br#"""""#) { br#"""""# } else { br#"""# };
    let mut at = quotes.len();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quotes.len() == 1 => at += 2,
            b'\\' if skip(bytes, at + 1).starts_with(quotes) => at += 4,
            b'\n' | b'\r' if quotes.len() == 1 => return at,
            _ if skip(bytes, at).starts_with(quotes) => return at + quotes.len(),
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of tokens that are counted.
    fn count(document: &str) -> usize {
        let fits =
            |tokens: &usize| check(document, &DocumentLimits { tokens: *tokens, ..DocumentLimits::default() }).is_ok();
        (0..100).find(fits).unwrap()
    }

    #[test]
    fn tokens_are_those_of_the_specification() {
        for (document, tokens) in [
            ("", 0),
            (" \t\r\n,,\u{feff}# all { of this } \"is a comment", 0),
            ("{ a }", 3),
            ("{a(b:$c)@d...on E{f}}", 17),
            (r#"{ a(b: "x \" { y", c: -1.5e+3, d: [1, 2]) }"#, 17),
            ("{ a(b: \"\"\"block \\\"\"\" { \"of\" text\n\"\"\") { c } }", 11),
            ("\"not closed\n{", 2),
            ("\"\"\"not closed\n{", 1),
            ("\"ends in \\", 1),
            ("\"\"{", 2),
            ("é", 2),
        ] {
            assert_eq!(count(document), tokens, "{document}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let limits = DocumentLimits::default();
        let refused = |document: &str| check(document, &limits).unwrap_err().message;
        assert!(refused(&" ".repeat(limits.bytes + 1)).contains("limits.document_bytes"));
        assert!(refused(&"a ".repeat(limits.tokens + 1)).contains("limits.document_tokens"));
        assert!(refused(&"a".repeat(MAX_NAME + 1)).contains("a name has 201 bytes"));
        assert!(refused(&"{a".repeat(MAX_BRACKETS + 1)).contains("nested deeper"));
        assert!(check(&"{a}".repeat(MAX_BRACKETS + 1), &limits).is_ok());
        assert!(check(&format!("{{a(b: \"{}\")}}", "{".repeat(10_000)), &limits).is_ok());
    }
}
