//! L1: reals to integers and back.

mod uniform;

pub use uniform::{before_rounding, round_i32, Uniform, ROUNDING};
