//! Values rounded to multiples of a step, as small integers.

use super::{round_i32, Uniform};
use crate::array::Element;
use crate::bits::{put_varint, unzigzag64, widest, zigzag64, ByteReader, Work};
use crate::error::{Error, Result};

/// The largest offset, in steps.
const LARGEST_OFFSET: u64 = 1 << 50;

/// The multiples `(offset + c) * step`, `c` being a code of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    offset: i64,
    step: f64,
}

impl Lattice {
    /// With the step of `tolerance`, around `offset`.
    fn new<T: Element>(tolerance: f64, offset: i64) -> Lattice {
        Lattice { offset, step: Uniform::new::<T>(tolerance).step() }
    }
    /// With an offset in the middle of `x`, so that codes are small and the lattice stays at 0.
    /// Errors: `InvalidArgument` when they would not be below 2^27.
    pub fn around<T: Element>(tolerance: f64, x: &[T]) -> Result<Lattice> {
        let mut lattice = Lattice::new::<T>(tolerance, 0);
        let (lo, hi) = widest(Extremes(x));
        let middle = ((lo * 0.5 + hi * 0.5) / lattice.step).round();
        let small = middle.abs() <= LARGEST_OFFSET as f64 && (hi * 0.5 - lo * 0.5) / lattice.step <= (1 << 26) as f64;
        lattice.offset = middle as i64;
        if (small || x.is_empty()) && lattice.step.is_finite() {
            return Ok(lattice);
        }
        Err(Error::invalid(format!("expected a tolerance above 2^-27 of the range, found {tolerance:e}")))
    }
    /// Appends `tolerance`, which the lattice was made with, and the offset.
    pub fn write(&self, tolerance: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(&tolerance.to_le_bytes());
        put_varint(out, zigzag64(self.offset));
    }
    /// Reads what [`Lattice::write`] wrote. Errors: `Truncated`; `Corrupt` for an offset beyond 2^50 or a step that is not finite.
    pub fn read<T: Element>(r: &mut ByteReader<'_>) -> Result<Lattice> {
        let tolerance = r.f64()?;
        let offset = unzigzag64(r.varint()?);
        if offset.unsigned_abs() > LARGEST_OFFSET {
            return Err(Error::corrupt(format!("expected an offset of at most 2^50, found {offset}")));
        }
        let lattice = Lattice::new::<T>(tolerance, offset);
        if !lattice.step.is_finite() {
            return Err(Error::corrupt(format!("expected a finite tolerance, found {tolerance:e}")));
        }
        Ok(lattice)
    }
    /// The code of the multiple nearest to `v`, where that is below 2^31.
    #[inline(always)]
    pub fn code(&self, v: f64) -> i32 {
        round_i32(v / self.step - self.offset as f64)
    }
    /// The value of a code.
    #[inline(always)]
    pub fn value<T: Element>(&self, c: i32) -> T {
        // Both are small enough for their sum to be exact.
        T::from_f64((self.offset as f64 + f64::from(c)) * self.step)
    }
    /// The codes of `x`, and whether all their values are known to lie closer than `limit`. False is no proof of the contrary.
    pub fn codes<T: Element>(&self, x: &[T], limit: f64) -> (Vec<i32>, bool) {
        let mut codes = vec![0; x.len()];
        let inside = widest(Codes { lattice: self, x, limit, codes: &mut codes });
        // Integers of 64 bits are not all numbers of `f64`.
        (codes, inside && (T::DTYPE.is_float() || T::BITS < 64))
    }
    /// The values of `codes`.
    pub fn values<T: Element>(&self, codes: &[i32], out: &mut [T]) {
        widest(Values { lattice: self, codes, out });
    }
}

/// The least and the largest value.
struct Extremes<'a, T>(&'a [T]);

impl<T: Element> Work for Extremes<'_, T> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run(self) -> (f64, f64) {
        // One pair per vector element: the loop then needs no order among values.
        let (mut lows, mut highs) = ([f64::MAX; 8], [f64::MIN; 8]);
        for eight in self.0.chunks(8) {
            for ((l, h), v) in lows.iter_mut().zip(&mut highs).zip(eight) {
                let v = v.to_f64();
                *l = if v < *l { v } else { *l };
                *h = if v > *h { v } else { *h };
            }
        }
        (lows.iter().fold(f64::MAX, |l, v| l.min(*v)), highs.iter().fold(f64::MIN, |h, v| h.max(*v)))
    }
}

struct Codes<'a, T> {
    lattice: &'a Lattice,
    x: &'a [T],
    limit: f64,
    codes: &'a mut [i32],
}

impl<T: Element> Work for Codes<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run(self) -> bool {
        let mut outside = 0;
        for (c, x) in self.codes.iter_mut().zip(self.x) {
            let v = x.to_f64();
            *c = self.lattice.code(v);
            let y: T = self.lattice.value(*c);
            // An error that rounds below the limit is below it, since rounding is monotone; what is not a number is not.
            let inside = (v - y.to_f64()).abs() < self.limit;
            outside += u32::from(!inside);
        }
        outside == 0
    }
}

struct Values<'a, T> {
    lattice: &'a Lattice,
    codes: &'a [i32],
    out: &'a mut [T],
}

impl<T: Element> Work for Values<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.out.iter_mut().zip(self.codes).for_each(|(o, &c)| *o = self.lattice.value(c));
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
        assert!(Lattice::around::<f32>(1.0, &[]).is_ok() && Lattice::around(f64::MAX, &[1.0]).is_err());
        let mut bytes = Vec::new();
        Lattice::around(0.5, &[7.0]).unwrap().write(f64::INFINITY, &mut bytes);
        assert!(Lattice::read::<f64>(&mut ByteReader::new(&bytes)).is_err());
    }
}
