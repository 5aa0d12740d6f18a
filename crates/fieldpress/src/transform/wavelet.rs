//! Multi-level wavelet transforms of n-dimensional arrays by lifting: CDF 9/7 and CDF 5/3.
//!
//! Sources: A. Cohen, I. Daubechies, J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992;
//! I. Daubechies, W. Sweldens, "Factoring wavelet transforms into lifting steps", 1998 (the 9/7 factorisation).
//! Lines are extended by whole-sample symmetry at both ends, so any length is reversible.
//!
//! One level splits a line of `n` values into `ceil(n / 2)` low-pass values, stored first, and `floor(n / 2)` high-pass
//! values. Both filters are scaled so that the basis is close to orthonormal (low-pass gain `sqrt(2)` for a constant):
//! the sum of squares is kept to within a few per cent, and a quantisation error in any coefficient has about the same
//! effect on the mean squared error. Only `+ - *` are used, in a fixed order: results have the same bits everywhere.

use super::lines::{check, load, runs, store, strides, Row, LANES};
use crate::array::MAX_RANK;
use crate::bits::{widest, Work};
use crate::error::{Error, Result};

/// Which wavelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wavelet {
    /// CDF 9/7: four vanishing moments on both sides; the best compaction of smooth fields.
    Cdf97,
    /// CDF 5/3: two vanishing moments, short support; for rough or piecewise smooth fields.
    Cdf53,
}

/// Lifting factors, applied in turn to the odd and the even values.
const LIFT_97: [f64; 4] =
    [-1.586_134_342_059_924, -0.052_980_118_572_961, 0.882_911_075_530_934, 0.443_506_852_043_971];
const LIFT_53: [f64; 2] = [-0.5, 0.25];
/// `sqrt(2)` over the low-pass gain of the lifting steps, 1.230174104914001 and 1.
const GAIN_97: f64 = 1.149_604_398_860_241;
const GAIN_53: f64 = std::f64::consts::SQRT_2;

/// Most levels along one axis.
pub const MAX_LEVELS: u32 = 32;

impl Wavelet {
    fn factors(self) -> &'static [f64] {
        match self {
            Wavelet::Cdf97 => &LIFT_97,
            Wavelet::Cdf53 => &LIFT_53,
        }
    }
    fn gain(self) -> f64 {
        match self {
            Wavelet::Cdf97 => GAIN_97,
            Wavelet::Cdf53 => GAIN_53,
        }
    }

    /// Transforms `data`, an array of `shape` in C order, in place: level `l` = 0, 1, ... splits the axes `k` with
    /// `levels[k] > l` of what the levels before left of low-pass values. [`Decomposition`](super::Decomposition) tells where coefficients lie.
    /// Errors: `InvalidArgument` when the lengths disagree, or above [`MAX_LEVELS`].
    pub fn forward(self, data: &mut [f64], shape: &[usize], levels: &[u32]) -> Result<()> {
        let top = check_levels(shape, levels, data.len())?;
        let mut scratch = Scratch::new(shape)?;
        for level in 0..top {
            let extents = extents(shape, levels, level);
            for axis in (0..shape.len()).rev().filter(|&k| levels[k] > level) {
                let extents = &extents[..shape.len()];
                widest(Level { wavelet: self, data, shape, extents, axis, scratch: &mut scratch, merge: false });
            }
        }
        Ok(())
    }

    /// The inverse of [`Wavelet::forward`].
    pub fn inverse(self, data: &mut [f64], shape: &[usize], levels: &[u32]) -> Result<()> {
        let top = check_levels(shape, levels, data.len())?;
        let mut scratch = Scratch::new(shape)?;
        for level in (0..top).rev() {
            let extents = extents(shape, levels, level);
            for axis in (0..shape.len()).filter(|&k| levels[k] > level) {
                let extents = &extents[..shape.len()];
                widest(Level { wavelet: self, data, shape, extents, axis, scratch: &mut scratch, merge: true });
            }
        }
        Ok(())
    }

    /// One level along one axis of the part of `data` that has `extents`.
    #[inline(always)]
    fn split(self, data: &mut [f64], shape: &[usize], extents: &[usize], axis: usize, scratch: &mut Scratch) {
        let n = extents[axis];
        if n < 2 {
            return;
        }
        let (step, half) = (strides(shape)[axis], n.div_ceil(2));
        let (low_gain, high_gain) = (self.gain(), 1.0 / self.gain());
        if axis + 1 == shape.len() {
            let (low, high) = scratch.line[..n].split_at_mut(half);
            let (_, starts) = runs(shape, extents, axis);
            for start in starts {
                let line = &mut data[start..start + n];
                for ((l, h), pair) in low.iter_mut().zip(high.iter_mut()).zip(line.chunks_exact(2)) {
                    *l = pair[0];
                    *h = pair[1];
                }
                if n % 2 == 1 {
                    low[half - 1] = line[n - 1];
                }
                for factors in self.factors().chunks_exact(2) {
                    lift_odd(high, low, factors[0]);
                    lift_even(low, high, factors[1]);
                }
                line[..half].iter_mut().zip(low.iter()).for_each(|(x, l)| *x = l * low_gain);
                line[half..].iter_mut().zip(high.iter()).for_each(|(x, h)| *x = h * high_gain);
            }
            return;
        }
        let (low, high) = scratch.rows[..n].split_at_mut(half);
        let (run, starts) = runs(shape, extents, axis);
        for start in starts {
            for at in (start..start + run).step_by(LANES) {
                let lanes = LANES.min(start + run - at);
                load(data, at, 2 * step, lanes, low.iter_mut());
                load(data, at + step, 2 * step, lanes, high.iter_mut());
                for factors in self.factors().chunks_exact(2) {
                    lift_odd_rows(high, low, factors[0]);
                    lift_even_rows(low, high, factors[1]);
                }
                scale(low, low_gain);
                scale(high, high_gain);
                store(data, at, step, lanes, low.iter());
                store(data, at + half * step, step, lanes, high.iter());
            }
        }
    }

    /// The inverse of [`Wavelet::split`].
    #[inline(always)]
    fn merge(self, data: &mut [f64], shape: &[usize], extents: &[usize], axis: usize, scratch: &mut Scratch) {
        let n = extents[axis];
        if n < 2 {
            return;
        }
        let (step, half) = (strides(shape)[axis], n.div_ceil(2));
        let (low_gain, high_gain) = (1.0 / self.gain(), self.gain());
        if axis + 1 == shape.len() {
            let (low, high) = scratch.line[..n].split_at_mut(half);
            let (_, starts) = runs(shape, extents, axis);
            for start in starts {
                let line = &mut data[start..start + n];
                low.iter_mut().zip(&line[..half]).for_each(|(l, x)| *l = x * low_gain);
                high.iter_mut().zip(&line[half..]).for_each(|(h, x)| *h = x * high_gain);
                for factors in self.factors().rchunks_exact(2) {
                    lift_even(low, high, -factors[1]);
                    lift_odd(high, low, -factors[0]);
                }
                for ((l, h), pair) in low.iter().zip(high.iter()).zip(line.chunks_exact_mut(2)) {
                    pair[0] = *l;
                    pair[1] = *h;
                }
                if n % 2 == 1 {
                    line[n - 1] = low[half - 1];
                }
            }
            return;
        }
        let (low, high) = scratch.rows[..n].split_at_mut(half);
        let (run, starts) = runs(shape, extents, axis);
        for start in starts {
            for at in (start..start + run).step_by(LANES) {
                let lanes = LANES.min(start + run - at);
                load(data, at, step, lanes, low.iter_mut());
                load(data, at + half * step, step, lanes, high.iter_mut());
                scale(low, low_gain);
                scale(high, high_gain);
                for factors in self.factors().rchunks_exact(2) {
                    lift_even_rows(low, high, -factors[1]);
                    lift_odd_rows(high, low, -factors[0]);
                }
                store(data, at, 2 * step, lanes, low.iter());
                store(data, at + step, 2 * step, lanes, high.iter());
            }
        }
    }
}

/// One level along one axis, up or down.
struct Level<'a> {
    wavelet: Wavelet,
    data: &'a mut [f64],
    shape: &'a [usize],
    extents: &'a [usize],
    axis: usize,
    scratch: &'a mut Scratch,
    merge: bool,
}

impl Work for Level<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Level { wavelet, data, shape, extents, axis, scratch, merge } = self;
        if merge {
            wavelet.merge(data, shape, extents, axis, scratch);
        } else {
            wavelet.split(data, shape, extents, axis, scratch);
        }
    }
}

/// `high[i] += f * (low[i] + low[i + 1])`, mirrored past the end of an even line.
#[inline(always)]
fn lift_odd(high: &mut [f64], low: &[f64], f: f64) {
    for (h, l) in high.iter_mut().zip(low.windows(2)) {
        *h += f * (l[0] + l[1]);
    }
    if let (true, Some(h), Some(l)) = (high.len() == low.len(), high.last_mut(), low.last()) {
        *h += f * (l + l);
    }
}

/// `low[i] += f * (high[i - 1] + high[i])`, mirrored at the start and past the end of an odd line.
#[inline(always)]
fn lift_even(low: &mut [f64], high: &[f64], f: f64) {
    let odd = low.len() > high.len();
    let Some((first, rest)) = low.split_first_mut() else { return };
    *first += f * (high[0] + high[0]);
    for (l, h) in rest.iter_mut().zip(high.windows(2)) {
        *l += f * (h[0] + h[1]);
    }
    if let (true, Some(l), Some(h)) = (odd, rest.last_mut(), high.last()) {
        *l += f * (h + h);
    }
}

#[inline(always)]
fn lift_row(to: &mut Row, a: &Row, b: &Row, f: f64) {
    for j in 0..LANES {
        to[j] += f * (a[j] + b[j]);
    }
}

/// [`lift_odd`] on whole rows.
#[inline(always)]
fn lift_odd_rows(high: &mut [Row], low: &[Row], f: f64) {
    for (h, l) in high.iter_mut().zip(low.windows(2)) {
        lift_row(h, &l[0], &l[1], f);
    }
    if let (true, Some(h), Some(l)) = (high.len() == low.len(), high.last_mut(), low.last()) {
        lift_row(h, l, l, f);
    }
}

/// [`lift_even`] on whole rows.
#[inline(always)]
fn lift_even_rows(low: &mut [Row], high: &[Row], f: f64) {
    let odd = low.len() > high.len();
    let Some((first, rest)) = low.split_first_mut() else { return };
    lift_row(first, &high[0], &high[0], f);
    for (l, h) in rest.iter_mut().zip(high.windows(2)) {
        lift_row(l, &h[0], &h[1], f);
    }
    if let (true, Some(l), Some(h)) = (odd, rest.last_mut(), high.last()) {
        lift_row(l, h, h, f);
    }
}

#[inline(always)]
fn scale(rows: &mut [Row], gain: f64) {
    rows.iter_mut().flatten().for_each(|x| *x *= gain);
}

/// Room for one line, and for [`LANES`] lines side by side.
struct Scratch {
    line: Vec<f64>,
    rows: Vec<Row>,
}

impl Scratch {
    fn new(shape: &[usize]) -> Result<Scratch> {
        let Some((&last, others)) = shape.split_last() else { return Ok(Scratch { line: vec![], rows: vec![] }) };
        let longest = others.iter().copied().max().unwrap_or(0);
        let (mut line, mut rows) = (Vec::new(), Vec::new());
        if line.try_reserve_exact(last).is_err() || rows.try_reserve_exact(longest).is_err() {
            return Err(Error::limit(format!("expected memory for lines of {last} and {longest}, found too little")));
        }
        line.resize(last, 0.0);
        rows.resize(longest, [0.0; LANES]);
        Ok(Scratch { line, rows })
    }
}

/// Checks lengths and returns the number of levels of the axis that has most.
pub(super) fn check_levels(shape: &[usize], levels: &[u32], len: usize) -> Result<u32> {
    check(shape, len)?;
    let top = levels.iter().copied().max().unwrap_or(0);
    if levels.len() != shape.len() || top > MAX_LEVELS {
        return Err(Error::invalid(format!(
            "expected {} numbers of levels up to {MAX_LEVELS}, found {levels:?}",
            shape.len()
        )));
    }
    Ok(top)
}

/// The levels an axis of `len` values deserves: as many as leave at least 5 low-pass values, at most 6.
/// A line of fewer than 8 values is left alone.
pub fn default_levels(len: usize) -> u32 {
    (0..6).find(|&l| len >> l < 8).unwrap_or(6)
}

/// Extents of the low-pass part after `level` levels.
pub(super) fn extents(shape: &[usize], levels: &[u32], level: u32) -> [usize; MAX_RANK] {
    let mut e = [1; MAX_RANK];
    for (k, (&d, &l)) in shape.iter().zip(levels).enumerate() {
        e[k] = shrink(d, level.min(l));
    }
    e
}

/// `ceil(n / 2^levels)`.
pub(super) fn shrink(n: usize, levels: u32) -> usize {
    (0..levels).fold(n, |n, _| n.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut s = seed | 1;
        (0..n)
            .map(|_| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
            })
            .collect()
    }
    fn max_difference(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).fold(0.0, |m: f64, (x, y)| m.max((x - y).abs()))
    }
    const BOTH: [Wavelet; 2] = [Wavelet::Cdf97, Wavelet::Cdf53];

    #[test]
    fn reconstructs_any_shape() {
        let shapes: [&[usize]; 14] = [
            &[],
            &[0],
            &[1],
            &[2],
            &[3],
            &[97],
            &[1, 9],
            &[9, 1],
            &[33, 18],
            &[5, 0, 7],
            &[17, 9, 35],
            &[8, 37, 3],
            &[3, 11, 8, 10],
            &[2, 1, 19, 4],
        ];
        for w in BOTH {
            for shape in shapes {
                let x = noise(shape.iter().product(), 5);
                for levels in [
                    vec![0; shape.len()],
                    shape.iter().map(|&d| default_levels(d)).collect(),
                    (0..shape.len() as u32).map(|k| 1 + k % 3).collect(),
                    vec![7; shape.len()],
                ] {
                    let mut y = x.clone();
                    w.forward(&mut y, shape, &levels).unwrap();
                    w.inverse(&mut y, shape, &levels).unwrap();
                    assert!(max_difference(&x, &y) < 1e-12, "{w:?} {shape:?} {levels:?}");
                }
            }
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut x = vec![0.0; 6];
        for (shape, levels) in [(vec![2, 4], vec![1, 1]), (vec![6], vec![1, 1]), (vec![6], vec![33])] {
            assert!(Wavelet::Cdf97.forward(&mut x, &shape, &levels).is_err());
            assert!(Wavelet::Cdf97.inverse(&mut x, &shape, &levels).is_err());
        }
    }

    /// A line along a strided axis goes through the same arithmetic as one along the last axis.
    #[test]
    fn all_axes_give_the_same_bits() {
        for w in BOTH {
            for n in [2, 3, 8, 21] {
                let x = noise(n * 19, 3);
                let mut rows = x.clone();
                w.forward(&mut rows, &[19, n], &[0, 2]).unwrap();
                let transposed =
                    |a: &[f64], r: usize, c: usize| (0..r * c).map(|i| a[i % r * c + i / r]).collect::<Vec<_>>();
                let mut columns = transposed(&x, 19, n);
                w.forward(&mut columns, &[n, 19], &[2, 0]).unwrap();
                assert_eq!(rows, transposed(&columns, n, 19));
            }
        }
    }

    /// Known coefficients of the 9/7 filters (ISO/IEC 15444-1, annex F), there normalised to a low-pass gain of 1:
    /// the impulse response of the analysis low-pass filter is 0.6029490 0.2668641 -0.0782233 -0.0168641 0.0267488.
    #[test]
    fn filters_are_those_published() {
        let low = [0.026_748_757_410_810, -0.016_864_118_442_875, -0.078_223_266_528_990, 0.266_864_118_442_875];
        let mut taps = low.to_vec();
        taps.push(0.602_949_018_236_360);
        taps.extend(low.iter().rev());
        // Coefficient 4 of the low-pass half is centred on sample 8.
        for (j, tap) in taps.iter().enumerate() {
            let mut x = vec![0.0; 32];
            x[4 + j] = 1.0;
            Wavelet::Cdf97.forward(&mut x, &[32], &[1]).unwrap();
            assert!((x[4] - tap * std::f64::consts::SQRT_2).abs() < 1e-9, "tap {j}: {} {tap}", x[4]);
        }
        let mut x = vec![0.0; 32];
        x[8] = 1.0;
        Wavelet::Cdf53.forward(&mut x, &[32], &[1]).unwrap();
        assert!((x[4] - 0.75 * std::f64::consts::SQRT_2).abs() < 1e-12);
    }

    #[test]
    fn polynomials_up_to_the_vanishing_moments_have_no_details() {
        for (w, degree, reach) in [(Wavelet::Cdf97, 3, 3), (Wavelet::Cdf53, 1, 1)] {
            for p in 0..=degree {
                let poly = |i: usize| (0..p).fold(1.0, |v, _| v * (i as f64 / 10.0 - 2.0));
                let mut x: Vec<f64> = (0..41).map(poly).collect();
                w.forward(&mut x, &[41], &[1]).unwrap();
                // Mirroring breaks polynomials of degree 1 and above near the ends.
                let skip = if p == 0 { 0 } else { reach };
                let details = &x[21 + skip..41 - skip];
                assert!(details.iter().all(|d| d.abs() < 1e-12), "{w:?} degree {p}: {details:?}");
                if p == degree {
                    let next: Vec<f64> = (0..41).map(|i| poly(i) * i as f64).collect();
                    let mut x = next;
                    w.forward(&mut x, &[41], &[1]).unwrap();
                    assert!(x[31].abs() > 1e-6);
                }
            }
        }
    }

    #[test]
    fn a_constant_is_one_number_times_root_two_a_level() {
        for w in BOTH {
            let mut x = vec![3.0; 24 * 32];
            w.forward(&mut x, &[24, 32], &[2, 3]).unwrap();
            let low = 3.0 * 4.0 * 2f64.sqrt();
            for (i, v) in x.iter().enumerate() {
                let inside = i / 32 < 6 && i % 32 < 4;
                assert!((v - if inside { low } else { 0.0 }).abs() < 1e-10, "{w:?} {i}: {v}");
            }
        }
    }

    #[test]
    fn energy_is_nearly_kept() {
        for (w, tolerance) in [(Wavelet::Cdf97, 0.1), (Wavelet::Cdf53, 0.5)] {
            let shape = [32, 24, 40];
            let x = noise(shape.iter().product(), 9);
            let mut y = x.clone();
            w.forward(&mut y, &shape, &[3, 2, 3]).unwrap();
            let energy = |a: &[f64]| a.iter().map(|v| v * v).sum::<f64>();
            let ratio = energy(&y) / energy(&x);
            assert!((ratio - 1.0).abs() < tolerance, "{w:?}: {ratio}");
        }
    }

    #[test]
    fn levels_leave_short_axes_alone() {
        assert_eq!([0, 1, 7, 8, 15, 16, 91, 255, 256, 1 << 20].map(default_levels), [0, 0, 0, 1, 1, 2, 4, 5, 6, 6]);
    }
}
