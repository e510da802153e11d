//! No circle of files: no file uses another one that uses it in turn, directly or through others. Without circles, files
//! can be read one after the other, and a change of a file concerns only the files that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{File, collect, identifier, told};

/// A module, by its path from the crate's root.
type Module = Vec<String>;

/// The paths in a file that lead to other files.
#[derive(Default)]
struct Uses {
    /// The paths of names that a `use` or a `pub use` defines in the file.
    names: BTreeMap<String, Module>,
    /// The paths that the file itself depends on. A `pub use` is none of them: others depend on what it re-exports.
    paths: Vec<Module>,
}

/// The tokens of a file's code, without comments, literals and tests.
fn tokens(file: &File) -> Vec<String> {
    let code: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let tests = code.match_indices("#[cfg(test)]").find(|(at, marker)| {
        let item = code[at + marker.len()..].trim_start().split([';', '{']).next().unwrap_or_default();
        item.split_whitespace().any(|word| word == "mod")
    });
    let code = tests.map_or(&code[..], |(at, _)| &code[..at]);
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = code;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' => text_length(rest),
            '\'' => character_length(rest),
            ':' if rest.starts_with("::") => 2,
            _ => identifier(rest).len().max(letter.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if matches!(token, "r" | "br") && rest.starts_with(['#', '"']) {
            rest = &rest[raw_text_length(rest)..];
        } else if !token.starts_with(['"', '\'']) && !token.trim().is_empty() {
            tokens.push(token.to_owned());
        }
    }
    tokens
}

/// The length of the string literal at the start, in bytes.
fn text_length(code: &str) -> usize {
    let mut is_escaped = true;
    let end = code.char_indices().find(|(_, letter)| {
        let ends = *letter == '"' && !is_escaped;
        is_escaped = *letter == '\\' && !is_escaped;
        ends
    });
    end.map_or(code.len(), |(at, _)| at + 1)
}

/// The length of the raw string literal at the start, without its `r`, in bytes.
fn raw_text_length(code: &str) -> usize {
    let marks = code.len() - code.trim_start_matches('#').len();
    let end = format!("\"{}", &code[..marks]);
    code[marks + 1..].find(&end).map_or(code.len(), |at| marks + 1 + at + end.len())
}

/// The length of the character literal at the start, or of a lifetime's quote, in bytes.
fn character_length(code: &str) -> usize {
    let inner = &code[1..];
    let skipped = if inner.starts_with('\\') { 2 } else { inner.chars().next().map_or(0, char::len_utf8) };
    match inner.get(skipped..).and_then(|after| after.find('\'')) {
        Some(0) => skipped + 2,
        Some(at) if skipped == 2 => skipped + at + 2,
        _ => 1,
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// The paths that begin at a token, one for each name of a group in braces, and the name of each in this file.
fn paths(tokens: &[String], at: &mut usize, before: &[String]) -> Vec<(Module, String)> {
    let mut found = Vec::new();
    match tokens.get(*at).map(String::as_str) {
        Some("{") => {
            *at += 1;
            while let Some(token) = tokens.get(*at).filter(|token| *token != "}") {
                if token == "," {
                    *at += 1;
                } else {
                    let start = *at;
                    found.extend(paths(tokens, at, before));
                    *at = (*at).max(start + 1);
                }
            }
            *at += 1;
        }
        Some(word) if is_word(word) => {
            *at += 1;
            let mut path = before.to_vec();
            if word != "self" || before.is_empty() {
                path.push(word.to_owned());
            }
            if tokens.get(*at).is_some_and(|token| token == "::") {
                *at += 1;
                return paths(tokens, at, &path);
            }
            let mut name = path.last().cloned().unwrap_or_default();
            if let [keyword, other, ..] = &tokens[*at..]
                && keyword == "as"
            {
                name.clone_from(other);
                *at += 2;
            }
            found.push((path, name));
        }
        // A glob or type arguments end the path before them.
        _ => found.extend(before.last().map(|name| (before.to_vec(), name.clone()))),
    }
    found
}

/// The path from the crate's root; None for a path into another crate.
fn from_root(path: &[String], module: &[String], modules: &BTreeMap<Module, &File>) -> Option<Module> {
    let inner = |base: &[String], rest: &[String]| Some([base, rest].concat());
    match path.first()?.as_str() {
        "crate" => inner(&[], &path[1..]),
        "self" => inner(module, &path[1..]),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            inner(&module[..module.len().checked_sub(up)?], &path[up..])
        }
        child => modules.contains_key(&[module, &[child.to_owned()]].concat()).then(|| [module, path].concat()),
    }
}

fn uses(file: &File, module: &[String], modules: &BTreeMap<Module, &File>) -> Uses {
    let tokens = tokens(file);
    let mut uses = Uses::default();
    let mut at = 0;
    while at < tokens.len() {
        let before = tokens[..at].last().map(String::as_str);
        let begins_path = tokens.get(at + 1).is_some_and(|next| next == "::")
            && !matches!(before, Some("::" | "." | "in"))
            && from_root(&tokens[at..=at], module, modules).is_some();
        if tokens[at] == "use" {
            let is_reexport = match before {
                Some(")") => tokens[..at].iter().rev().take_while(|token| *token != ";").any(|token| token == "pub"),
                before => before == Some("pub"),
            };
            at += 1;
            for (path, name) in paths(&tokens, &mut at, &[]) {
                let Some(path) = from_root(&path, module, modules) else { continue };
                uses.names.insert(name, path.clone());
                uses.paths.extend((!is_reexport).then_some(path));
            }
        } else if begins_path {
            let found = paths(&tokens, &mut at, &[]);
            uses.paths.extend(found.iter().filter_map(|(path, _)| from_root(path, module, modules)));
        } else {
            at += 1;
        }
    }
    uses
}

/// The module that defines the target of a path. Re-exports are followed.
fn defining_module(path: &[String], all: &BTreeMap<Module, Uses>, depth: usize) -> Module {
    let mut module = Module::new();
    for (at, segment) in path.iter().enumerate() {
        let inner = [&module[..], std::slice::from_ref(segment)].concat();
        if all.contains_key(&inner) {
            module = inner;
            continue;
        }
        if let Some(elsewhere) = all.get(&module).and_then(|uses| uses.names.get(segment)).filter(|_| depth > 0) {
            return defining_module(&[&elsewhere[..], &path[at + 1..]].concat(), all, depth - 1);
        }
        break;
    }
    module
}

/// The files of `src/` that are in circles, each with the files of its circle that it uses.
fn circles(files: &[File]) -> BTreeMap<String, BTreeSet<String>> {
    let module_of = |file: &File| -> Option<Module> {
        let path = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let is_left_out = path == "main" || path.ends_with("tests");
        let segments = path.split('/').filter(|segment| *segment != "lib").map(str::to_owned);
        (!is_left_out).then(|| segments.collect())
    };
    let modules: BTreeMap<Module, &File> = files.iter().filter_map(|file| Some((module_of(file)?, file))).collect();
    let all: BTreeMap<Module, Uses> =
        modules.iter().map(|(module, file)| (module.clone(), uses(file, module, &modules))).collect();
    let used: BTreeMap<&Module, BTreeSet<Module>> = all
        .iter()
        .map(|(module, uses)| (module, uses.paths.iter().map(|path| defining_module(path, &all, 8)).collect()))
        .collect();
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> = used[from].iter().filter(|module| *module != from).collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(used[module].iter().filter(|inner| *inner != module));
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = used.keys().map(|module| (*module, reached(module))).collect();
    let path = |module: &Module| modules[module].path.clone();
    let in_circles = used.keys().filter(|module| reached[*module].contains(*module));
    let with_others = in_circles.map(|module| {
        let same = used[module].iter().filter(|other| other != module && reached[*other].contains(module));
        (path(module), same.map(path).collect())
    });
    with_others.collect()
}

#[test]
fn files_form_no_circles() -> io::Result<()> {
    let mut files = Vec::new();
    collect("src", &mut files)?;
    let found = circles(&files);
    let fault = |file: &File| {
        let others = found.get(&file.path)?;
        Some(file.fault(1, format!("the file is in a circle of files, since it uses {others:?}")))
    };
    let faults: Vec<_> = files.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "\n{}", told(&faults));
    Ok(())
}

#[test]
fn circles_are_found_through_reexports() {
    let circle = |texts: &[(&str, &str)]| {
        let files = texts.iter().map(|(path, text)| File { path: format!("src/{path}.rs"), text: (*text).to_owned() });
        circles(&files.collect::<Vec<_>>()).into_keys().collect::<Vec<_>>()
    };
    let parent = ("a", "mod b;\nmod c;\npub use b::B;\npub use c::{C, D as E};");
    for (b, c, is_circle) in [
        ("use super::c::C;", "use crate::a::b::B;", true),
        ("use super::C;", "use crate::a::{d::X, B};", true),
        ("fn f() { super::c::f::<u8>() }", "use super::*;\nfn f() -> crate::a::b::B {}", true),
        ("use super::E;", "fn f(b: &super::b::B) {}", true),
        ("use super::C;", "// use super::B;\nconst T: &str = \"super::b::B\";", false),
        ("use super::C;", "#[cfg(test)]\nmod tests { use super::super::B; }", false),
        ("use super::C;", "pub use super::b::B;", false),
        ("use super::C;", "use std::b::B;", false),
    ] {
        let expected: &[&str] = if is_circle { &["src/a/b.rs", "src/a/c.rs"] } else { &[] };
        assert_eq!(circle(&[parent, ("a/b", b), ("a/c", c)]), expected, "{b} {c}");
    }
    assert_eq!(circle(&[("a", "mod b;\nstruct A;\nfn f() { b::g() }"), ("a/b", "use super::A;")]).len(), 2);
    assert_eq!(circle(&[("lib", "mod a;\nfn f() { a::g() }"), ("a", "use crate::f;")]).len(), 2);
}
