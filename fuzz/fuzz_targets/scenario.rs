#![no_main]
//! The loader of scenarios against any text.

#[path = "../shared/scenario.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::feed(bytes));
