//! The real binary on real files.

mod bench;
mod compare;
mod files;
mod misc;
mod regions;
mod streams;
mod support;
mod verify;
