//! The rule that readers read the log through a `View` alone: what would lead around it is named in few modules.

use super::{Fault, File, first_names, words};

/// Types, their modules, and the modules that may name each type. The store reads without a reader's rights; the ledger,
/// the catalogue and the appender are for writers.
const TYPES: [(&str, &str, &[&str]); 4] = [
    ("store::", "Store", &["store", "ledger", "catalogue", "access", "log", "app"]),
    ("store::", "Appender", &["store", "log"]),
    ("ledger::", "Ledger", &["ledger", "log", "ingest", "app"]),
    ("catalogue::", "Catalogue", &["catalogue", "ingest"]),
];

/// The function that makes the rights to everything, and the modules that may call it: those beneath the log, `auth` for
/// a reader without limits, and the tail reader for the gateway itself.
const RIGHTS_TO_EVERYTHING: (&str, &[&str]) = ("Rights::everything", &["event", "store", "log", "auth", "live/tail"]);

/// Names that lead to the log without a reader's rights, in modules that may not know them.
pub(super) fn reader_faults(file: &File) -> Vec<Fault> {
    if file.module().is_none() {
        return Vec::new();
    }
    let may_name = |modules: &[&str]| modules.iter().any(|module| file.is_of(module));
    let mut faults = Vec::new();
    // One text, so that a group over several lines is read whole.
    let code: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    for (module, name, modules) in TYPES.into_iter().filter(|(.., modules)| !may_name(modules)) {
        let paths = words(&code, module.trim_end_matches(':'));
        for (at, path) in paths.filter_map(|at| Some((at, code[at..].strip_prefix(module)?))) {
            if first_names(path).contains(&name) || path.starts_with('*') {
                faults.push(file.fault(line_of(at), format!("`{name}` may be named in {} only", modules.join(", "))));
            }
        }
    }
    let (name, modules) = RIGHTS_TO_EVERYTHING;
    if !may_name(modules) {
        let calls = words(&code, name);
        faults.extend(
            calls.map(|at| file.fault(line_of(at), format!("`{name}` may be called in {} only", modules.join(", ")))),
        );
    }
    faults
}

#[test]
fn ways_around_a_view_are_found() {
    let found = |path: &str, text: &str| {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        reader_faults(&file).iter().map(Fault::to_string).collect::<Vec<_>>()
    };
    for (path, text, fault) in [
        (
            "src/graphql/types/query.rs",
            "//! A.\nuse crate::store::{\n    EventPage,\n    Store,\n};",
            "query.rs:2: `Store` may be named",
        ),
        ("src/serve/status.rs", "fn look(store: &crate::store::Store) {}", "status.rs:1: `Store` may be named"),
        ("src/live.rs", "use crate::ledger::{Ledger, PollCursor};", "`Ledger` may be named"),
        ("src/graphql.rs", "use crate::catalogue::Catalogue;", "`Catalogue` may be named"),
        ("src/ingest/intake.rs", "use crate::store::Store;", "`Store` may be named"),
        (
            "src/graphql.rs",
            "let view = log.view(Rights::everything(), credential);",
            "`Rights::everything` may be called",
        ),
        ("src/live/feed.rs", "Rights::everything().narrow(filter)", "`Rights::everything` may be called"),
    ] {
        let found = found(path, text);
        assert!(matches!(&found[..], [one] if one.contains(fault)), "{text}: {found:?}");
    }
    assert_eq!(found("src/graphql.rs", "use crate::store::*;\nuse crate::ledger::*;").len(), 3);
    for (path, text) in [
        ("src/graphql/answer/error.rs", "use crate::store::StoreError;\nlet x = ResumeError::Store(error);"),
        ("src/log/view.rs", "use crate::store::{Credential, Store};"),
        ("src/app.rs", "use crate::ledger::Ledger;\nuse crate::store::Store;"),
        ("src/live/tail/reader.rs", "log.view(Rights::everything(), &Credential::Gateway)"),
        ("src/serve.rs", "// as crate::store::Store does"),
        ("tests/it/append.rs", "use sluice::store::Store;"),
    ] {
        assert_eq!(found(path, text), Vec::<String>::new(), "{text}");
    }
}
