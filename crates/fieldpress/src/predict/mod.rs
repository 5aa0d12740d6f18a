//! L1: predictors. They know nothing of bounds or bytes.

pub mod interpolation;
pub mod least_squares;
pub mod local;
pub mod lorenzo;
pub mod magnitude;
mod planes;
