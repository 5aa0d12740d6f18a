//! The bodies of the fuzz targets. The binaries hand them the fuzzer's bytes; `crates/fieldpress/tests/regressions.rs`
//! includes them too, and runs all seeds and regressions as ordinary tests.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod archive;
#[path = "../../../crates/fieldpress/tests/battery/mod.rs"]
mod battery;
pub mod block;
pub mod entropy;
pub mod formats;
mod input;
pub mod round_trip;

/// Every target by its name, which is that of its binary and its folders of seeds and regressions.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("archive", archive::run),
    ("block", block::run),
    ("round_trip", round_trip::run),
    ("entropy", entropy::run),
    ("formats", formats::run),
];
