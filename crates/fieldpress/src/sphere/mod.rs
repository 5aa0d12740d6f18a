//! L1: fields on the sphere: samplings, and harmonic transforms of real and complex maps and of fields with spin.
//!
//! `f(theta, phi) = sum f_lm Y_lm` over `l < L` and `|m| <= l`, `Y_lm` orthonormal with the phase of Condon and Shortley, as in healpy and s2fft. A real map has
//! `f_(l,-m) = (-1)^m conj(f_lm)`; [`Harmonics`] has those of `m >= 0`. `Y_lm = sqrt((2l+1) / 4 pi) d^l_m0(theta) e^(i m phi)` with the
//! reduced rotation matrices of Varshalovich, `d^1_10 = -sin(theta) / sqrt(2)`.

mod complex;
mod fft;
mod finer;
mod grid;
mod harmonics;
mod legendre;
mod likeness;
mod line;
mod pixels;
mod recursion;
mod rings;
mod rotation;
pub mod scattering;
#[cfg(test)]
pub(crate) mod testing;
mod transform;
mod twos;
mod weights;

pub use complex::ComplexHarmonics;
pub use fft::Fft;
pub use grid::{Grid, Ring, Sampling};
pub use harmonics::Harmonics;
pub use likeness::{Band, Likeness};
pub use pixels::{map_to_nested, map_to_ring, nested_to_ring, ring_to_nested};
pub use transform::Transform;
