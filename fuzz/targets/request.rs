//! The target `request`: GraphQL requests up to their execution. See `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sluice::fuzzing::run("request", input));
