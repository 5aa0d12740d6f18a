//! L1: reals to integers and back.

mod lattice;
mod uniform;

pub use lattice::Lattice;
pub use uniform::{before_rounding, round_i32, Uniform, ROUNDING};
