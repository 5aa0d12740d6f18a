//! L1: predictors. They know nothing of bounds or bytes.

pub mod interpolation;
pub mod lorenzo;
pub mod magnitude;
