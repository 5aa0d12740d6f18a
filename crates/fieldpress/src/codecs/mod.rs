//! L3: one file per method, nothing else.

pub mod raw;
