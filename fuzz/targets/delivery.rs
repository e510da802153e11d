//! The target `delivery`: bytes of deliveries, cards, streams and files. See `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sluice::fuzzing::run("delivery", input));
