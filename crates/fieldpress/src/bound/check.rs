//! Whether `|x - y| <= max(abs, rel * |x|)`, decided as if in exact arithmetic.
//!
//! Rounding is monotone: when the rounded difference is below (above) the rounded right-hand side, so are the exact
//! ones. Only where both round to the same number are the rounding errors compared: that of the difference by Knuth's
//! TwoSum, that of the product by a fused multiply-add. Values that fail in ordinary arithmetic by one unit in the last
//! place are thus never let through, and values on the bound are never refused.

use super::criterion::Term;
use crate::array::Element;

/// Whether `y` may stand for `x` under `term`. NaN, infinities and -0.0 must come back bit for bit, and so must
/// everything when the term is exact.
#[inline(always)]
pub fn within<T: Element>(x: T, y: T, term: &Term) -> bool {
    if x.to_bits64() == y.to_bits64() {
        return true;
    }
    if term.is_exact() || !x.is_finite() || !y.is_finite() || x.is_negative_zero() {
        return false;
    }
    if T::DTYPE.is_float() {
        within_f64(x.to_f64(), y.to_f64(), term)
    } else {
        within_integer(x, y, term)
    }
}

#[inline(always)]
fn within_f64(x: f64, y: f64, term: &Term) -> bool {
    let d = (x - y).abs();
    d < term.abs || d == 0.0 || within_f64_slow(x, y, d, term)
}

#[cold]
fn within_f64_slow(x: f64, y: f64, d: f64, term: &Term) -> bool {
    // The rounding error of the difference, with the sign that makes d + e the exact |x - y|.
    let s = x - y;
    let b = s - x;
    let e = (x - (s - b)) + (-y - b);
    let e = if s < 0.0 { -e } else { e };
    if d == term.abs && e <= 0.0 {
        return true;
    }
    let p = term.rel * x.abs();
    if d != p {
        return d < p;
    }
    if p < 1e-280 {
        // Near underflow the product's error is not representable: scale by a power of two, which is exact.
        let k = f64::from_bits((1023 + 600) << 52);
        let scaled = Term { abs: 0.0, rel: term.rel };
        return (x * k - y * k).abs() < f64::MAX
            && p > 0.0
            && within_f64_slow(x * k, y * k, (x * k - y * k).abs(), &scaled);
    }
    p < f64::INFINITY && e <= term.rel.mul_add(x.abs(), -p)
}

#[inline(always)]
fn within_integer<T: Element>(x: T, y: T, term: &Term) -> bool {
    let d = x.ordered().abs_diff(y.ordered());
    // Saturating: 1.8e19 and above allows everything.
    if d <= term.abs as u64 {
        return true;
    }
    term.rel > 0.0 && d <= floor_product(term.rel, x.ordered().abs_diff(T::default().ordered()))
}

/// The integer part of `rel * n`, exactly; saturates.
fn floor_product(rel: f64, n: u64) -> u64 {
    let bits = rel.to_bits();
    let exponent = (bits >> 52) as i32;
    if exponent == 0 {
        return 0; // Subnormal: far below 2^-64.
    }
    let m = u128::from((bits & ((1 << 52) - 1)) | (1 << 52)) * u128::from(n);
    let shift = 1075 - exponent;
    let v = match shift {
        128.. => 0,
        0..=127 => m >> shift,
        _ if m == 0 => 0,
        // Above 2^53, where all are integers.
        _ => u32::try_from(-shift).ok().filter(|&s| s < m.leading_zeros()).map_or(u128::MAX, |s| m << s),
    };
    u64::try_from(v).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abs(v: f64) -> Term {
        Term { abs: v, rel: 0.0 }
    }
    fn rel(v: f64) -> Term {
        Term { abs: 0.0, rel: v }
    }

    #[test]
    fn rounding_of_the_difference_does_not_decide() {
        // 1 + 2^-53 is not representable: 1 - (-2^-53) rounds to 1, the exact difference is above it.
        let tiny = f64::EPSILON / 2.0;
        assert_eq!(1.0 - (-tiny), 1.0);
        assert!(!within(1.0f64, -tiny, &abs(1.0)));
        assert!(within(1.0f64, tiny / 2.0, &abs(1.0)));
        assert!(within(1.0f64, 0.0, &abs(1.0)));
        // The same in f32, whose differences are computed in f64.
        assert!(!within(1.0f32, -1e-20, &abs(1.0)));
    }

    #[test]
    fn rounding_of_the_product_does_not_decide() {
        let x = 1.0 + f64::EPSILON;
        let r = 1.0 - f64::EPSILON / 2.0;
        // r * x = 1 + eps/2 - eps^2/2 rounds to 1 (ties to even), the exact product is above 1.
        assert_eq!(r * x, 1.0);
        assert!(within(x, f64::EPSILON, &rel(r)));
        assert!(!within(x, -f64::EPSILON, &rel(r)));
        // Subnormal data: a third of 3 units is 1 unit, of 2 units is less.
        let u = f64::from_bits(1);
        assert!(within(3.0 * u, 2.0 * u, &rel(0.34)));
        assert!(!within(3.0 * u, 2.0 * u, &rel(0.33)));
        assert!(!within(2.0 * u, u, &rel(0.49)));
        assert!(within(2.0 * u, u, &rel(0.5)));
    }

    #[test]
    fn specials_must_be_the_same_bits() {
        let nan = f32::from_bits(0x7fc0_1234);
        assert!(within(nan, nan, &abs(1.0)));
        assert!(!within(nan, f32::NAN, &abs(1.0)));
        assert!(!within(-0.0f32, 0.0, &abs(1.0)) && within(0.0f32, -0.0, &abs(1.0)));
        assert!(!within(1.0f64, f64::NAN, &abs(1.0)) && !within(f64::INFINITY, f64::MAX, &abs(f64::MAX)));
        assert!(!within(f64::MAX, f64::MIN, &abs(f64::MAX)));
        assert!(!within(0.0f64, -0.0, &Term::EXACT));
    }

    #[test]
    fn integers_are_compared_as_integers() {
        assert!(within(i64::MAX, i64::MAX - 1, &abs(1.0)) && !within(i64::MAX, i64::MAX - 2, &abs(1.9)));
        assert!(within(i64::MIN, i64::MAX, &abs(2e19)) && !within(i64::MIN, i64::MAX, &abs(1e19)));
        assert!(within(200u8, 190, &rel(0.05)) && !within(200u8, 189, &rel(0.05)));
        assert!(within(-100i8, -99, &rel(0.01)) == (0.01f64 * 100.0 >= 1.0));
        assert!(within(u64::MAX, 0, &rel(1.0)) && !within(u64::MAX - 1, u64::MAX, &rel(1e-20)));
        assert_eq!(floor_product(1e300, 5), u64::MAX);
        assert_eq!(floor_product(0.5, 5), 2);
        let large = (1u64 << 60) as f64;
        assert_eq!((floor_product(large, 3), floor_product(large, 0)), (3 << 60, 0));
    }
}
