//! L1: reversible linear transforms of real arrays: wavelets and block cosine transforms.

pub mod dct;
mod lines;
pub mod wavelet;

pub use dct::BlockDct;
pub use wavelet::{Subband, Wavelet};
