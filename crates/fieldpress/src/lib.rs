//! fieldpress: error-bounded compression of scientific arrays.
#![forbid(unsafe_code)]

pub mod array;
pub mod bits;
pub mod bound;
pub mod codec;
pub mod codecs;
pub mod entropy;
pub mod error;
pub mod io;
pub mod transform;

pub use array::{Array, DType, Shape, View};
pub use error::{Error, ErrorKind, Result};
