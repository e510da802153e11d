//! The rule for sizes: no module of `src/` has a large share of all lines.

use std::collections::BTreeMap;
use std::io;

use super::{File, collect};

/// Largest share of the lines of `src/` that one module may have, in percent. The graph has the largest one, since its
/// descriptions stand in the code.
const MAX_SHARE: usize = 17;

/// The number of a file's lines before its tests; 0 for a file of tests.
fn lines(file: &File) -> usize {
    let has_code = !file.path.ends_with("tests.rs");
    file.text.lines().take_while(|line| has_code && *line != "mod tests {").count()
}

#[test]
fn no_module_has_too_large_a_share_of_the_lines() -> io::Result<()> {
    let mut files = Vec::new();
    collect("src", &mut files)?;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &files {
        *sizes.entry(file.module().unwrap_or_default()).or_default() += lines(file);
    }
    let total: usize = sizes.values().sum();
    sizes.retain(|_, size| *size * 100 > total * MAX_SHARE);
    assert!(sizes.is_empty(), "more than {MAX_SHARE} % of {total} lines are in {sizes:?}");
    Ok(())
}
