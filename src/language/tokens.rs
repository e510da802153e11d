//! The tokens of a document. Their number, their sizes and the depth of brackets are limited while they are read, since
//! everything after this takes longer for each token, and recurses as deep as brackets are nested.

use super::fault::{DocumentFault, Location};

/// Largest depth of nested brackets of every kind. The parser recurses as deep.
const MAX_BRACKETS: usize = 64;

/// Largest size of a name, in bytes. Validation compares an unknown name with all known ones.
const MAX_NAME: usize = 200;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Name,
    Int,
    Float,
    /// A string on one line, with its quotes.
    Text,
    /// A block string, with its quotes.
    BlockText,
    /// A punctuator.
    Sign,
    /// The end of the document.
    End,
}

/// A token, with its place in the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    pub(super) text: &'t str,
    pub(super) at: Location,
}

/// Reads the tokens of a document, of which there may be at most `most`. The last one is its end.
///
/// # Errors
/// The text has something that is no token, or exceeds a limit.
pub(super) fn read(text: &str, most: usize) -> Result<Vec<Token<'_>>, DocumentFault> {
    let mut scan = TokenScan { rest: text, at: Location { line: 1, column: 1 }, after_return: false };
    let (mut tokens, mut open) = (Vec::with_capacity(text.len() / 8), 0_usize);
    loop {
        let token = scan.next()?;
        match token.text {
            "{" | "[" | "(" => open += 1,
            "}" | "]" | ")" => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            let message = format!("the document's brackets are nested deeper than {MAX_BRACKETS}");
            return Err(DocumentFault::too_large(token.at, MAX_BRACKETS, message));
        }
        if token.kind == TokenKind::Name && token.text.len() > MAX_NAME {
            let message = format!("a name has {} bytes, at most {MAX_NAME} are allowed", token.text.len());
            return Err(DocumentFault::too_large(token.at, MAX_NAME, message));
        }
        tokens.push(token);
        if token.kind == TokenKind::End {
            return Ok(tokens);
        }
        if tokens.len() > most {
            let message = format!(
                "the document has more than {most} tokens (limits.document_tokens): long lists belong into variables"
            );
            return Err(DocumentFault::too_large(token.at, most, message));
        }
    }
}

/// The part of a text that is not read yet.
struct TokenScan<'t> {
    rest: &'t str,
    at: Location,
    /// True if the last byte was a carriage return, which a newline after it does not follow by another line.
    after_return: bool,
}

impl<'t> TokenScan<'t> {
    fn next(&mut self) -> Result<Token<'t>, DocumentFault> {
        self.skip_ignored();
        let at = self.at;
        let bytes = self.rest.as_bytes();
        let (kind, length) = match bytes.first() {
            None => (TokenKind::End, 0),
            Some(b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}') => {
                (TokenKind::Sign, 1)
            }
            Some(b'.') if bytes.starts_with(b"...") => (TokenKind::Sign, 3),
            Some(b'_' | b'a'..=b'z' | b'A'..=b'Z') => (TokenKind::Name, run(bytes, is_name)),
            Some(b'-' | b'0'..=b'9') => number(bytes).map_err(|what| DocumentFault::syntax(at, what))?,
            Some(b'"') if bytes.starts_with(br#"""""#) => (TokenKind::BlockText, self.block_text()?),
            Some(b'"') => (TokenKind::Text, self.text()?),
            Some(_) => {
                let letter = self.rest.chars().next().unwrap_or_default();
                return Err(DocumentFault::syntax(at, &format!("unexpected character {letter:?}")));
            }
        };
        Ok(Token { kind, text: self.take(length), at })
    }

    /// Skips space, commas, byte order marks and comments.
    fn skip_ignored(&mut self) {
        loop {
            let bytes = self.rest.as_bytes();
            let length = match bytes.first() {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => 1,
                Some(b'#') => run(bytes, |byte| byte != b'\n' && byte != b'\r'),
                _ if self.rest.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
                _ => return,
            };
            self.take(length);
        }
    }

    /// Takes that many bytes, and moves the place behind them.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        for byte in taken.bytes() {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => self.at = Location { line: self.at.line + 1, column: 1 },
                // Bytes within a character start with the bits 10.
                byte if byte & 0xc0 != 0x80 => self.at.column += 1,
                _ => {}
            }
            self.after_return = byte == b'\r';
        }
        self.rest = rest;
        taken
    }

    /// The length of the string at the start, in bytes.
    fn text(&self) -> Result<usize, DocumentFault> {
        let bytes = self.rest.as_bytes();
        let mut at = 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at += 2,
                None | Some(b'\n' | b'\r') => return Err(DocumentFault::syntax(self.at, "the string is not closed")),
                Some(_) => at += 1,
            }
        }
    }

    /// The length of the block string at the start, in bytes.
    fn block_text(&self) -> Result<usize, DocumentFault> {
        let bytes = self.rest.as_bytes();
        let mut at = 3;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(br#"""""#) {
                return Ok(at + 3);
            }
            at += if rest.starts_with(br#"\""""#) { 4 } else { 1 };
        }
        Err(DocumentFault::syntax(self.at, "the block string is not closed"))
    }
}

const fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// The number of bytes at the start for which a condition holds.
fn run(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_such(*byte)).unwrap_or(bytes.len())
}

/// The kind and the length of the number at the start.
fn number(bytes: &[u8]) -> Result<(TokenKind, usize), &'static str> {
    let from = |at: usize| bytes.get(at..).unwrap_or_default();
    let digits = |at: usize| match run(from(at), |byte| byte.is_ascii_digit()) {
        0 => Err("a number lacks a digit"),
        count => Ok(count),
    };
    let mut at = usize::from(bytes.starts_with(b"-"));
    let whole = digits(at)?;
    if whole > 1 && from(at).starts_with(b"0") {
        return Err("a number begins with a superfluous 0");
    }
    at += whole;
    let mut kind = TokenKind::Int;
    if from(at).starts_with(b".") {
        kind = TokenKind::Float;
        at += 1 + digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        kind = TokenKind::Float;
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at += digits(at)?;
    }
    match bytes.get(at) {
        Some(byte) if *byte == b'.' || is_name(*byte) => Err("a number is followed by something else without a space"),
        _ => Ok((kind, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Vec<&str> {
        let tokens = read(document, 100).unwrap();
        tokens.iter().map(|token| token.text).collect()
    }

    #[test]
    fn tokens_are_those_of_the_specification() {
        for (document, tokens) in [
            ("", &[""][..]),
            (" \t\r\n,,\u{feff}# all { of this } \"is a comment", &[""]),
            (
                "{a(b:$c)@d...on E{f}}",
                &["{", "a", "(", "b", ":", "$", "c", ")", "@", "d", "...", "on", "E", "{", "f", "}", "}", ""],
            ),
            (r#"d: [-1.5e+3, 0] "x \" { y""#, &["d", ":", "[", "-1.5e+3", "0", "]", r#""x \" { y""#, ""]),
            (
                "\"\"\"block \\\"\"\" { \"of\" text\n\"\"\"é".trim_end_matches('é'),
                &["\"\"\"block \\\"\"\" { \"of\" text\n\"\"\"", ""],
            ),
            ("\"\"{", &["\"\"", "{", ""]),
        ] {
            assert_eq!(texts(document), tokens, "{document}");
        }
        for (document, line, column) in [
            ("é", 1, 1),
            ("{\r\n\r\n  \"é\" %", 3, 7),
            ("\"no end", 1, 1),
            ("a\n\"\"\"", 2, 1),
            ("01", 1, 1),
            ("1x", 1, 1),
        ] {
            let fault = read(document, 100).unwrap_err();
            assert_eq!(fault.locations, [Location { line, column }], "{document}: {}", fault.message);
        }
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        for good in ["0", "-0", "12", "-12.50", "1e5", "1.5E-10"] {
            assert_eq!(texts(good), [good, ""]);
        }
        for bad in ["-", "01", "-01", "1.", ".1", "1.e1", "1e", "1e+", "1a", "1_", "1.2.3", "0x1", "+1"] {
            assert!(read(bad, 9).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_beyond_a_limit_is_refused() {
        let refused = |document: &str| read(document, 2_000).unwrap_err().message;
        assert!(refused(&"a ".repeat(2_001)).contains("limits.document_tokens"));
        assert!(refused(&"a".repeat(MAX_NAME + 1)).contains("a name has 201 bytes"));
        assert!(refused(&"{a".repeat(MAX_BRACKETS + 1)).contains("nested deeper"));
        assert!(read(&"{a}".repeat(MAX_BRACKETS + 1), 2_000).is_ok());
        assert!(read(&format!("{{a(b: \"{}\")}}", "{".repeat(10_000)), 2_000).is_ok());
    }
}
