//! L1: reversible linear transforms of real arrays, wavelets and block cosine transforms, and the coding of their
//! coefficients.

mod bands;
mod coefficients;
pub mod dct;
mod lines;
mod neighbours;
mod quantised;
pub mod trial;
pub mod wavelet;
pub mod zfp;

pub use bands::{Band, Decomposition, Subband};
pub use coefficients::{decode_coefficients, encode_coefficients, Coder};
pub use dct::BlockDct;
pub use quantised::Quantised;
pub use wavelet::Wavelet;
