//! L3: one file per method, nothing else.

pub mod interp;
pub mod lorenzo;
pub mod raw;
