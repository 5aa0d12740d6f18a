//! L3: one file per method, nothing else.

pub mod dwt;
pub mod raw;
