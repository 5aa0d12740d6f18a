//! L1: reals to integers and back.

mod lattice;
mod spacing;
mod uniform;

pub use lattice::Lattice;
pub use spacing::Spacing;
pub use uniform::{before_rounding, round_i32, Uniform, ROUNDING};
