//! The target `token`: tokens, claims and key sets. See `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sluice::fuzzing::run("token", input));
