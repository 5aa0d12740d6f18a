//! L1: predictors. They know nothing of bounds or bytes.

pub mod faded;
pub mod interpolation;
pub mod least_squares;
pub mod linear;
pub mod local;
pub mod lorenzo;
mod planes;
mod taps;
