//! See `targets/archive.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fieldpress_fuzz::single_thread(), |data: &[u8]| fieldpress_fuzz::targets::archive::run(data));
