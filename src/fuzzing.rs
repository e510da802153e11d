//! The targets of fuzzing: everything that reads what strangers send. `make fuzz` calls them with inputs that libFuzzer makes up,
//! and a test below with the seeds in `fuzz/seeds/`. A target panics if a promise is broken.

use crate::{auth, graphql, ingest, serve};

/// A target: its name, which is also that of its seeds' directory, and what it does with an input.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [FuzzTarget; 5] = [
    ("delivery", ingest::fuzzing::deliveries),
    ("request", graphql::fuzzing::requests),
    ("websocket", serve::fuzzing::conversations),
    ("text", graphql::fuzzing::texts),
    ("token", auth::fuzzing::tokens),
];

/// Calls the target of this name with an input.
pub fn run(name: &str, input: &[u8]) {
    for (_, target) in TARGETS.iter().filter(|(known, _)| *known == name) {
        target(input);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The least number of seeds of a target.
    const LEAST: usize = 10;

    #[test]
    fn every_seed_keeps_the_promises() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let mut names: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| std::ffi::OsString::from(name)).collect();
        names.sort();
        known.sort();
        assert_eq!(names, known, "each target has seeds, and no others are there");
        let mut bytes = 0;
        for (name, target) in TARGETS {
            let files = fs::read_dir(seeds.join(name)).unwrap().map(|entry| entry.unwrap().path());
            let files: Vec<_> = files.collect();
            assert!(files.len() >= LEAST, "{name} has {} seeds only", files.len());
            for file in files {
                let input = fs::read(&file).unwrap();
                bytes += input.len();
                let kept = std::panic::catch_unwind(|| target(&input));
                assert!(kept.is_ok(), "{}", file.display());
            }
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/targets/{name}.rs")).exists());
        }
        assert!(bytes < 1 << 20, "the seeds have {bytes} bytes");
    }
}
