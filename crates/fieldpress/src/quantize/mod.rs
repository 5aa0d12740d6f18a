//! L1: reals to integers and back.

mod uniform;

pub use uniform::{round_i32, Uniform};
