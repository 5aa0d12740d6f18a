//! Uniform quantisation around a prediction.

use crate::array::{DType, Element};
use crate::bits::{widest, Work};

/// 1.5 * 2^52. A sum with it is the nearest integer, ties to even, in its low bits, for magnitudes below 2^51; which is several
/// times as fast as a saturating cast.
pub const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Rounds to the nearest integer, ties to even; right for magnitudes below 2^31.
#[inline(always)]
pub fn round_i32(v: f64) -> i32 {
    (v + ROUNDING).to_bits() as i32
}

/// A quantiser of step `2 t`: codes count steps from the prediction, so the error is at most `t`. For integers the
/// prediction is rounded first and the step is `2 floor(t) + 1`, the widest that keeps the bound.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    step: f64,
    inverse: f64,
}

/// `tolerance`, less what the cast to `T` can add to an error, where that is a small part of it: quantised with this, no
/// value of the size of `x` leaves the tolerance by rounding. For floats; integers are exact.
pub fn before_rounding<T: Element>(tolerance: f64, x: &[T]) -> f64 {
    let unit = match T::DTYPE {
        // Half a unit in the last place, and a little for the arithmetic before it.
        DType::F32 => 1.001 / (1u64 << 24) as f64,
        DType::F64 => 4.0 / (1u64 << 53) as f64,
        _ => return tolerance,
    };
    let largest = widest(Largest(x));
    let loss = (largest + tolerance) * unit;
    if loss < tolerance / 8.0 {
        tolerance - loss
    } else {
        tolerance
    }
}

/// The largest magnitude.
struct Largest<'a, T>(&'a [T]);

impl<T: Element> Work for Largest<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        // One maximum per vector element: the loop then needs no order among values.
        let mut lanes = [0.0f64; 16];
        for some in self.0.chunks(16) {
            for (m, v) in lanes.iter_mut().zip(some) {
                let a = v.to_f64().abs();
                *m = if a > *m { a } else { *m };
            }
        }
        lanes.iter().fold(0.0f64, |m, &a| m.max(a))
    }
}

/// Codes beyond this are not used: the value is left to the correction.
const LARGEST: f64 = (1 << 28) as f64;

impl Uniform {
    /// For values of type `T` and a tolerance above 0.
    pub fn new<T: Element>(tolerance: f64) -> Uniform {
        let step = if T::DTYPE.is_float() { 2.0 * tolerance } else { 2.0 * tolerance.floor() + 1.0 };
        Uniform { step, inverse: 1.0 / step }
    }
    /// The distance between neighbouring values.
    pub fn step(&self) -> f64 {
        self.step
    }
    /// The prediction as it is used: rounded for integers.
    #[inline(always)]
    pub fn base<T: Element>(prediction: f64) -> f64 {
        if T::DTYPE.is_float() {
            prediction
        } else {
            prediction.round()
        }
    }
    /// The code of `x` around `base`; 0 where it would be too large.
    #[inline(always)]
    pub fn code(&self, x: f64, base: f64) -> i32 {
        let v = (x - base) * self.inverse;
        if v.abs() < LARGEST {
            round_i32(v)
        } else {
            0
        }
    }
    /// The value of a code around `base`.
    #[inline(always)]
    pub fn value<T: Element>(&self, base: f64, code: i32) -> T {
        T::from_f64(base + f64::from(code) * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_matches_the_standard_library() {
        for v in [0.0, 0.5, 1.5, -0.5, -1.5, 2.4999, -2.5001, 1e6 + 0.25, -268_435_455.4] {
            assert_eq!(round_i32(v), v.round_ties_even() as i32, "{v}");
        }
    }

    #[test]
    fn rounding_to_the_type_stays_within_the_tolerance() {
        // Not quite 131.6 units in the last place of the largest values: rounding makes it 132.
        let t = 1.0035e-3;
        let x: Vec<f32> = (0..100_000u64).map(|i| (i * 7919 % 100_003) as f32 * 0.000_999_87).collect();
        let worst = |tolerance| {
            let q = Uniform::new::<f32>(tolerance);
            let error = |&x: &f32| {
                let y: f32 = q.value(0.3, q.code(f64::from(x), 0.3));
                (f64::from(x) - f64::from(y)).abs()
            };
            x.iter().map(error).fold(0.0, f64::max)
        };
        let margin = before_rounding(t, &x);
        assert!(margin < t && worst(t) > t && worst(margin) <= t, "{margin} {} {}", worst(t), worst(margin));
        // Where rounding is most of the error, the tolerance stays.
        let x = [f32::MAX];
        assert_eq!((before_rounding(t, &x), before_rounding(t, &[7i32])), (t, t));
    }

    #[test]
    fn errors_stay_within_the_tolerance() {
        let q = Uniform::new::<f64>(0.1);
        for i in -1000..1000 {
            let x = f64::from(i) * 0.0137;
            let y: f64 = q.value(0.3, q.code(x, 0.3));
            assert!((x - y).abs() <= 0.1 + 1e-12);
        }
        let q = Uniform::new::<i16>(2.9);
        for x in -100i16..100 {
            let base = Uniform::base::<i16>(7.6);
            let y: i16 = q.value(base, q.code(f64::from(x), base));
            assert!((x - y).abs() <= 2);
        }
        assert_eq!(q.code(1e300, 0.0), 0);
        assert_eq!(q.code(f64::INFINITY, 0.0), 0);
    }
}
