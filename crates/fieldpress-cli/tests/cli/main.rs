//! The real binary on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod bench;
mod compare;
mod elements;
mod files;
mod misc;
mod plot;
mod regions;
mod sphere;
mod streams;
mod support;
mod survey;
mod verify;
