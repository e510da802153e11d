//! The values of strings: escapes, and the indentation of block strings.

use std::str::Chars;

/// Returns the value of a string, which is given with its quotes.
///
/// # Errors
/// An escape stands for no character.
pub(super) fn value(quoted: &str) -> Result<String, String> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut value = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(letter) = rest.next() {
        value.push(if letter == '\\' { escape(&mut rest)? } else { letter });
    }
    Ok(value)
}

/// Reads an escape after its backslash.
fn escape(rest: &mut Chars<'_>) -> Result<char, String> {
    Ok(match rest.next() {
        Some(same @ ('"' | '\\' | '/')) => same,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return code_point(rest).ok_or_else(|| "an escape \\u stands for no character".to_owned()),
        other => return Err(format!("unknown escape \\{}", other.unwrap_or_default())),
    })
}

/// Reads the code point after `\u`: `{…}`, four digits, or two surrogates of four digits each.
fn code_point(rest: &mut Chars<'_>) -> Option<char> {
    if let Some(braced) = rest.as_str().strip_prefix('{') {
        let (digits, after) = braced.split_once('}')?;
        *rest = after.chars();
        let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let significant = Some(digits.trim_start_matches('0')).filter(|_| is_hex)?;
        // A leading 0 stands for none at all.
        return char::from_u32(u32::from_str_radix(&format!("0{significant}"), 16).ok()?);
    }
    let first = four_digits(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.as_str().strip_prefix("\\u")?.chars();
    let second = four_digits(rest).filter(|second| (0xdc00..0xe000).contains(second))?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

fn four_digits(rest: &mut Chars<'_>) -> Option<u32> {
    let (digits, after) = rest.as_str().split_at_checked(4)?;
    *rest = after.chars();
    let digits = Some(digits).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// Returns the value of a block string, which is given with its quotes: without the indentation that its lines share, and
/// without empty lines at its ends.
pub(super) fn block_value(quoted: &str) -> String {
    let mark = r#"""""#;
    let raw = quoted.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)).unwrap_or_default();
    let raw = raw.replace(r#"\""""#, mark).replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = raw.split('\n').collect();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let is_empty = |line: &&str| indent(line) == line.len();
    let shared = lines.iter().skip(1).filter(|line| !is_empty(line)).map(|line| indent(line)).min().unwrap_or(0);
    let first = lines.iter().position(|line| !is_empty(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_empty(line)).map_or(first, |last| last + 1);
    let kept = lines.iter().enumerate().take(end).skip(first);
    let kept: Vec<_> =
        kept.map(|(at, line)| if at == 0 { line } else { line.get(shared..).unwrap_or_default() }).collect();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_characters() {
        for (quoted, expected) in [
            (r#""plain é""#, "plain é"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u{e9}\u{0000E9}\u{0}\u{00}""#, "ééé\0\0"),
            (r#""\uD83D\uDE00\u{1F600}\u{10FFFF}""#, "😀😀\u{10ffff}"),
        ] {
            assert_eq!(value(quoted).unwrap(), expected, "{quoted}");
        }
        for bad in [
            r#""\x""#,
            r#""\u12""#,
            r#""\u{}""#,
            r#""\u{110000}""#,
            r#""\u{D800}""#,
            r#""\uD83D""#,
            r#""\uD83Dx""#,
            r#""\uD83D\u0041""#,
            r#""\uDE00""#,
            r#""\u{1""#,
            r#""\u+123""#,
            r#""\u{+1}""#,
            r#""\u{FFFFFFFFFF}""#,
            r#""\u12é4""#,
        ] {
            assert!(value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn block_strings_lose_shared_indentation_and_empty_ends() {
        for (quoted, expected) in [
            (r#""""""""#, ""),
            (r#""""one""""#, "one"),
            ("\"\"\"\n    Hello,\n      World!\r\n\r\n    Yours\n  \t\n\"\"\"", "Hello,\n  World!\n\nYours"),
            ("\"\"\"  first\n  second\"\"\"", "  first\nsecond"),
            (r#""""a \""" \n b""""#, "a \"\"\" \\n b"),
            ("\"\"\" \n \"\"\"", ""),
        ] {
            assert_eq!(block_value(quoted), expected, "{quoted}");
        }
    }
}
