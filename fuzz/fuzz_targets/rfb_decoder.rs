#![no_main]
//! The server-to-client half of RFB against anything a server may send.

#[path = "../shared/rfb_decoder.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::feed(bytes));
