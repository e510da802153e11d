//! What docs/evolution.md promises, and can be held to: dates of deprecations.

/// Lines with a deprecation that does not end with its date.
fn undated(schema: &str) -> Vec<&str> {
    let is_date = |text: &str| {
        text.len() == 10
            && text
                .char_indices()
                .all(|(at, letter)| if [4, 7].contains(&at) { letter == '-' } else { letter.is_ascii_digit() })
    };
    let since = |line: &str| {
        let reason = line.split_once("reason: \"")?.1.split_once('"')?.0;
        Some(reason.rsplit_once(" Since ")?.1.trim_end_matches('.').to_owned())
    };
    let deprecated = schema.lines().filter(|line| line.contains("@deprecated") && !line.contains("directive"));
    deprecated.filter(|line| !since(line).is_some_and(|date| is_date(&date))).collect()
}

#[test]
fn every_deprecation_has_its_date() {
    assert_eq!(undated(include_str!("../../schema.graphql")), Vec::<&str>::new());
    for (field, is_undated) in [
        (r#"old: Int @deprecated(reason: "Use `new`. Since 2027-01-31.")"#, false),
        (r#"old: Int @deprecated(reason: "Use `new`.")"#, true),
        (r#"old: Int @deprecated(reason: "Use `new`. Since last week.")"#, true),
        ("old: Int @deprecated", true),
        ("old: Int", false),
    ] {
        assert_eq!(!undated(field).is_empty(), is_undated, "{field}");
    }
}
