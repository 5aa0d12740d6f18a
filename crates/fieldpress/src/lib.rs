//! fieldpress: error-bounded compression of scientific arrays.
#![forbid(unsafe_code)]

pub mod array;
pub mod bits;
pub mod bound;
pub mod codec;
pub mod codecs;
pub mod container;
pub mod entropy;
pub mod error;
mod facade;
pub mod files;
pub mod io;
pub mod linalg;
pub mod metrics;
pub mod predict;
pub mod quantize;
pub mod select;
pub mod sem;
pub mod sphere;
pub mod store;
pub mod survey;
pub mod transform;
pub mod vdf;

pub use array::{Array, DType, Shape, View};
pub use bound::Bound;
pub use codec::{Chain, Limits};
pub use container::{Archive, ArchiveWriter};
pub use error::{Error, ErrorKind, Result};
pub use facade::{compress, decompress, decompress_with, Choice, Options};
pub use select::Tier;
