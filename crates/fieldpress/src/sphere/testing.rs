//! Coefficients for tests.

use super::Harmonics;

/// Like noise, the same every time, within 1 and times what `size` says of the degree.
pub(crate) fn noise(band: usize, size: impl Fn(usize) -> f64) -> Harmonics {
    let mut h = Harmonics::zeros(band).unwrap();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    for m in 0..band {
        for (i, v) in h.order_mut(m).iter_mut().enumerate() {
            let size = size(m + i);
            (v.re, v.im) = (size * next(), if m > 0 { size * next() } else { 0.0 });
        }
    }
    h
}
