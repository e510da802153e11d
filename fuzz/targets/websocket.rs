//! The target `websocket`: conversations over WebSocket. See `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sluice::fuzzing::run("websocket", input));
