//! Errors of decoded values against a criterion, gathered piece by piece.

use rayon::prelude::*;

use crate::array::{Element, Slice};
use crate::bound::Criterion;
use crate::codec::difference;
use crate::dispatch;
use crate::error::{Error, Result};

/// Values that one thread compares at a time.
const PIECE: usize = 1 << 15;

/// What was found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// How many values were compared.
    pub values: u64,
    /// How many of them count in the error: finite, not -0.0, not the fill value.
    pub valid: u64,
    /// How many do not obey the pointwise conditions, or are special and were not restored bit for bit.
    pub violations: u64,
    /// The first of those, by its number among the values compared.
    pub first: Option<u64>,
    /// The largest error over the valid values, rounded to nearest.
    pub max_error: f64,
    /// The sum of squared errors over the valid values; compensated, good to about 30 digits.
    pub square_error: f64,
    /// What rounding took from `square_error`.
    rest: f64,
}

impl Tally {
    /// Adds what was found in the values that follow.
    pub fn add(&mut self, o: &Tally) {
        self.first = self.first.or(o.first.map(|f| f + self.values));
        self.values += o.values;
        self.valid += o.valid;
        self.violations += o.violations;
        self.max_error = self.max_error.max(o.max_error);
        self.add_square(o.square_error, o.rest);
    }
    #[inline(always)]
    fn add_square(&mut self, e: f64, rest: f64) {
        // Both are non-negative, so the larger one can be told without a branch on signs (Neumaier).
        let s = self.square_error + e;
        self.rest +=
            rest + if self.square_error >= e { (self.square_error - s) + e } else { (e - s) + self.square_error };
        self.square_error = s;
    }
    /// Whether the sum of squared errors is at most `limit`.
    pub fn square_within(&self, limit: f64) -> bool {
        self.square_error < limit || self.square_error == limit && self.rest <= 0.0
    }
    fn point<T: Element>(&mut self, x: T, y: T, criterion: &Criterion, fill: Option<u64>) {
        let special = !x.is_finite() || x.is_negative_zero() || fill == Some(x.to_bits64());
        let good = if special {
            x.to_bits64() == y.to_bits64()
        } else {
            let e = difference(x, y);
            self.valid += 1;
            if e != 0.0 {
                // A NaN must not hide: it counts as an infinite error.
                let e = if e.is_nan() { f64::INFINITY } else { e };
                self.max_error = self.max_error.max(e);
                self.add_square(e * e, 0.0);
            }
            y.is_finite() && criterion.allows(x, y)
        };
        if !good {
            self.first = self.first.or(Some(self.values));
            self.violations += 1;
        }
        self.values += 1;
    }
}

/// Compares the decoded values `y` with the originals `x`, in the current rayon pool; the result does not depend on the number
/// of threads. `fill` is the bit pattern of the fill value. Errors: `InvalidArgument` unless types and lengths agree.
pub fn compare_values(x: Slice<'_>, y: Slice<'_>, criterion: &Criterion, fill: Option<u64>) -> Result<Tally> {
    fn of<T: Element>(x: &[T], y: Slice<'_>, criterion: &Criterion, fill: Option<u64>) -> Option<Tally> {
        let y = T::of(y).filter(|y| y.len() == x.len())?;
        let piece = |(x, y): (&[T], &[T])| {
            let mut t = Tally::default();
            x.iter().zip(y).for_each(|(&x, &y)| t.point(x, y, criterion, fill));
            t
        };
        let pieces: Vec<Tally> = x.par_chunks(PIECE).zip(y.par_chunks(PIECE)).map(piece).collect();
        let mut all = Tally::default();
        pieces.iter().for_each(|t| all.add(t));
        Some(all)
    }
    dispatch!(Slice, x, v => of(v, y, criterion, fill)).ok_or_else(|| {
        Error::invalid(format!(
            "expected {} values of type {}, found {} of type {}",
            x.len(),
            x.dtype(),
            y.len(),
            y.dtype()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::Term;

    fn abs(t: f64) -> Criterion {
        Criterion { terms: vec![Term { abs: t, rel: 0.0 }], ..Criterion::FREE }
    }

    #[test]
    fn violations_are_counted_and_found() {
        let x: Vec<f32> = (0..100_000).map(|i| i as f32).collect();
        let mut y = x.clone();
        y[70_000] += 0.5;
        y[90_000] -= 2.0;
        let t = compare_values(Slice::F32(&x), Slice::F32(&y), &abs(1.0), None).unwrap();
        assert_eq!((t.values, t.valid, t.violations, t.first), (100_000, 100_000, 1, Some(90_000)));
        assert_eq!((t.max_error, t.square_error), (2.0, 4.25));
        assert!(t.square_within(4.25) && !t.square_within(4.2));
        let t = compare_values(Slice::F32(&x), Slice::F32(&y), &Criterion::exact(), None).unwrap();
        assert_eq!((t.violations, t.first), (2, Some(70_000)));
        assert!(compare_values(Slice::F32(&x), Slice::F32(&y[1..]), &abs(1.0), None).is_err());
        assert!(compare_values(Slice::F32(&x), Slice::U8(&[]), &abs(1.0), None).is_err());
    }

    #[test]
    fn specials_must_be_the_same_bits_whatever_the_bound() {
        let free = Criterion::default();
        let one = |x: f64, y: f64, fill: Option<f64>| {
            let t = compare_values(Slice::F64(&[x]), Slice::F64(&[y]), &free, fill.map(f64::to_bits)).unwrap();
            (t.valid, t.violations)
        };
        assert_eq!(one(f64::NAN, f64::NAN, None), (0, 0));
        assert_eq!(one(f64::NAN, -f64::NAN, None), (0, 1));
        assert_eq!(one(-0.0, 0.0, None), (0, 1));
        assert_eq!(one(1e20, 1e20, Some(1e20)), (0, 0));
        assert_eq!(one(1e20, 2e20, Some(1e20)), (0, 1));
        assert_eq!(one(1e20, 2e20, None), (1, 0));
        assert_eq!(one(1.0, f64::NAN, None), (1, 1));
    }

    #[test]
    fn sums_of_squares_are_not_lost_to_rounding() {
        let x = vec![0.0f64; 1_000_001];
        let mut y = vec![1e-9; 1_000_001];
        y[0] = 1.0;
        let t = compare_values(Slice::F64(&x), Slice::F64(&y), &Criterion::default(), None).unwrap();
        assert!(((t.square_error - 1.0) + t.rest - 1e-12).abs() < 1e-20);
        assert!(!t.square_within(1.0));
    }
}
