//! Differences of two values of one element type, rounded once, and the points that take part.

use super::wide::Wide;
use crate::array::Element;

/// `a - b` rounded once to `f64`: 64-bit integers are subtracted as integers. Infinite where two huge `f64` differ by
/// more than `f64::MAX`.
#[inline(always)]
pub(super) fn difference<T: Element>(a: T, b: T) -> f64 {
    if T::DTYPE.is_float() || T::BITS < 64 {
        return a.to_f64() - b.to_f64();
    }
    let (a, b) = (a.ordered(), b.ordered());
    if a >= b {
        (a - b) as f64
    } else {
        -((b - a) as f64)
    }
}

/// `a - b` without overflow.
pub(super) fn wide_difference<T: Element>(a: T, b: T) -> Wide {
    let d = difference(a, b);
    if d.is_finite() {
        return Wide::from(d);
    }
    Wide::new(a.to_f64() * 0.25 - b.to_f64() * 0.25, 2)
}

/// Whether a value of the original takes part in the metrics: finite, and not the fill value.
#[inline(always)]
pub(super) fn counts<T: Element>(x: T, fill: Option<u64>) -> bool {
    x.is_finite() && fill != Some(x.to_bits64())
}

/// Measures differences in units of a positive number, without overflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    huge: bool,
    before: f64,
    after: f64,
}

impl Unit {
    /// `unit` must not be negative; 0 is taken as 1.
    pub(super) fn new(unit: Wide) -> Unit {
        let (m, e) = if unit.is_zero() { Wide::ONE.parts() } else { unit.parts() };
        // Two factors, because the inverse of a subnormal is not an `f64`.
        let before = (-e).clamp(-1000, 1000);
        Unit { huge: e > 1000, before: libm::scalbn(1.0, before), after: libm::scalbn(1.0 / m, -e - before) }
    }
    /// `(a - b) / unit`.
    #[inline(always)]
    pub(super) fn difference<T: Element>(&self, a: T, b: T) -> f64 {
        if self.huge {
            (a.to_f64() * self.before - b.to_f64() * self.before) * self.after
        } else {
            difference(a, b) * self.before * self.after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_integers_keep_small_differences() {
        assert_eq!(difference(i64::MAX, i64::MAX - 3), 3.0);
        assert_eq!(difference(i64::MIN, i64::MIN + 3), -3.0);
        assert_eq!(difference(i64::MAX, i64::MIN), u64::MAX as f64);
        assert_eq!(difference(0u64, u64::MAX), -(u64::MAX as f64));
        assert_eq!(difference(-100i8, 100i8), -200.0);
        assert_eq!(difference(1.5f32, 0.25), 1.25);
    }

    #[test]
    fn units_reach_both_ends_of_the_exponent_range() {
        let unit = |a: f64, b: f64| Unit::new(wide_difference(a, b));
        assert_eq!(unit(f64::MAX, -f64::MAX).difference(f64::MAX, -f64::MAX), 1.0);
        assert_eq!(unit(f64::MAX, -f64::MAX).difference(f64::MAX, 0.0), 0.5);
        assert_eq!(unit(1.5e-323, 0.0).difference(0.0, 5e-324), -1.0 / 3.0);
        assert_eq!(unit(3.0, 1.0).difference(7.0, 6.0), 0.5);
        assert_eq!(unit(1.0, 1.0).difference(7.0, 6.0), 1.0);
        assert!(counts(1.0, None) && !counts(f32::NAN, None) && !counts(3u8, Some(3)));
    }
}
