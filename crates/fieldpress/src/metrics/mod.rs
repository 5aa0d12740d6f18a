//! L2: how far a decoded array is from its original.
//!
//! [`Comparison`] is the first pass: every pointwise metric, in bounded memory. [`Ssim`], [`ErrorHistogram`] and
//! [`Spectrum`] are second passes that take what the first one measured. All of them leave out *special* points, those
//! whose original is NaN, infinite or equal to the fill value; the first pass counts how many of these were not
//! restored bit for bit.
//!
//! Every result implements `serde::Serialize`. JSON has no infinities, so infinite numbers are written as the strings
//! `"Infinity"` and `"-Infinity"`, and NaN, which here always means "undefined", as `null`.

mod accumulator;
mod comparison;
mod difference;
mod histogram;
mod number;
mod pairs;
mod spectrum;
mod ssim;
mod wide;

pub use accumulator::Accumulator;
pub use comparison::{Comparison, METRICS};
pub use histogram::{ErrorHistogram, Quantiles};
pub use spectrum::Spectrum;
pub use ssim::Ssim;
