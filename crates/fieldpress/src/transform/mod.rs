//! L1: reversible linear transforms of real arrays, wavelets, block cosine transforms and bases learned from
//! data, and the coding of their coefficients.

mod bands;
pub mod basis;
mod coefficients;
pub mod components;
pub mod dct;
mod filter_tables;
pub mod filterbank;
pub mod filters;
pub mod frame;
pub mod gaussians;
pub mod harmonics;
pub mod hermite;
mod lines;
pub mod maxwellian;
pub mod mixture;
mod neighbours;
pub mod polynomial;
mod precision;
pub mod product;
mod quantised;
pub mod trial;
pub mod wavelet;
pub mod zfp;

pub use bands::{Band, Decomposition, Subband};
pub use basis::Basis;
pub use coefficients::{decode_coefficients, encode_coefficients, Coder};
pub use dct::BlockDct;
pub use filterbank::FilterBank;
pub use precision::Precision;
pub use quantised::Quantised;
pub use wavelet::Wavelet;
