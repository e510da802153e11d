//! The house rules, held: layers, confined libraries, files one can read, documents that say what is there.

mod circles;
mod plain_words;
mod readers;
mod sizes;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The modules of `src/`. Each row builds on those before it: a module uses modules of earlier rows only.
const LAYERS: [&[&str]; 13] = [
    &["abort_on_drop", "access_log", "backoff", "event", "failed_request", "language", "lru_cache"],
    &["okta", "postgres"],
    &["store"],
    &["access", "catalogue", "ledger"],
    &["log"],
    &["ingest", "live", "auth"],
    &["graphql"],
    &["serve"],
    &["config"],
    &["telemetry"],
    &["app"],
    &["fuzzing"],
    &["lib", "main"],
];

/// Libraries, and the only modules that know each, with those below them.
const CONFINED: [(&str, &[&str]); 5] = [
    ("sqlx", &["access", "catalogue", "ledger", "postgres", "store"]),
    ("async_nats", &["live/tail/nats"]),
    ("async_graphql", &["graphql"]),
    ("async_graphql_axum", &["serve"]),
    ("axum", &["serve"]),
];

/// Names that say nothing of what is in a file.
const SAYS_NOTHING: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

// In pieces, so that they are not found here.
const FORBIDDEN_CODE: [&str; 5] = [
    concat!("#[al", "low("),
    concat!("#![al", "low("),
    concat!("#[ig", "nore"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];
const LEFT_OVER: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("dbg", "!(")];

const MAX_LINES: usize = 400;
const MAX_ARCHITECTURE_LINES: usize = 170;

/// A text of the repository.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Fault {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

impl File {
    fn read(path: &str) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), text: fs::read_to_string(Path::new(ROOT).join(path))? })
    }

    /// The module of `src/` to which it belongs: `store` for `src/store.rs` and for all under `src/store/`.
    fn module(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split(['/', '.']).next()
    }

    /// Whether it is a module of `src/` or one below that.
    fn is_of(&self, module: &str) -> bool {
        let rest = self.path.strip_prefix("src/").and_then(|path| path.strip_prefix(module));
        rest.is_some_and(|rest| rest.starts_with(['/', '.']))
    }

    /// How many modules are above its own, the crate's root included.
    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    /// Its lines without comments, numbered.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_comment = |line: &str, at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
        self.text.lines().enumerate().map(move |(index, line)| {
            let end = line.match_indices("//").find(|(at, _)| is_comment(line, *at)).map_or(line.len(), |(at, _)| at);
            (index + 1, &line[..end])
        })
    }

    fn fault(&self, line: usize, rule: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), line, rule: rule.into() }
    }
}

/// Every Rust file under a directory.
fn collect(directory: &str, files: &mut Vec<File>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join(directory))? {
        let entry = entry?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?.is_dir()));
    }
    names.sort();
    for (name, is_directory) in names {
        let path = format!("{directory}/{name}");
        if is_directory {
            collect(&path, files)?;
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            files.push(File::read(&path)?);
        }
    }
    Ok(())
}

fn row(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Where a word stands by itself in a line.
fn words<'l>(line: &'l str, word: &'l str) -> impl Iterator<Item = usize> + 'l {
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&line[..*at], &line[at + word.len()..]);
        !before.chars().next_back().is_some_and(in_word) && !after.chars().next().is_some_and(in_word)
    })
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> &str {
    text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').map_or(text, |end| &text[..end])
}

/// The names with which a path goes on: one, or those of a group in braces.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(identifier(group[start..at].trim()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Modules that a file uses from where it may not.
fn layer_faults(file: &File) -> Vec<Fault> {
    let Some(module) = file.module() else { return Vec::new() };
    let Some(own_row) = row(module) else { return vec![file.fault(1, "this module has no place in the layers")] };
    // One text, so that a group over several lines is read whole.
    let mut code = String::new();
    let mut starts = Vec::new();
    for (number, line) in file.code() {
        starts.push((code.len(), number));
        code.push_str(line);
        code.push('\n');
    }
    let to_root = "super::".repeat(file.depth());
    let paths = words(&code, "crate")
        .filter_map(|at| Some((at, code[at..].strip_prefix("crate::")?)))
        .chain(code.match_indices(&to_root).map(|(at, _)| (at, &code[at + to_root.len()..])));
    let mut faults = Vec::new();
    for (at, path) in paths {
        let line = starts.iter().take_while(|(start, _)| *start <= at).last().map_or(1, |(_, number)| *number);
        let by_name = code[at..].starts_with("crate");
        for used in first_names(path) {
            let is_allowed = match row(used) {
                Some(row) => used == module || row < own_row,
                // What `super` reaches is an inline module's parent, where it names none of the crate's modules.
                None => !by_name,
            };
            if !is_allowed {
                faults.push(file.fault(line, format!("`{module}` may not use `{used}`: it is in no earlier row")));
            }
        }
    }
    faults
}

/// Libraries that a file uses where another module alone may know them.
fn library_faults(file: &File) -> Vec<Fault> {
    if file.module().is_none() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (number, line) in file.code() {
        for (library, homes) in CONFINED.iter().filter(|(_, homes)| !homes.iter().any(|home| file.is_of(home))) {
            let is_used = words(line, library)
                .any(|at| line[at + library.len()..].starts_with("::") || line[..at].trim_end().ends_with("use"));
            if is_used {
                faults.push(file.fault(number, format!("only `{}` may know `{library}`", homes.join("`, `"))));
            }
        }
    }
    faults
}

/// What every Rust file keeps to.
fn file_faults(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let names: Vec<&str> = file.path.trim_end_matches(".rs").split('/').collect();
    if names.last() == Some(&"mod") {
        faults.push(file.fault(1, "a module is x.rs and x/, not x/mod.rs"));
    }
    if let Some(name) = names.iter().find(|name| SAYS_NOTHING.contains(name)) {
        faults.push(file.fault(1, format!("the name {name} does not say what is in it")));
    }
    if !file.text.starts_with("//! ") {
        faults.push(file.fault(1, "the first line is `//!` and what the file is"));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        faults.push(file.fault(lines, format!("{lines} lines, at most {MAX_LINES} are allowed")));
    }
    for (number, line) in file.code() {
        for word in FORBIDDEN_CODE.iter().filter(|word| line.contains(**word)) {
            faults.push(file.fault(number, format!("`{word}` is not allowed")));
        }
    }
    faults
}

/// What somebody forgot.
fn left_over_faults(file: &File) -> Vec<Fault> {
    let lines = file.text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let left = LEFT_OVER.iter().filter(|word| line.contains(**word));
            left.map(move |word| file.fault(index + 1, format!("`{word}` was left over")))
        })
        .collect()
}

/// Paths that a document names and that do not exist.
fn path_faults(document: &File, exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    const PLACES: [&str; 10] =
        ["src/", "tests/", "migrations/", "okta-sim/", "bench/", "scripts/", "deploy/", ".ci/", "console/", "docs/"];
    let mut faults = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        let tokens = line.split(|letter: char| letter.is_whitespace() || "`()[],;:|#".contains(letter));
        for path in tokens.map(|token| token.trim_end_matches(['.', '*'])) {
            if PLACES.iter().any(|place| path.starts_with(place)) && !exists(path) {
                faults.push(document.fault(index + 1, format!("{path} does not exist")));
            }
        }
    }
    faults
}

/// Targets of `make` that a document names, in its code, and that the Makefile does not have.
fn make_faults(document: &File, makefile: &str) -> Vec<Fault> {
    let has = |target: &str| makefile.lines().any(|line| line.split(':').next() == Some(target));
    let mut faults = Vec::new();
    let mut in_block = false;
    for (index, line) in document.text.lines().enumerate() {
        in_block ^= line.starts_with("```");
        let inline = line.split("`make ").skip(1);
        let in_code = line.strip_prefix("make ").filter(|_| in_block);
        for target in inline.chain(in_code).map(identifier).filter(|target| !has(target)) {
            faults.push(document.fault(index + 1, format!("the Makefile has no target {target}")));
        }
    }
    faults
}

fn told(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_code_is_tidy() -> io::Result<()> {
    let mut files = Vec::new();
    for directory in ["src", "tests", "okta-sim", "bench", "fuzz/targets"] {
        collect(directory, &mut files)?;
    }
    let checks = [layer_faults, library_faults, readers::reader_faults, file_faults, left_over_faults];
    let faults: Vec<Fault> = files.iter().flat_map(|file| checks.iter().flat_map(move |check| check(file))).collect();
    assert!(files.len() > 60, "only {} files were found", files.len());
    assert!(faults.is_empty(), "\n{}", told(&faults));
    Ok(())
}

#[test]
fn the_documents_say_what_is_there() -> io::Result<()> {
    let makefile = File::read("Makefile")?;
    let architecture = File::read("ARCHITECTURE.md")?;
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    let mut faults = Vec::new();
    let mut documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(Path::new(ROOT).join("docs"))? {
        documents.push(format!("docs/{}", entry?.file_name().to_string_lossy()));
    }
    for path in documents {
        let document = File::read(&path)?;
        faults.extend(path_faults(&document, exists));
        faults.extend(make_faults(&document, &makefile.text));
        faults.extend(left_over_faults(&document));
    }
    let lines = architecture.text.lines().count();
    if lines > MAX_ARCHITECTURE_LINES {
        faults.push(architecture.fault(lines, format!("{lines} lines, at most {MAX_ARCHITECTURE_LINES} are allowed")));
    }
    for module in LAYERS.iter().copied().flatten().filter(|module| exists(&format!("src/{module}.rs"))) {
        if !architecture.text.contains(&format!("src/{module}.rs")) {
            faults.push(architecture.fault(1, format!("the code map does not name src/{module}.rs")));
        }
    }
    let readme = File::read("README.md")?;
    for command in ["make run", "make test"].into_iter().filter(|command| !readme.text.contains(command)) {
        faults.push(readme.fault(1, format!("it does not tell of `{command}`")));
    }
    assert!(faults.is_empty(), "\n{}", told(&faults));
    Ok(())
}

#[test]
fn the_checks_find_faults() {
    let found = |check: fn(&File) -> Vec<Fault>, path: &str, text: &str| {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check(&file).iter().map(Fault::to_string).collect::<Vec<_>>()
    };
    let [allow, ..] = FORBIDDEN_CODE;
    let [left, ..] = LEFT_OVER;
    let code = |line: &str| format!("//! A module.\n{line}\n");
    for (check, path, text, fault) in [
        (
            layer_faults as fn(&File) -> Vec<Fault>,
            "src/event/page.rs",
            "use crate::store::Store;",
            "may not use `store`",
        ),
        (layer_faults, "src/okta.rs", "use super::store;", "may not use `store`"),
        (layer_faults, "src/live/tail.rs", "use super::super::auth::Viewer;", "may not use `auth`"),
        (layer_faults, "src/log.rs", "use crate::{event::{Filter, Page}, serve::Routes};", "may not use `serve`"),
        (layer_faults, "src/log.rs", "let x = crate::unknown::y();", "may not use `unknown`"),
        (layer_faults, "src/log.rs", "use crate::*;", "may not use ``"),
        (layer_faults, "src/stray.rs", "", "no place in the layers"),
        (library_faults, "src/live.rs", "use async_graphql::Value;", "only `graphql` may know `async_graphql`"),
        (library_faults, "src/app.rs", "let router = axum::Router::new();", "only `serve` may know `axum`"),
        (
            library_faults,
            "src/graphql.rs",
            "use sqlx;",
            "only `access`, `catalogue`, `ledger`, `postgres`, `store` may know `sqlx`",
        ),
        (library_faults, "src/live/tail.rs", "use async_nats::Client;", "only `live/tail/nats` may know `async_nats`"),
        (file_faults, "src/live/mod.rs", "", "not x/mod.rs"),
        (file_faults, "okta-sim/src/utils.rs", "", "the name utils does not say"),
        (file_faults, "src/live.rs", allow, "is not allowed"),
        (left_over_faults, "src/live.rs", left, "was left over"),
    ] {
        let found = found(check, path, &code(text));
        assert!(matches!(&found[..], [one] if one.contains(fault) && one.starts_with(path)), "{text}: {found:?}");
    }
    for (check, path, text) in [
        (layer_faults as fn(&File) -> Vec<Fault>, "src/log/writer.rs", "use crate::{event::Page, store::Store};"),
        (layer_faults, "src/postgres/private/lock.rs", "use super::super::error; // as crate::serve does"),
        (layer_faults, "src/store/page.rs", "mod tests { use super::super::row; use crate::store::row::Row; }"),
        (library_faults, "src/serve.rs", "use async_graphql_axum::rejection;\nuse axum::Router;"),
        (library_faults, "src/live/tail/nats/receiver.rs", "use async_nats::Client;"),
        (library_faults, "src/telemetry.rs", "let quiet = \"sqlx=warn\";"),
        (file_faults, "src/live.rs", "let x = 1; // not todo, and no attribute"),
    ] {
        assert_eq!(found(check, path, &code(text)), Vec::<String>::new(), "{text}");
    }
    assert_eq!(found(file_faults, "src/live.rs", "use x;").len(), 1, "no line says what the file is");
    assert_eq!(found(file_faults, "src/live.rs", &code(&"\n".repeat(MAX_LINES))).len(), 1, "the file is too long");
    let document =
        File { path: "README.md".to_owned(), text: "Run `make ran`: see `src/gone.rs`.\nmake do".to_owned() };
    assert_eq!(make_faults(&document, "run:\n\tscripts/run\n").len(), 1);
    assert_eq!(path_faults(&document, |path| path != "src/gone.rs").len(), 1);
}
