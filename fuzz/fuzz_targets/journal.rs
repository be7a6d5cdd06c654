#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wirebook_fuzz::journal(bytes));
