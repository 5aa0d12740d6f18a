//! Values rounded to multiples of a step, as small integers.

use super::Uniform;
use crate::array::Element;
use crate::error::{Error, Result};

/// The multiples `(offset + c) * step`, `c` being a code of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    offset: i64,
    step: f64,
}

impl Lattice {
    /// With the step of `tolerance` and a given offset.
    pub fn new<T: Element>(tolerance: f64, offset: i64) -> Lattice {
        Lattice { offset, step: Uniform::new::<T>(tolerance).step() }
    }
    /// With an offset in the middle of `x`, so that codes are small and the lattice stays at 0.
    /// Errors: `InvalidArgument` when they would not be below 2^27.
    pub fn around<T: Element>(tolerance: f64, x: &[T]) -> Result<Lattice> {
        let mut lattice = Lattice::new::<T>(tolerance, 0);
        let (lo, hi) = x.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v.to_f64()), h.max(v.to_f64())));
        let middle = ((lo * 0.5 + hi * 0.5) / lattice.step).round();
        let small = middle.abs() <= (1u64 << 50) as f64 && (hi * 0.5 - lo * 0.5) / lattice.step <= (1 << 26) as f64;
        lattice.offset = middle as i64;
        if small || x.is_empty() {
            return Ok(lattice);
        }
        Err(Error::invalid(format!("expected a tolerance above 2^-27 of the range, found {tolerance:e}")))
    }
    /// The offset of all codes.
    pub fn offset(&self) -> i64 {
        self.offset
    }
    /// The code of the multiple nearest to `v`.
    #[inline(always)]
    pub fn code(&self, v: f64) -> i32 {
        (v / self.step - self.offset as f64).round_ties_even() as i32
    }
    /// The value of a code.
    #[inline(always)]
    pub fn value<T: Element>(&self, c: i32) -> T {
        T::from_f64(self.offset.wrapping_add(i64::from(c)) as f64 * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_values_are_their_own_roundings() {
        let x: Vec<f64> = (0..1000).map(|i| 273.15 + f64::from(i * 7919 % 1009) * 0.013).collect();
        let l = Lattice::around(0.01, &x).unwrap();
        for &v in &x {
            let c = l.code(v);
            let y: f64 = l.value(c);
            assert!((v - y).abs() <= 0.01 + 1e-12 && c.abs() < 700 && l.code(y) == c);
        }
        assert_eq!(Lattice::around(2.5, &[-7i32, 8]).unwrap().value::<i32>(1), 5);
        assert!(Lattice::around(1e-9, &[0.0, 1e9]).is_err() && Lattice::around(1.0, &[1e300]).is_err());
        assert!(Lattice::around::<f32>(1.0, &[]).is_ok());
    }
}
