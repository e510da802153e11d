//! The errors' codes in `docs/errors.md` are those that the gateway gives.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where answers to GraphQL requests are made.
const PLACES: [&str; 9] = [
    "src/graphql",
    "src/serve/admission.rs",
    "src/serve/authorization.rs",
    "src/serve/graphql_http",
    "src/serve/graphql_http.rs",
    "src/serve/origin.rs",
    "src/serve/stream",
    "src/serve/subscribers.rs",
    "src/serve/websocket/lost_upgrade.rs",
];

/// Whether a text looks like a code. Shorter ones are Okta's severities and the like.
fn is_code(text: &str) -> bool {
    text.len() > 5 && text.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
}

/// The texts between quotation marks that look like codes.
fn collect(path: &Path, codes: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), codes);
        }
        return;
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("name = "));
    codes.extend(
        code.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|text| is_code(text)).map(str::to_owned),
    );
}

#[test]
fn every_code_is_told_of_and_there_is_none_besides() {
    // Two codes are made elsewhere, and the last one is too short for `collect`.
    let mut given = BTreeSet::from(["TOO_MANY_OPERATIONS", "TOO_MANY_SIGN_INS", "BUSY"].map(str::to_owned));
    for place in PLACES {
        collect(&Path::new(ROOT).join(place), &mut given);
    }
    let document = fs::read_to_string(Path::new(ROOT).join("docs/errors.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(given, told);
}
