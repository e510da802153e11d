//! Tests of streams of all kinds, intact and broken, cut into pieces of all sizes.

use proptest::prelude::*;

use super::*;

/// The line of a record, and its JSON (Ok) or the bytes of a broken record (Err).
type Found = (u64, Result<String, String>);

/// Reads a stream in pieces of the given size. Returns its records, and whether it ended outside a list.
fn read(stream: &[u8], piece: usize) -> (Vec<Found>, bool) {
    let mut found = Vec::new();
    let mut records = Records::new(1000);
    let mut each = |record: Record<'_>| {
        let content = match record.content {
            Ok(json) => match json.exact() {
                Ok(exact) => Ok(exact.get().to_owned()),
                Err(_) => Err(String::from_utf8_lossy(json.as_bytes()).into_owned()),
            },
            Err(broken) => Err(String::from_utf8_lossy(broken.bytes).into_owned()),
        };
        found.push((record.line, content));
    };
    for bytes in stream.chunks(piece) {
        records.feed(bytes, &mut each);
    }
    let is_whole = records.finish(&mut each);
    (found, is_whole)
}

/// Lists the records of a stream as `line text`, with `!` before a broken record. All piece sizes must give the same
/// list.
fn found(stream: &str) -> Vec<String> {
    let (all, _) = read(stream.as_bytes(), usize::MAX);
    for piece in 1..stream.len().min(40) {
        assert_eq!(read(stream.as_bytes(), piece).0, all, "in pieces of {piece}: {stream}");
    }
    let shown = |(line, content): Found| match content {
        Ok(text) => format!("{line} {text}"),
        Err(text) => format!("{line} !{text}"),
    };
    all.into_iter().map(shown).collect()
}

#[test]
fn lines_lists_and_one_after_the_other() {
    assert_eq!(found("{\"a\":1}\n\r\n {\"a\":2}\r\n{\"a\":3}"), ["1 {\"a\":1}", "3 {\"a\":2}", "4 {\"a\":3}"]);
    assert_eq!(found(r#"[{"a":1}, {"a":[2]},{"a":{}}]"#), [r#"1 {"a":1}"#, r#"1 {"a":[2]}"#, r#"1 {"a":{}}"#]);
    assert_eq!(found("[{\"a\":1},\n{\"a\":2}]\n[]\n[{\"a\":3}]\n"), ["1 {\"a\":1}", "2 {\"a\":2}", "4 {\"a\":3}"]);
    assert_eq!(found(r#"{"a":1}{"a":2}"#), [r#"1 {"a":1}"#, r#"1 {"a":2}"#]);
    assert_eq!(
        found("[\n  {\n    \"a\": 1\n  },\n  {\n\"a\": [\n{\n\"b\": 2}]}\n]"),
        ["2 {\n    \"a\": 1\n  }", "5 {\n\"a\": [\n{\n\"b\": 2}]}"]
    );
    assert_eq!(
        found("{ \"a\": 1,\n  \"b\": 2 }\n{ \"a\": 3,\n  \"b\": 4 }"),
        ["1 { \"a\": 1,\n  \"b\": 2 }", "3 { \"a\": 3,\n  \"b\": 4 }"]
    );
    assert_eq!(found("\u{feff}{\"a\":1}"), ["1 {\"a\":1}"]);
    assert_eq!(found(" \n \n"), Vec::<String>::new());
    assert_eq!(found(r#"{"a":"}{\"\\"}"#), [r#"1 {"a":"}{\"\\"}"#]);
}

/// A quote after a backslash does not end a text, so that a brace after it does not end the object.
#[test]
fn an_escaped_quote_does_not_end_a_text() {
    let object = r#"{
        "a": "one \" } two",
        "b": "\\"}"#;
    assert_eq!(found(&format!("{object}\n{object}")), [format!("1 {object}"), format!("4 {object}")]);
}

#[test]
fn a_broken_line_spoils_no_other() {
    let good = r#"{"good":1}"#;
    for bad in [
        r#"{"a":"cut off"#,
        r#"{"a":"cut off\"#,
        r#"{"a":[{"b":1}"#,
        r#"{"a":1,"#,
        r#"{"a""#,
        "{\"a\":tru}",
        "{{}}",
        "{]",
        "7",
        "null",
        "not json, at all",
        "\"text\"",
        r#"{"a":1 "b":2}"#,
    ] {
        for before in [&[][..], &[good], &[good, good]] {
            let lines = [before, &[bad, good, good]].concat();
            let mut wanted: Vec<_> = (1..).zip(&lines).map(|(line, text)| format!("{line} {text}")).collect();
            wanted[before.len()] = format!("{} !{bad}", before.len() + 1);
            assert_eq!(found(&lines.join("\n")), wanted);
        }
    }
    assert_eq!(found("[{\"a\":tru},{\"a\":1},7,\"x\"]"), ["1 !{\"a\":tru}", "1 {\"a\":1}", "1 !7", "1 !\"x\""]);
}

#[test]
fn a_stream_that_breaks_off_says_so() {
    assert_eq!(read(b"[{},", 9), (vec![(1, Ok("{}".into()))], false));
    assert_eq!(read(b"[{}]", 9), (vec![(1, Ok("{}".into()))], true));
    assert_eq!(read(b"[{", 9), (vec![(1, Err("{".into()))], false));
    assert_eq!(read(b"{}\n{\"a", 9), (vec![(1, Ok("{}".into())), (2, Err("{\"a".into()))], true));
}

#[test]
fn a_huge_record_is_broken_and_takes_no_room() {
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    let stream = format!("{{\"a\":1}}\n{huge}\n{{\"a\":2}}\n{}\n{{\"a\":3}}\n", "y".repeat(200_000));
    for piece in [1000, 70_000, usize::MAX] {
        let (found, _) = read(stream.as_bytes(), piece);
        let lines: Vec<_> = found.iter().map(|(line, content)| (*line, content.is_ok())).collect();
        assert_eq!(lines, [(1, true), (2, false), (3, true), (4, false), (5, true)], "in pieces of {piece}");
        assert!(
            found.iter().all(|(_, content)| content.as_ref().map_or_else(String::len, String::len) <= KEPT_OF_LARGE)
        );
    }
}

#[test]
fn bytes_that_are_no_text_spoil_only_their_record() {
    let (found, _) = read(b"{\"a\":1}\n{\"a\":\"\xff\"}\n{\"a\":2}", 5);
    let lines: Vec<_> = found.iter().map(|(line, content)| (*line, content.is_ok())).collect();
    assert_eq!(lines, [(1, true), (2, false), (3, true)]);
}

#[test]
fn a_body_that_is_one_value_is_read_as_one_and_any_other_as_a_stream() {
    let read = |body: &str| {
        let mut found = Vec::new();
        let is_whole = read_records(body.as_bytes(), 1000, &mut |record| {
            let content = record.content.map(|json| json.text().get().to_owned());
            found.push((record.line, content.map_err(|broken| broken.reason)));
        });
        (found, is_whole)
    };
    let ok = |line: u64, text: &str| (line, Ok(text.to_owned()));
    let broken = |line: u64| (line, Err("not a JSON object".to_owned()));
    assert_eq!(read("\u{feff}\n{\"a\":\n1}\n"), (vec![ok(2, "{\"a\":\n1}")], true));
    assert_eq!(read("[{},\n[7,\n{\"a\":1}]]"), (vec![ok(1, "{}"), broken(2), ok(3, "{\"a\":1}")], true));
    assert_eq!(read("{}\n{}"), (vec![ok(1, "{}"), ok(2, "{}")], true));
    assert_eq!(read("{}\n7"), (vec![ok(1, "{}"), broken(2)], true));
    assert_eq!(read("[{}"), (vec![ok(1, "{}")], false));
    assert_eq!(read(" \n"), (vec![], true));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(read(&deep), (vec![broken(1)], true));
}

proptest! {
    #[test]
    fn whatever_comes_nothing_is_lost(stream in "[\\[\\]{}\",:a1 \\\\\n]{0,60}", piece in 1_usize..20) {
        let (whole, _) = read(stream.as_bytes(), usize::MAX);
        let (pieces, _) = read(stream.as_bytes(), piece);
        prop_assert_eq!(&whole, &pieces);
        let separators = |text: &str| text.chars().filter(|one| !"[], \n".contains(*one)).collect::<String>();
        let given: String = whole.iter().map(|(_, content)| content.as_ref().unwrap_or_else(|text| text).as_str()).collect();
        prop_assert_eq!(separators(&given), separators(&stream));
    }
}
