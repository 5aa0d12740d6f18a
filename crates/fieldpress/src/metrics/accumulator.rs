//! The running sums behind a [`Comparison`], which take pairs of slices in any number and order, and merge.
//!
//! Values are summed about a pivot (an element near the mean of the first values seen) and in units of a power of two
//! that adapts, so that neither a large mean nor values near the ends of the exponent range cost precision.

use super::comparison::Comparison;
use super::difference::{counts, difference, wide_difference};
use super::wide::Wide;
use crate::array::{DType, Element, Slice};
use crate::bits::Sum;
use crate::error::{Error, Result};
use crate::{dispatch, dispatch_dtype};

/// Values handled at once: the working set stays in the first-level cache.
const CHUNK: usize = 1024;
/// Magnitudes within `2^+-COMFORT` are summed as they are: their squares neither overflow nor vanish.
const COMFORT: i32 = 300;
/// From this magnitude on, differences are taken of values divided by `2^HEADROOM`.
const HUGE: f64 = 1e307;
const HEADROOM: i32 = 10;

/// What has been measured so far of pairs of original and decoded values.
///
/// The result does not depend on how the pairs were cut into pushes and merges beyond a relative 1e-13 (of the mean
/// absolute error for [`Comparison::mean_error`]), and not at all on it for counts, extremes and maxima.
#[derive(Clone, Debug)]
pub struct Accumulator {
    pub(super) dtype: DType,
    pub(super) fill: Option<u64>,
    /// Pairs seen, and those whose original counts.
    pub(super) values: u64,
    pub(super) n: u64,
    pub(super) different: u64,
    pub(super) special_mismatches: u64,
    pub(super) non_finite: u64,
    /// Extremes of the original, as ordered integers.
    least: u64,
    greatest: u64,
    max_error: Wide,
    max_pw_rel: f64,
    moments: Moments,
}

/// Sums of y = original - pivot in units of `2^unit_y`, and of e = decoded - original in units of `2^unit_e`; no unit
/// before the first value that is not 0.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    /// The bit pattern of the pivot.
    pivot: Option<u64>,
    unit_y: Option<i32>,
    unit_e: Option<i32>,
    y: Sum,
    yy: Sum,
    e: Sum,
    ee: Sum,
    ye: Sum,
}

/// What the sums come to.
pub(super) struct Totals {
    pub(super) range: Wide,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: Wide,
    pub(super) deviation: Wide,
    pub(super) mean_error: Wide,
    pub(super) mean_square: Wide,
    pub(super) max_error: Wide,
    pub(super) max_pw_rel: f64,
    pub(super) pearson: f64,
}

/// The exponent of the unit that suits values of magnitude up to `max`; none for 0.
fn unit_for(max: Wide) -> Option<i32> {
    let (_, e) = max.parts();
    let unit = if e.abs() <= COMFORT { 0 } else { e.clamp(-1000, 1000) };
    (!max.is_zero()).then_some(unit)
}

/// Independent partial results, so that the loops vectorise.
const LANES: usize = 8;

/// The largest magnitude; NaN never wins.
fn largest(v: &[f64]) -> f64 {
    let greater = |m: f64, x: f64| if x.abs() > m { x.abs() } else { m };
    let mut lanes = [0.0; LANES];
    let chunks = v.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(0.0, |m, &x| greater(m, x));
    for c in chunks {
        for (m, &x) in lanes.iter_mut().zip(c) {
            *m = greater(*m, x);
        }
    }
    lanes.iter().fold(rest, |m, &x| greater(m, x))
}

/// The least and the greatest of values that are not NaN, starting from `first`.
fn extremes<T: Element>(v: &[T], first: T) -> (T, T) {
    let (less, greater) = (|m: T, x: T| if x < m { x } else { m }, |m: T, x: T| if x > m { x } else { m });
    let (mut low, mut high) = ([first; LANES], [first; LANES]);
    let chunks = v.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold((first, first), |(l, h), &x| (less(l, x), greater(h, x)));
    for c in chunks {
        for ((l, h), &x) in low.iter_mut().zip(&mut high).zip(c) {
            *l = less(*l, x);
            *h = greater(*h, x);
        }
    }
    (low.into_iter().fold(rest.0, less), high.into_iter().fold(rest.1, greater))
}

impl Accumulator {
    /// Nothing seen yet. `fill` is the bit pattern of the fill value in the element type, zero-extended.
    pub fn new(dtype: DType, fill: Option<u64>) -> Accumulator {
        Accumulator {
            dtype,
            fill,
            values: 0,
            n: 0,
            different: 0,
            special_mismatches: 0,
            non_finite: 0,
            least: u64::MAX,
            greatest: 0,
            max_error: Wide::ZERO,
            max_pw_rel: 0.0,
            moments: Moments::default(),
        }
    }

    /// Takes in pairs of values. Errors: `InvalidArgument` unless both slices are of the accumulator's type and of one
    /// length.
    pub fn push(&mut self, original: Slice<'_>, decoded: Slice<'_>) -> Result<()> {
        let (a, b) = ((original.dtype(), original.len()), (decoded.dtype(), decoded.len()));
        if a != b || a.0 != self.dtype {
            let (d, n) = (self.dtype, a.1);
            let found = format!("{n} of type {} and {} of type {}", a.0, b.1, b.0);
            return Err(Error::invalid(format!("expected {n} pairs of values of type {d}, found {found}")));
        }
        dispatch!(Slice, original, xs => self.push_typed(xs, Element::of(decoded).unwrap_or_default()));
        Ok(())
    }

    fn push_typed<T: Element>(&mut self, xs: &[T], ds: &[T]) {
        let mut kept = ([T::default(); CHUNK], [T::default(); CHUNK]);
        for (xs, ds) in xs.chunks(CHUNK).zip(ds.chunks(CHUNK)) {
            self.values += xs.len() as u64;
            let fill = self.fill;
            let plain = xs.iter().zip(ds).fold(true, |ok, (&x, &d)| ok & counts(x, fill) & d.is_finite());
            if plain {
                self.push_finite(xs, ds);
            } else {
                let n = self.select(xs, ds, &mut kept.0, &mut kept.1);
                self.push_finite(&kept.0[..n], &kept.1[..n]);
            }
        }
    }

    /// Counts the special points and keeps the others; a decoded value that is not finite is counted here and stands
    /// as the original in what follows.
    fn select<T: Element>(&mut self, xs: &[T], ds: &[T], x_kept: &mut [T], d_kept: &mut [T]) -> usize {
        let mut n = 0;
        for (&x, &d) in xs.iter().zip(ds) {
            if !counts(x, self.fill) {
                self.special_mismatches += u64::from(x.to_bits64() != d.to_bits64());
                continue;
            }
            self.non_finite += u64::from(!d.is_finite());
            self.different += u64::from(!d.is_finite());
            x_kept[n] = x;
            d_kept[n] = if d.is_finite() { d } else { x };
            n += 1;
        }
        n
    }

    fn push_finite<T: Element>(&mut self, xs: &[T], ds: &[T]) {
        let Some(&first) = xs.first() else { return };
        self.n += xs.len() as u64;
        self.different += xs.iter().zip(ds).map(|(x, d)| u64::from(x.to_bits64() != d.to_bits64())).sum::<u64>();
        let (low, high) = extremes(xs, first);
        self.least = self.least.min(low.ordered());
        self.greatest = self.greatest.max(high.ordered());

        let pivot = self.moments.pivot.get_or_insert_with(|| pivot_of(xs).to_bits64());
        let pivot = T::from_bits64(*pivot);
        let mut work = [[0.0; CHUNK]; 3];
        let [y, e, relative] = work.each_mut().map(|w| &mut w[..xs.len()]);
        for (((y, e), &x), &d) in y.iter_mut().zip(e.iter_mut()).zip(xs).zip(ds) {
            *y = difference(x, pivot);
            *e = difference(d, x);
        }
        for ((r, &e), &x) in relative.iter_mut().zip(e.iter()).zip(xs) {
            *r = e / x.to_f64();
        }
        // 0 / 0, an exact zero, is NaN and never the largest.
        let pw_rel = largest(relative);
        let mut head = 0;
        if T::DTYPE == DType::F64 && is_huge(xs, ds, pivot) {
            // The same again with headroom; what underflows here is negligible beside what made it huge.
            head = HEADROOM;
            let s = libm::scalbn(1.0, -head);
            for (((y, e), &x), &d) in y.iter_mut().zip(e.iter_mut()).zip(xs).zip(ds) {
                *y = x.to_f64() * s - pivot.to_f64() * s;
                *e = d.to_f64() * s - x.to_f64() * s;
            }
            for (&x, &d) in xs.iter().zip(ds) {
                let r = wide_difference(d, x).abs().ratio(Wide::from(x.to_f64().abs()));
                self.max_pw_rel = self.max_pw_rel.max(r);
                self.max_error = self.max_error.max(wide_difference(d, x).abs());
            }
        } else {
            self.max_pw_rel = self.max_pw_rel.max(pw_rel);
        }
        let (max_y, max_e) = (largest(y), largest(e));
        if head == 0 {
            self.max_error = self.max_error.max(Wide::from(max_e));
        }
        self.moments.push(y, e, max_y, max_e, head);
    }

    /// Takes in what another accumulator has seen. Errors: `InvalidArgument` unless both were made alike.
    pub fn merge(&mut self, other: &Accumulator) -> Result<()> {
        if (self.dtype, self.fill) != (other.dtype, other.fill) {
            return Err(Error::invalid(format!(
                "expected results for type {} and fill value {:?}, found {} and {:?}",
                self.dtype, self.fill, other.dtype, other.fill
            )));
        }
        let shift = match (self.moments.pivot, other.moments.pivot) {
            (Some(a), Some(b)) => {
                dispatch_dtype!(self.dtype, T => wide_difference(<T as Element>::from_bits64(b), T::from_bits64(a)))
            }
            _ => Wide::ZERO,
        };
        self.moments.merge(&other.moments, shift, other.n);
        self.values += other.values;
        self.n += other.n;
        self.different += other.different;
        self.special_mismatches += other.special_mismatches;
        self.non_finite += other.non_finite;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        self.max_error = self.max_error.max(other.max_error);
        self.max_pw_rel = self.max_pw_rel.max(other.max_pw_rel);
        Ok(())
    }

    /// The metrics of everything seen so far.
    pub fn finish(&self) -> Comparison {
        Comparison::from_accumulator(self)
    }

    /// What the sums come to; `None` when no point counted.
    pub(super) fn totals(&self) -> Option<Totals> {
        let pivot = self.moments.pivot?;
        fn value<T: Element>(ordered: u64) -> f64 {
            // Whether the extreme is 0.0 or -0.0 may depend on the order of the values: say 0.0.
            T::from_ordered(ordered).to_f64() + 0.0
        }
        let (lo, hi) = (self.least, self.greatest);
        let range = dispatch_dtype!(self.dtype, T => wide_difference(T::from_ordered(hi), T::from_ordered(lo)));
        let (min, max) = dispatch_dtype!(self.dtype, T => (value::<T>(lo), value::<T>(hi)));
        let pivot = dispatch_dtype!(self.dtype, T => <T as Element>::from_bits64(pivot).to_f64());
        let m = &self.moments;
        let n = self.n as f64;
        let (uy, ue) = (m.unit_y.unwrap_or(0), m.unit_e.unwrap_or(0));
        let deviation = Wide::new(Sum::centred(m.yy, m.y, m.y, n).max(0.0) / n, 2 * uy).sqrt();
        // With a the variance of the original, c its covariance with the error and b the variance of the error, the
        // covariance of original and decoded is a + c and the variance of the decoded a + 2 c + b. All in one unit.
        let u = uy.max(ue);
        let a = libm::scalbn(Sum::centred(m.yy, m.y, m.y, n).max(0.0), 2 * (uy - u));
        let b = libm::scalbn(Sum::centred(m.ee, m.e, m.e, n).max(0.0), 2 * (ue - u));
        let c = libm::scalbn(Sum::centred(m.ye, m.y, m.e, n), uy + ue - 2 * u);
        let pearson = (a.sqrt() + c / a.sqrt()) / (a + 2.0 * c + b).sqrt();
        Some(Totals {
            range,
            min,
            max,
            mean: Wide::from(pivot).add(Wide::new(m.y.value() / n, uy)),
            deviation,
            mean_error: Wide::new(m.e.value() / n, ue),
            mean_square: Wide::new(m.ee.value() / n, 2 * ue),
            max_error: self.max_error,
            max_pw_rel: self.max_pw_rel,
            pearson: if pearson.is_finite() { pearson.clamp(-1.0, 1.0) } else { f64::NAN },
        })
    }
}

/// The element nearest to the mean: an element, so that differences from it are exact for 64-bit integers too.
fn pivot_of<T: Element>(xs: &[T]) -> T {
    let Some(&first) = xs.first() else { return T::default() };
    // Eighths of differences cannot overflow; this mean only has to be near.
    let eighth = |x: T| difference(x, first).clamp(-f64::MAX, f64::MAX) / 8.0;
    let mean = xs.iter().map(|&x| eighth(x) / xs.len() as f64).sum::<f64>();
    let distance = |x: &T| (eighth(*x) - mean).abs();
    xs.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(first)
}

fn is_huge<T: Element>(xs: &[T], ds: &[T], pivot: T) -> bool {
    let huge = |v: &T| v.to_f64().abs() > HUGE;
    huge(&pivot) || xs.iter().chain(ds).any(huge)
}

impl Moments {
    /// Adds the sums of `y` and `e`, given in units of `2^head`, whose largest magnitudes are `max_y` and `max_e`.
    fn push(&mut self, y: &mut [f64], e: &mut [f64], max_y: f64, max_e: f64, head: i32) {
        self.widen(unit_for(Wide::new(max_y, head)), unit_for(Wide::new(max_e, head)));
        let rescale = |v: &mut [f64], unit: Option<i32>| {
            let k = head - unit.unwrap_or(head);
            if k != 0 {
                let s = libm::scalbn(1.0, k);
                v.iter_mut().for_each(|x| *x *= s);
            }
        };
        rescale(y, self.unit_y);
        rescale(e, self.unit_e);
        self.y.add_sum(Sum::of(y));
        self.yy.add_sum(Sum::of_products(y, y));
        if max_e > 0.0 {
            self.e.add_sum(Sum::of(e));
            self.ee.add_sum(Sum::of_products(e, e));
            self.ye.add_sum(Sum::of_products(y, e));
        }
    }

    /// Brings the sums to units at least as large as these.
    fn widen(&mut self, unit_y: Option<i32>, unit_e: Option<i32>) {
        let (new_y, new_e) = (self.unit_y.max(unit_y), self.unit_e.max(unit_e));
        let dy = self.unit_y.zip(new_y).map_or(0, |(old, new)| old - new);
        let de = self.unit_e.zip(new_e).map_or(0, |(old, new)| old - new);
        if (dy, de) != (0, 0) {
            self.y = self.y.shifted(dy);
            self.yy = self.yy.shifted(2 * dy);
            self.e = self.e.shifted(de);
            self.ee = self.ee.shifted(2 * de);
            self.ye = self.ye.shifted(dy + de);
        }
        (self.unit_y, self.unit_e) = (new_y, new_e);
    }

    /// Adds the sums over `n` pairs of `other`, whose pivot is larger by `shift`.
    fn merge(&mut self, other: &Moments, shift: Wide, n: u64) {
        let mut other = *other;
        let (m, e) = shift.parts();
        self.widen(other.unit_y.max(unit_for(shift)), other.unit_e);
        other.widen(self.unit_y, self.unit_e);
        if self.pivot.is_none() {
            *self = other;
            return;
        }
        // y about this pivot is y about the other plus d.
        let d = Sum::from(libm::scalbn(m, e - self.unit_y.unwrap_or(0)));
        let nd = d.times(Sum::from(n as f64));
        self.y.add_sum(other.y);
        self.y.add_sum(nd);
        self.yy.add_sum(other.yy);
        self.yy.add_sum(other.y.times(d).shifted(1));
        self.yy.add_sum(nd.times(d));
        self.ye.add_sum(other.ye);
        self.ye.add_sum(other.e.times(d));
        self.e.add_sum(other.e);
        self.ee.add_sum(other.ee);
    }
}
