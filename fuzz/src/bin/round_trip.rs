//! See `targets/round_trip.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fieldpress_fuzz::single_thread(), |data: &[u8]| fieldpress_fuzz::targets::round_trip::run(data));
