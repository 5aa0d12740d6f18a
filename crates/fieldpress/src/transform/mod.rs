//! L1: reversible linear transforms of real arrays: wavelets and block cosine transforms.

mod bands;
mod coefficients;
pub mod dct;
mod lines;
pub mod wavelet;

pub use bands::{Decomposition, Subband};
pub use coefficients::{decode_coefficients, encode_coefficients, Coder};
pub use dct::BlockDct;
pub use wavelet::Wavelet;
