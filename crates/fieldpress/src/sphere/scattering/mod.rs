//! Scattering covariances of maps on the sphere: a few hundred to a few thousand numbers that hold much of the structure of a map beyond its spectrum.
//!
//! A map is taken apart by directional wavelets of dyadic scales `j` and `2N - 1` directions. The moduli of the parts are taken apart again at all larger scales, and what
//! is kept are means and second moments: `S1` and `P00` of the parts, `C01` of parts with parts of moduli, `C11` of parts of moduli with each other. The order of the numbers,
//! their normalisation and the sampling on which moduli are taken are those of the package s2scat, so that they agree to rounding.
//!
//! Sources: L. Mousset, E. Allys, M. A. Price, J. Aumont, J.-M. Delouis, L. Montier, J. D. McEwen, "Generative models of astrophysical fields with scattering transforms on
//! the sphere", 2024; the wavelets: J. D. McEwen, C. Durastanti, Y. Wiaux, "Localisation of directional scale-discretised wavelets on the sphere", 2018.

mod coefficients;
mod emulate;
mod first;
mod masked;
mod plan;
mod second;
mod wavelets;

pub use coefficients::{Block, Coefficients, Entry};
pub use emulate::{noise, Drawing, Drawn, Portrait};
pub use plan::{Scattering, Settings};
pub use second::Cross;
pub use wavelets::{directionality, scale_bands, wavelet_spectra};

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
