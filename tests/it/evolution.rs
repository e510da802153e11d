//! What docs/evolution.md promises, and can be held to: dates of deprecations, the list of error codes.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The Rust files of a directory and of those in it.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Words in quotation marks that look like an error code.
fn codes(text: &str) -> Vec<&str> {
    let is_code =
        |word: &&str| word.contains('_') && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    text.split('"').filter(is_code).collect()
}

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
fn every_error_code_is_told() {
    let told = read("docs/evolution.md");
    let mut found = 0;
    for directory in ["src/graphql", "src/serve"] {
        for path in sources(&root().join(directory)) {
            // The ways in are no part of the graph.
            if path.ends_with("hook.rs") || path.ends_with("problem.rs") {
                continue;
            }
            for code in codes(&read(&path)) {
                found += 1;
                assert!(told.contains(&format!("`{code}`")), "{}: {code} is not in docs/evolution.md", path.display());
            }
        }
    }
    assert!(found >= 10, "only {found} codes were found");
}

#[test]
fn every_deprecation_has_its_date() {
    assert_eq!(undated(&read("schema.graphql")), Vec::<&str>::new());
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
