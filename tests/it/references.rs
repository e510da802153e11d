//! The references in docs/ are complete: every setting with its default and range, every option, every metric. Every link
//! of a document leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::started_with::Place;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Returns the text of a page's section, up to the next heading of the same level.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    let level = heading.split(' ').next().unwrap();
    rest.split_once(&format!("\n{level} ")).map_or(rest, |(section, _)| section)
}

/// Returns the rows of tables, without headings: the name in the first cell, and the other cells.
fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        assert!(rows.insert(name, cells.collect()).is_none(), "two rows: {line}");
    }
    rows
}

/// Returns the names of a struct's fields, as they are written in a file.
fn fields(code: &str, name: &str) -> BTreeSet<String> {
    let (_, rest) = code.split_once(&format!("struct {name} {{")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub(super) ")?.split_once(':'));
    fields.map(|(field, _)| field.to_owned()).collect()
}

#[test]
fn every_setting_of_a_table_is_told_of() {
    let (page, code) = (read("docs/settings.md"), read("src/config/file.rs"));
    for (name, heading) in [
        ("OrgTable", "## `[[orgs]]`"),
        ("PrivacyTable", "## `[orgs.privacy]`"),
        ("ApiTable", "## `[orgs.api]`"),
        ("ReaderTable", "## `[[readers]]`"),
        ("IssuerTable", "## `[[issuers]]`"),
        ("SignInTable", "## `sign_in` of an issuer"),
        ("RuleTable", "## `[[issuers.rules]]`"),
        ("GraphqlTable", "## `[graphql]`"),
        ("AccessTable", "## `[access]`"),
    ] {
        let mut there = fields(&code, name);
        // Tables of their own.
        there.remove("api");
        there.remove("privacy");
        there.remove("rules");
        let told: BTreeSet<_> = rows(section(&page, heading)).into_keys().collect();
        assert_eq!(there, told, "{heading}");
    }
    let tables = fields(&code, "File");
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["access", "graphql", "issuers", "limits", "orgs", "readers"]);
}

#[test]
fn every_limit_is_told_of_with_its_default_and_its_range() {
    let page = read("docs/settings.md");
    let told = rows(section(&page, "## `[limits]`"));
    let defaults = format!("{:#?}", Place::new("").read(&|_| None).limits);
    let defaults = defaults.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
    let defaults: BTreeMap<_, _> = defaults.collect();
    assert!(defaults.len() > 30, "{defaults:?}");
    assert_eq!(defaults.keys().copied().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
    // Beyond each range. One of them has fewer bits.
    let beyond = |name: &str| if name == "query_connections" { 4_000_000_000 } else { 2_000_000_000_000_u64 };
    let settings: Vec<_> = defaults.keys().map(|name| format!("{name} = {}", beyond(name))).collect();
    let said = Place::new(format!("[limits]\n{}", settings.join("\n"))).check(&[]);
    let faults = said.faults();
    for (name, cells) in &told {
        let range = faults.iter().find_map(|fault| fault.strip_prefix(&format!("limits.{name}: must be from ")));
        let range = range.unwrap_or_else(|| panic!("{name} has no range: {said:?}"));
        let [default, told_range, ..] = &cells[..] else { panic!("{name}: {cells:?}") };
        assert!(told_range.starts_with(range), "{name}: {told_range} is not {range}");
        match defaults[name.as_str()] {
            "None" => {
                assert_eq!(
                    (name.as_str(), default.as_str()),
                    ("connections_per_address", "a quarter of `connections`")
                );
            }
            value => assert_eq!(default, value, "{name}"),
        }
    }
}

#[test]
fn every_option_and_variable_of_the_gateway_is_told_of() {
    let page = read("docs/settings.md");
    let table = section(&page, "## Command line and environment");
    let help = Place::new("").run(&["serve", "--help"], &[]).output;
    let options = help.lines().filter_map(|line| line.trim().split([' ', ',']).find(|word| word.starts_with("--")));
    let variables = help.split("[env: ").skip(1).filter_map(|rest| rest.split([']', '=']).next());
    let names: Vec<_> = options.chain(variables).filter(|name| *name != "--help").collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        assert!(table.contains(&format!("`{name}`")) || table.contains(&format!("`{name} ")), "{name}");
    }
}

/// A metric, as code makes it or a page describes it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// Returns the Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Adds the metrics that a file describes or makes. Names that are in a variable are those of another place.
fn collect_metrics(text: &str, metrics: &mut BTreeMap<String, Metric>) {
    for kind in ["counter", "gauge", "histogram"] {
        for call in text.split(&format!("{kind}!(")).skip(1) {
            let call = call.trim_start();
            let Some((name, rest)) = call.strip_prefix('"').and_then(|call| call.split_once('"')) else { continue };
            let metric = metrics.entry(name.to_owned()).or_default();
            assert!(metric.kind.is_empty() || metric.kind == kind, "{name} is a {} and a {kind}", metric.kind);
            kind.clone_into(&mut metric.kind);
            // The labels are literals before arrows, in the call itself.
            let rest = rest.split_once(")\n").map_or(rest, |(rest, _)| rest);
            let arrows = rest.split(';').next().unwrap_or_default().split(" =>");
            let labels: Vec<_> = arrows.collect();
            for label in labels.iter().rev().skip(1) {
                if let Some(label) = label.strip_suffix('"').and_then(|label| label.rsplit('"').next()) {
                    metric.labels.insert(label.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_metric_is_told_of_with_its_type_and_its_labels() {
    let mut there = BTreeMap::new();
    for file in files(&Path::new(ROOT).join("src")) {
        collect_metrics(&fs::read_to_string(file).unwrap(), &mut there);
    }
    assert!(there.len() > 50, "only {} metrics were found", there.len());
    let told = rows(&read("docs/metrics.md")).into_iter().map(|(name, cells)| {
        let labels = cells[1].split(", ").filter(|label| !label.is_empty());
        (
            name,
            Metric { kind: cells[0].clone(), labels: labels.map(|label| label.trim_matches('`').to_owned()).collect() },
        )
    });
    let told: BTreeMap<_, _> = told.collect();
    assert_eq!(there.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
    for (name, metric) in &there {
        assert_eq!(*metric, told[name], "{name}");
    }
}

/// Returns the lines of a document that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// Returns the names by which links lead to the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// Returns the links of a document that lead nowhere.
fn broken_links(path: &str, text: &str) -> Vec<String> {
    let directory = Path::new(path).parent().unwrap();
    let links = prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    let is_broken = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { PathBuf::from(path) } else { directory.join(file) };
        let target = Path::new(ROOT).join(target);
        !target.exists() || !anchor.is_empty() && !anchors(&fs::read_to_string(target).unwrap()).contains(anchor)
    };
    links.filter(|link| !link.contains("://")).filter(is_broken).map(|link| format!("{path}: {link}")).collect()
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let pages = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let pages = pages.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let named = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let broken: Vec<_> = pages.chain(named).flat_map(|path| broken_links(&path, &read(&path))).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let text =
        "# A `[head]` here\n[one](#a-head-here) [two](#nowhere) [three](docs/none.md) [four](docs/okta.md#none)\n";
    // A link to a page's own heading is looked for in the file.
    assert_eq!(anchors(text), BTreeSet::from(["a-head-here".to_owned()]));
    assert_eq!(broken_links("README.md", text).len(), 4);
}
