//! The rules for words: a doc comment begins with a noun or a verb, and each type of `src/` has a name of its own.

use std::collections::BTreeMap;
use std::io;

use super::{Fault, File, collect, identifier, told};

/// Words with which a doc comment does not begin, since its reader cannot know yet to what they refer.
const RIDDLES: [&str; 17] = [
    "It",
    "Its",
    "They",
    "Who",
    "Whoever",
    "Whose",
    "Whom",
    "That",
    "Those",
    "The same",
    "What",
    "Whatever",
    "Whichever",
    "Whether",
    "How",
    "Where",
    "Has",
];

/// The text of a line's doc comment; None without one.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

fn begins_with(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()))
}

/// Paragraphs of doc comments that begin with a riddle.
fn riddle_faults(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut is_inside = false;
    for (index, line) in file.text.lines().enumerate() {
        let text = doc_text(line).unwrap_or_default();
        if !is_inside && let Some(riddle) = RIDDLES.iter().find(|riddle| begins_with(text, riddle)) {
            faults.push(
                file.fault(index + 1, format!("a doc comment begins with `{riddle}`: begin with a noun or a verb")),
            );
        }
        is_inside = !text.is_empty() && !text.starts_with('#');
    }
    faults
}

/// The name of the type that a line defines at the top level of a module; None for other lines.
fn type_name(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.strip_prefix(' ')?,
        None => line,
    };
    let (keyword, rest) = rest.split_once(' ')?;
    let is_type = matches!(keyword, "struct" | "enum" | "trait" | "type" | "union");
    is_type.then(|| identifier(rest)).filter(|name| !name.is_empty())
}

/// The places at which each type is defined, by the types' names.
fn types(files: &[File]) -> BTreeMap<&str, Vec<Fault>> {
    let mut types: BTreeMap<&str, Vec<Fault>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.path.ends_with("tests.rs")) {
        for (number, name) in file.code().filter_map(|(number, line)| Some((number, type_name(line)?))) {
            types.entry(name).or_default().push(file.fault(number, format!("another type is called `{name}`, too")));
        }
    }
    types
}

#[test]
fn doc_comments_begin_with_nouns_or_verbs() -> io::Result<()> {
    let mut files = Vec::new();
    collect("src", &mut files)?;
    let faults: Vec<_> = files.iter().flat_map(riddle_faults).collect();
    assert!(faults.is_empty(), "\n{}", told(&faults));
    Ok(())
}

#[test]
fn each_type_has_a_name_of_its_own() -> io::Result<()> {
    let mut files = Vec::new();
    collect("src", &mut files)?;
    let types = types(&files);
    assert!(types.len() > 300, "only {} types were found", types.len());
    let mut faults = Vec::new();
    for places in types.into_values() {
        faults.extend(places.into_iter().skip(1));
    }
    assert!(faults.is_empty(), "\n{}", told(&faults));
    Ok(())
}

#[test]
fn riddles_and_shared_names_are_found() {
    let file = |text: &str| File { path: "src/a.rs".to_owned(), text: text.to_owned() };
    for (text, lines) in [
        ("//! It is.", &[1][..]),
        ("/// Whether it is.\nfn f() {}\n\n    /// The same.", &[1, 4]),
        ("/// A page.\n/// It has items.\n///\n/// # Errors\n/// It is none.", &[5]),
        ("/// Items, the whole list.\n/// What has no id is skipped.", &[]),
        ("/// Iterates.\n// It is no doc comment.", &[]),
    ] {
        let found: Vec<_> = riddle_faults(&file(text)).into_iter().map(|fault| fault.line).collect();
        assert_eq!(found, lines, "{text}");
    }
    let files = [
        file("pub struct A<'a> {\npub(in crate::b) enum B {\ntype C = A;\n    type D = A;\nstruct E;"),
        file("pub trait B {"),
    ];
    let found: Vec<_> = types(&files).into_iter().map(|(name, places)| (name, places.len())).collect();
    assert_eq!(found, [("A", 1), ("B", 2), ("C", 1), ("E", 1)]);
}
