//! fieldpress: error-bounded compression of scientific arrays.
#![forbid(unsafe_code)]

pub mod bits;
pub mod entropy;
pub mod error;

pub use error::{Error, ErrorKind, Result};
