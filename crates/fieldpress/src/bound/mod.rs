//! L2: what may be asked of the error, the exact decision whether it holds, and what is sufficient for it.

mod approach;
mod ask;
mod check;
mod criterion;
mod quantities;
mod stats;

pub(crate) use approach::Approach;
pub use ask::Bound;
pub use check::within;
pub use criterion::{Criterion, Term};
pub use quantities::{MomentLimits, Quantities, CONSERVED};
pub(crate) use stats::survey;
pub use stats::{psnr, psnr_of_mean, Stats};
