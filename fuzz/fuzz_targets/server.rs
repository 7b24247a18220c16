#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkhelper_fuzz::server::play(bytes));
