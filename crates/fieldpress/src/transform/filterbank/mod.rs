//! Multi-level wavelet transforms of n-dimensional arrays with filters of any length: decimated, with lines continued past their ends in
//! one of three ways, and stationary.
//!
//! Sources: S. Mallat, "A theory for multiresolution signal decomposition", 1989; G. P. Nason, B. W. Silverman, "The stationary
//! wavelet transform and some statistical applications", 1995. Coefficients are those of PyWavelets' `wavedecn` with the modes
//! `symmetric`, `zero` and `periodization`, and of its `swtn`.
//!
//! # Format
//!
//! One level splits a line of `n` values `x` into `m` low-pass and as many high-pass values. With the length `L` of the filters `f`, of the
//! synthesis filters `r`, and `s = 2^level` with levels from 0:
//!
//! | mode | `m` | coefficient `k` | value `i` |
//! |---|---|---|---|
//! | symmetric, zero | `floor((n + L - 1) / 2)` | sum of `f[j] x[2k + 1 - j]` | sum of `r[j] y[(i + L - 2 - j) / 2]` |
//! | periodic | `ceil(n / 2)` | sum of `f[j] x[2k + L/2 - j]` | sum of `r[j] y[(i + L/2 - 1 - j) / 2]` |
//! | stationary | `n` | sum of `f[j] x[k + s (L/2 - j)]` | half the sum of `r[j] y[i + s (L/2 - 1 - j)]` |
//!
//! `x` is continued by `x[-1 - i] = x[i]` at both ends as often as needed, by zeros, or periodically; with mode periodic a line of odd length
//! is one longer, by its last value. Of fractional indices of `y` nothing comes; in the last two modes `y` is continued periodically. A
//! value is the sum of that over the low-pass values, `j` from 0 up, and then over the high-pass values.

mod line;

use serde::{Deserialize, Serialize};

use super::bands::{Band, Decomposition, Subband};
use super::filters::{Filters, Named};
use super::lines::{check, strides};
use super::product::zeros;
use super::wavelet::{Wavelet, MAX_LEVELS};
use crate::array::MAX_RANK;
use crate::error::{Error, Result};
use line::{along, Step};

/// How lines are continued past their ends, and whether coefficients are halved in number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Mirrored about a place half a step past the last value.
    #[default]
    Symmetric,
    /// By zeros.
    Zero,
    /// Periodically: no more coefficients than values, but one for a line of odd length.
    Periodic,
    /// Periodically, and as many coefficients of each kind as values.
    Stationary,
}

/// A wavelet transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterBank {
    /// The wavelet of all axes.
    pub wavelet: Named,
    /// The kind.
    pub mode: Mode,
    /// Levels, one entry per axis; axes are split together, an axis with none is left alone.
    pub levels: Vec<u32>,
}

/// Where coefficients lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Extents of the array that holds them. What lies in no band is 0.
    pub extents: Vec<usize>,
    /// The low-pass values of the last level, then the others, the coarsest first.
    subbands: Vec<Subband>,
    /// Extents of the low-pass part after each level, from 0 on.
    low: Vec<Vec<usize>>,
}

impl Layout {
    /// How many values the array has. Errors: `LimitExceeded`.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> Result<usize> {
        let n = self.extents.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        n.ok_or_else(|| Error::limit("expected a number of coefficients that fits the address space"))
    }
    /// The parts along each axis: where those of each kind lie among what one level makes of the part it splits.
    fn source(&self, band: &Subband) -> [usize; MAX_RANK] {
        let mut origin = [0; MAX_RANK];
        for (k, o) in origin.iter_mut().enumerate().filter(|(k, _)| band.high >> k & 1 == 1) {
            *o = band.extents[k];
        }
        origin
    }
}

impl FilterBank {
    /// The levels a line of `n` values deserves: as many as leave lines no shorter than the filters, less 1.
    pub fn most_levels(wavelet: Named, n: usize) -> u32 {
        let shortest = wavelet.filters().len() - 1;
        (0..MAX_LEVELS).find(|&l| n >> (l + 1) < shortest).unwrap_or(MAX_LEVELS)
    }

    /// Coefficients of one kind along a line of `n`.
    fn count(&self, n: usize, length: usize) -> usize {
        match self.mode {
            Mode::Stationary => n,
            Mode::Periodic => n.div_ceil(2),
            Mode::Symmetric | Mode::Zero => (n + length - 1) / 2,
        }
    }

    /// Where the coefficients of arrays of `shape` lie. Errors: `InvalidArgument` unless there are levels for each axis, none above
    /// [`MAX_LEVELS`]; for more than 4096 subbands.
    pub fn layout(&self, shape: &[usize]) -> Result<Layout> {
        let (rank, length) = (shape.len(), self.wavelet.filters().len());
        let top = self.levels.iter().copied().max().unwrap_or(0);
        if rank > MAX_RANK || self.levels.len() != rank || top > MAX_LEVELS {
            return Err(Error::invalid(format!(
                "expected {rank} numbers of levels up to {MAX_LEVELS}, found {:?}",
                self.levels
            )));
        }
        let top = if shape.contains(&0) { 0 } else { top };
        let is_split = |k: usize, level: u32| self.levels.get(k).is_some_and(|&l| l > level);
        let split = |level: u32| (0..rank).filter(|&k| is_split(k, level)).fold(0u8, |m, k| m | 1 << k);
        let count: u64 = (0..top).map(|l| (1u64 << split(l).count_ones()) - 1).sum::<u64>() + 1;
        if count > super::bands::MAX_SUBBANDS as u64 {
            return Err(Error::invalid(format!(
                "expected at most {} subbands, found {count}",
                super::bands::MAX_SUBBANDS
            )));
        }
        let mut low = vec![shape.to_vec()];
        for level in 0..top {
            let next = |(k, &n): (usize, &usize)| if is_split(k, level) { self.count(n, length) } else { n };
            let next = low.last().map(|before| before.iter().enumerate().map(next).collect());
            low.push(next.unwrap_or_default());
        }
        // Along each axis what is low-pass comes first; the bands of a stationary transform lie one after the other along the first.
        let mut extents = low.last().cloned().unwrap_or_default();
        let mut subbands = vec![self.subband(top, 0, &extents, [0; MAX_RANK])];
        for level in (0..top).rev() {
            let here = low.get(level as usize + 1).cloned().unwrap_or_default();
            let (split, before) = (split(level), extents.clone());
            for high in (1..=u8::MAX).filter(|h| h & !split == 0) {
                let mut origin = [0; MAX_RANK];
                if self.mode == Mode::Stationary {
                    origin[0] = shape[0].saturating_mul(subbands.len());
                } else {
                    (0..rank).filter(|k| high >> k & 1 == 1).for_each(|k| origin[k] = before[k]);
                }
                subbands.push(self.subband(level + 1, high, &here, origin));
            }
            if self.mode != Mode::Stationary {
                for (k, e) in extents.iter_mut().enumerate().filter(|(k, _)| split >> k & 1 == 1) {
                    *e = e.saturating_add(here[k]);
                }
            }
        }
        if self.mode == Mode::Stationary {
            extents.iter_mut().take(1).for_each(|e| *e = e.saturating_mul(subbands.len()));
        }
        Ok(Layout { extents, subbands, low })
    }

    fn subband(&self, level: u32, high: u8, part: &[usize], origin: [usize; MAX_RANK]) -> Subband {
        let (mut depth, mut extents) = ([0; MAX_RANK], [1; MAX_RANK]);
        depth.iter_mut().zip(&self.levels).for_each(|(d, &l)| *d = level.min(l));
        extents.iter_mut().zip(part).for_each(|(e, &n)| *e = n);
        Subband { depth, high, origin, extents }
    }

    /// The bands of coefficients of `layout`, with what is known of each when it is coded.
    pub fn bands(&self, layout: &Layout) -> Vec<Band> {
        // What is coarser, and what is beside, does not depend on the filters.
        let splits = Decomposition { wavelet: Wavelet::Cdf97, levels: self.levels.clone(), alone: 0 };
        let mut bands = splits.related(&layout.subbands);
        if self.mode == Mode::Stationary {
            bands.iter_mut().flat_map(|b| &mut b.parents).for_each(|p| p.1 = [0; MAX_RANK]);
        }
        if layout.extents.contains(&0) {
            bands.clear();
        }
        bands
    }

    /// The coefficients of `x`, an array of `shape`, in an array of the extents of [`FilterBank::layout`].
    /// Errors: as that; `InvalidArgument` when the lengths disagree; `LimitExceeded`.
    pub fn forward(&self, x: &[f64], shape: &[usize]) -> Result<Vec<f64>> {
        check(shape, x.len())?;
        let layout = self.layout(shape)?;
        let mut out = zeros(layout.len()?)?;
        let filters = self.wavelet.filters();
        let (mut low, mut extents) = (x.to_vec(), shape.to_vec());
        let top = layout.low.len() as u32 - 1;
        for level in 1..=top {
            for axis in (0..shape.len()).filter(|&k| self.levels[k] >= level) {
                let step = self.step(&filters, extents[axis], level, false);
                low = along(&low, &extents, axis, &step)?;
                extents[axis] = 2 * step.m;
            }
            for band in layout.subbands.iter().filter(|b| is_of(b, level)) {
                let box_of = |origin, whole| Place { origin, whole };
                let (from, to) = (box_of(layout.source(band), &extents[..]), box_of(band.origin, &layout.extents));
                copy(&low, from, &mut out, to, &band.extents);
            }
            let here = layout.low.get(level as usize).cloned().unwrap_or_default();
            let mut part = zeros(here.iter().product())?;
            let origin = [0; MAX_RANK];
            copy(&low, Place { origin, whole: &extents }, &mut part, Place { origin, whole: &here }, &padded(&here));
            (low, extents) = (part, here);
        }
        let origin = [0; MAX_RANK];
        let (from, to) = (Place { origin, whole: &extents }, Place { origin, whole: &layout.extents });
        copy(&low, from, &mut out, to, &padded(&extents));
        Ok(out)
    }

    /// The array of `shape` with these coefficients. Errors: as [`FilterBank::forward`].
    pub fn inverse(&self, coefficients: &[f64], shape: &[usize]) -> Result<Vec<f64>> {
        let layout = self.layout(shape)?;
        check(&layout.extents, coefficients.len())?;
        let filters = self.wavelet.filters();
        let origin = [0; MAX_RANK];
        let top = layout.low.len() as u32 - 1;
        let part = layout.low.last().cloned().unwrap_or_default();
        let mut low = zeros(part.iter().product())?;
        let (from, to) = (Place { origin, whole: &layout.extents }, Place { origin, whole: &part });
        copy(coefficients, from, &mut low, to, &padded(&part));
        for level in (1..=top).rev() {
            let (Some(whole), Some(part)) = (layout.low.get(level as usize - 1), layout.low.get(level as usize)) else {
                continue;
            };
            let is_split = |k: usize| self.levels.get(k).is_some_and(|&l| l >= level);
            let mut extents: Vec<usize> =
                part.iter().enumerate().map(|(k, &m)| if is_split(k) { 2 * m } else { m }).collect();
            let mut all = zeros(extents.iter().product())?;
            copy(&low, Place { origin, whole: part }, &mut all, Place { origin, whole: &extents }, &padded(part));
            for band in layout.subbands.iter().filter(|b| is_of(b, level)) {
                let from = Place { origin: band.origin, whole: &layout.extents };
                let to = Place { origin: layout.source(band), whole: &extents };
                copy(coefficients, from, &mut all, to, &band.extents);
            }
            for axis in (0..shape.len()).rev().filter(|&k| is_split(k)) {
                all = along(&all, &extents, axis, &self.step(&filters, whole[axis], level, true))?;
                extents[axis] = whole[axis];
            }
            low = all;
        }
        Ok(low)
    }

    fn step<'a>(&self, filters: &'a Filters, n: usize, level: u32, merge: bool) -> Step<'a> {
        let dilation = match self.mode {
            // Steps past a period do no more than what is left of them.
            Mode::Stationary => ((1u64 << (level - 1)) % n.max(1) as u64) as isize,
            _ => 1,
        };
        Step { filters, mode: self.mode, n, m: self.count(n, filters.len()), dilation, merge }
    }
}

/// Whether a subband holds high-pass values of level `level`, from 1.
fn is_of(band: &Subband, level: u32) -> bool {
    band.high != 0 && band.depth.iter().max() == Some(&level)
}

fn padded(extents: &[usize]) -> [usize; MAX_RANK] {
    let mut e = [1; MAX_RANK];
    e.iter_mut().zip(extents).for_each(|(e, &n)| *e = n);
    e
}

/// Where a box begins in an array.
struct Place<'a> {
    origin: [usize; MAX_RANK],
    whole: &'a [usize],
}

impl Place<'_> {
    /// Where the row of `index` begins.
    fn row(&self, steps: &[usize; MAX_RANK], index: &[usize; MAX_RANK]) -> usize {
        (0..self.whole.len()).map(|k| (self.origin[k] + index[k]) * steps[k]).sum()
    }
}

/// Copies a box of `extents`.
fn copy(from: &[f64], at: Place<'_>, to: &mut [f64], place: Place<'_>, extents: &[usize; MAX_RANK]) {
    let (rank, steps) = (at.whole.len(), [strides(at.whole), strides(place.whole)]);
    let last = rank.saturating_sub(1);
    let run = if rank == 0 { 1 } else { extents[last] };
    let rows: usize = extents[..last].iter().product();
    let mut index = [0; MAX_RANK];
    for _ in 0..rows {
        let (a, b) = (at.row(&steps[0], &index), place.row(&steps[1], &index));
        if let (Some(a), Some(b)) = (from.get(a..a + run), to.get_mut(b..b + run)) {
            b.copy_from_slice(a);
        }
        for k in (0..last).rev() {
            index[k] += 1;
            if index[k] < extents[k] {
                break;
            }
            index[k] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        let mut s = 77u64;
        let mut next = || {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }
    fn bank(name: &str, mode: Mode, levels: &[u32]) -> FilterBank {
        FilterBank { wavelet: Named::parse(name).unwrap(), mode, levels: levels.to_vec() }
    }
    const MODES: [Mode; 4] = [Mode::Symmetric, Mode::Zero, Mode::Periodic, Mode::Stationary];

    fn reconstructs(bank: &FilterBank, shape: &[usize], close: f64) {
        let x = noise(shape.iter().product());
        let c = bank.forward(&x, shape).unwrap();
        assert_eq!(c.len(), bank.layout(shape).unwrap().len().unwrap());
        let y = bank.inverse(&c, shape).unwrap();
        let worst = x.iter().zip(&y).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
        assert!(x.len() == y.len() && worst < close, "{bank:?} {shape:?}: {worst}");
    }

    #[test]
    fn every_wavelet_reconstructs_any_line() {
        for wavelet in Named::all() {
            let close = if wavelet.number() == Named::all().count() as u8 - 1 { 2e-3 } else { 1e-12 };
            for mode in MODES {
                for n in [1, 2, 3, 5, 8, 13, 70, 101] {
                    for levels in [0, 1, 3] {
                        reconstructs(&FilterBank { wavelet, mode, levels: vec![levels] }, &[n], close);
                    }
                }
            }
        }
    }

    #[test]
    fn arrays_of_any_rank_reconstruct() {
        let shapes: [&[usize]; 11] = [
            &[],
            &[0],
            &[5, 0, 7],
            &[1, 9],
            &[9, 1],
            &[33, 18],
            &[17, 9, 35],
            &[8, 37, 3],
            &[3, 5, 4, 6],
            &[40, 2],
            &[2, 61],
        ];
        for shape in shapes {
            for name in ["haar", "db4", "sym5", "coif2", "bior3.5", "rbio4.4", "bior6.8"] {
                for mode in MODES {
                    reconstructs(&bank(name, mode, &vec![1; shape.len()]), shape, 1e-12);
                    let mixed: Vec<u32> = (0..shape.len() as u32).map(|k| (k + 2) % 3).collect();
                    reconstructs(&bank(name, mode, &mixed), shape, 1e-12);
                }
            }
        }
    }

    /// Bands lie apart, and hold all that is not zero.
    #[test]
    fn bands_hold_every_coefficient_once() {
        for mode in MODES {
            for (shape, levels) in
                [(vec![9, 14], vec![2, 1]), (vec![5, 8, 7], vec![0, 2, 1]), (vec![12], vec![3]), (vec![], vec![])]
            {
                let bank = bank("db3", mode, &levels);
                let layout = bank.layout(&shape).unwrap();
                let mut left = bank.forward(&noise(shape.iter().product()), &shape).unwrap();
                let energy = |c: &[f64]| c.iter().filter(|v| **v != 0.0).count();
                let (mut found, all) = (0, energy(&left));
                for band in bank.bands(&layout) {
                    let zeros = vec![0.0; band.extents.iter().product()];
                    let part = &band.extents[..shape.len()];
                    let before = energy(&left);
                    let from = Place { origin: [0; MAX_RANK], whole: part };
                    copy(&zeros, from, &mut left, Place { origin: band.origin, whole: &layout.extents }, &band.extents);
                    found += before - energy(&left);
                    assert!(band.is_inside(&layout.extents) && before > energy(&left));
                }
                assert!(found == all && energy(&left) == 0, "{bank:?}");
            }
        }
    }

    /// Computed with PyWavelets 1.8: `x = [2.3, -1, 4, 1, -5, 9, 2]`.
    #[test]
    fn coefficients_are_those_in_use() {
        let x = [2.3, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0];
        let expect = |name: &str, mode: Mode, expected: &[f64]| {
            let x = if mode == Mode::Stationary { [&x[..], &[6.0]].concat() } else { x.to_vec() };
            let c = bank(name, mode, &[1]).forward(&x, &[x.len()]).unwrap();
            let same = c.len() == expected.len() && c.iter().zip(expected).all(|(a, b)| (a - b).abs() < 6e-7);
            assert!(same, "{name} {mode:?}: {c:?}");
        };
        expect(
            "db3",
            Mode::Symmetric,
            &[
                2.558093, 2.409370, 2.406993, -1.477343, 5.303301, 7.148541, 1.642805, 3.205536, -8.032835, -2.289054,
                8.328439, 0.801833,
            ],
        );
        expect(
            "bior2.4",
            Mode::Symmetric,
            &[
                -0.982216, 1.895930, 1.838478, 3.738827, -1.525804, 6.330815, 6.098796, -0.982216, -2.828427,
                -1.166726, 2.934493, -1.060660, -7.424621, 2.474874, 7.071068, -2.828427,
            ],
        );
        expect(
            "sym4",
            Mode::Zero,
            &[
                0.007604, 1.156673, 2.652797, 0.388300, 4.900584, -0.472990, 0.064446, 0.003234, 0.503214, 3.011924,
                0.361318, -9.399454, 1.640786, -0.151531,
            ],
        );
        expect(
            "coif1",
            Mode::Periodic,
            &[1.799795, 3.512732, -0.928886, 5.727986, 3.276238, -0.456748, -8.766102, 0.501890],
        );
        expect(
            "rbio3.1",
            Mode::Periodic,
            &[1.750089, 1.590990, 2.651650, 4.118897, -2.793072, -4.596194, 15.202796, -2.368808],
        );
        expect(
            "db2",
            Mode::Stationary,
            &[
                4.079983, 1.041464, 3.734294, 0.482963, -1.941143, 4.785663, 7.066920, 6.629964, -4.060356, 2.789604,
                2.484165, -9.271030, 7.554031, -2.594992, 2.295310, 0.803268,
            ],
        );
    }

    #[test]
    fn polynomials_have_no_details_inside() {
        let x: Vec<f64> = (0..64i32).map(|i| f64::from((i - 20) * (i - 20) * (i - 20))).collect();
        for (name, mode) in
            [("db4", Mode::Zero), ("sym6", Mode::Periodic), ("rbio2.4", Mode::Symmetric), ("db4", Mode::Stationary)]
        {
            let bank = bank(name, mode, &[1]);
            let c = bank.forward(&x, &[64]).unwrap();
            let m = c.len() / 2;
            assert!(c[m + 12..2 * m - 12].iter().all(|d| d.abs() < 1e-9), "{name} {mode:?}");
            assert!(c[m..].iter().any(|d| d.abs() > 1.0));
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let b = bank("db2", Mode::Symmetric, &[1, 1]);
        assert!(b.forward(&[0.0; 6], &[6]).is_err() && b.forward(&[0.0; 5], &[2, 3]).is_err());
        assert!(b.inverse(&[0.0; 6], &[2, 3]).is_err());
        assert!(bank("db2", Mode::Zero, &[33]).layout(&[100]).is_err());
        assert!(bank("db2", Mode::Zero, &[32; 8]).layout(&[9; 8]).is_err(), "too many subbands");
        let huge = bank("db2", Mode::Stationary, &[3, 3]).layout(&[usize::MAX / 2, 3]).unwrap();
        assert!(huge.len().is_err());
        assert_eq!(
            [7, 8, 14, 50, 112].map(|n| FilterBank::most_levels(Named::parse("db4").unwrap(), n)),
            [0, 0, 1, 2, 4]
        );
    }
}
