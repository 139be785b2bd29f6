#![no_main]
//! The reader of a model's answer against any text.

#[path = "../shared/vlm_answer.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::feed(bytes));
