//! The target `text`: ids, cursors, positions, searches and filters. See `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sluice::fuzzing::run("text", input));
