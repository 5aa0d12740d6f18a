//! Real numbers with the precision of `f64` and an exponent that cannot overflow, for ranges, norms and their ratios.

/// `mantissa x 2^exponent`, the mantissa 0 or of magnitude in [0.5, 1), or not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wide {
    mantissa: f64,
    exponent: i32,
}

impl Wide {
    /// Zero.
    pub(super) const ZERO: Wide = Wide { mantissa: 0.0, exponent: 0 };
    /// One.
    pub(super) const ONE: Wide = Wide { mantissa: 0.5, exponent: 1 };
    /// `v x 2^exponent`.
    pub(super) fn new(v: f64, exponent: i32) -> Wide {
        if v == 0.0 || !v.is_finite() {
            return Wide { mantissa: v, exponent: 0 };
        }
        let (mantissa, k) = libm::frexp(v);
        Wide { mantissa, exponent: exponent + k }
    }
    /// The mantissa and the exponent.
    pub(super) fn parts(self) -> (f64, i32) {
        (self.mantissa, self.exponent)
    }
    /// Whether this is zero.
    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0.0
    }
    /// The nearest `f64`: infinite where it is too large for one.
    pub(super) fn to_f64(self) -> f64 {
        libm::scalbn(self.mantissa, self.exponent)
    }
    /// The magnitude.
    pub(super) fn abs(self) -> Wide {
        Wide { mantissa: self.mantissa.abs(), exponent: self.exponent }
    }
    /// `self x v`.
    pub(super) fn times(self, v: f64) -> Wide {
        Wide::new(self.mantissa * v, self.exponent)
    }
    /// `self x other`.
    pub(super) fn mul(self, other: Wide) -> Wide {
        Wide::new(self.mantissa * other.mantissa, self.exponent + other.exponent)
    }
    /// `self + other`.
    pub(super) fn add(self, other: Wide) -> Wide {
        let (a, b) = if self.is_zero() || (!other.is_zero() && other.exponent > self.exponent) {
            (other, self)
        } else {
            (self, other)
        };
        Wide::new(a.mantissa + libm::scalbn(b.mantissa, b.exponent - a.exponent), a.exponent)
    }
    /// The square root of a number that is not negative.
    pub(super) fn sqrt(self) -> Wide {
        let odd = self.exponent.rem_euclid(2);
        Wide::new(libm::scalbn(self.mantissa, odd).sqrt(), (self.exponent - odd) / 2)
    }
    /// The larger of two numbers that are not negative.
    pub(super) fn max(self, other: Wide) -> Wide {
        let key = |w: Wide| if w.is_zero() { (i32::MIN, 0.0) } else { (w.exponent, w.mantissa) };
        if key(other) > key(self) {
            other
        } else {
            self
        }
    }
    /// `self / other` for numbers that are not negative; 0 for 0 / 0, infinite for anything else over 0.
    pub(super) fn ratio(self, other: Wide) -> f64 {
        match (self.is_zero(), other.is_zero()) {
            (true, _) => 0.0,
            (false, true) => f64::INFINITY,
            _ => libm::scalbn(self.mantissa / other.mantissa, self.exponent - other.exponent),
        }
    }
    /// `20 log10(self / other)` for numbers that are not negative, not both 0; infinite where one of them is 0.
    pub(super) fn decibels_over(self, other: Wide) -> f64 {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        let exponent = f64::from(self.exponent - other.exponent);
        20.0 * (libm::log10(self.mantissa / other.mantissa) + exponent * std::f64::consts::LOG10_2)
    }
}

impl From<f64> for Wide {
    fn from(v: f64) -> Wide {
        Wide::new(v, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_agrees_with_f64_where_f64_suffices() {
        for a in [0.0, 1.0, 3.5, 1e-300, 2e17] {
            for b in [1.0, 0.75, 1e-290, 6e18] {
                let (x, y) = (Wide::from(a), Wide::from(b));
                assert_eq!(x.to_f64(), a);
                assert_eq!(x.add(y).to_f64(), a + b);
                assert_eq!(y.add(x).to_f64(), a + b);
                assert_eq!(x.mul(y).to_f64(), a * b);
                assert_eq!(x.ratio(y), a / b);
                assert_eq!(x.max(y).to_f64(), a.max(b));
                assert_eq!(y.sqrt().to_f64(), b.sqrt());
            }
        }
        assert_eq!(Wide::ONE.to_f64(), 1.0);
    }

    #[test]
    fn nothing_overflows_on_the_way() {
        let big = Wide::new(f64::MAX, 10);
        assert_eq!(big.to_f64(), f64::INFINITY);
        assert_eq!(big.mul(big).sqrt().times(1.0 / 1024.0).to_f64(), f64::MAX);
        let db = big.decibels_over(Wide::from(5e-324));
        assert!((db - 20.0 * (308.254_715_6 + 3.010_299_957 + 323.306_215_3)).abs() < 1e-6, "{db}");
        assert_eq!(Wide::ZERO.ratio(Wide::ZERO), 0.0);
        assert_eq!(Wide::ONE.ratio(Wide::ZERO), f64::INFINITY);
        assert_eq!(Wide::from(5e-324).ratio(Wide::from(1e-323)), 0.5);
    }
}
