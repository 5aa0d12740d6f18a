//! Quantised wavelet coefficients to bytes: each is coded in contexts of its neighbours in space, scale and orientation.
//!
//! Sources: X. Wu, "High-order context modeling and embedded conditional entropy coding of wavelet coefficients for
//! image compression", 1997; J. M. Shapiro, "Embedded image coding using zerotrees of wavelet coefficients", 1993
//! (parents).
//!
//! # Format
//!
//! Subbands follow each other as [`Decomposition::subbands`] lists them, rows of a subband in C order, the last axis
//! being that of rows. An array of rank 0 is one of a single axis. Let `a(.)` be magnitudes, at most 4095, zero where
//! nothing is or nothing has been coded; "back" is the neighbour one before; sums over axes are over the last three
//! axes but that of the rows. For each place `x` of a row:
//!
//! | name | value |
//! |---|---|
//! | `N` | sum over axes of `a` one back |
//! | `D` | sum over axes of `a` one back and one to either side along the row; plus, for each pair of axes, one back along the first and one to either side along the second |
//! | `F` | sum over axes of `a` two back |
//! | `P`, `Q` | sum over [parents](Decomposition::parents) of `a` at the place halved along the axes where the parent is coarser (at most the parent's last); `Q` the same over that place's two neighbours along each of the axes and the row, inside the parent |
//! | `S`, `T` | `s` at the place, and the sum of `s` over its two neighbours along each of the axes and the row; `s` is the sum of `a` over the [siblings](Decomposition::are_siblings) coded before, at most 65535 |
//! | `M` | sum over axes of the average `m` one back |
//!
//! When `4N + 2D`, `F`, `4P + Q` and `4S + T` are zero all along a row, a flag says whether all its coefficients are zero. If
//! so, `m = floor(k M / 256)` there, with `k = floor(225 / n)`, `n` being the number of axes longer than 1 (at least 1).
//! Otherwise each coefficient is coded, with `b`, `c` the magnitudes one and two before in the row, `M` including the `m`
//! one before; then `m = 123 a + floor(k M / 256)`:
//!
//! | name | value |
//! |---|---|
//! | `f` | `4 (N + b) + 2 D` |
//! | `g` | `2 f + (4P + Q) + 2 (4S + T) + 2 (F + c)` |
//! | `h` | `floor(floor(k M / 256) / 16)` |
//! | `l` | level: 7 for the subband that is low-pass everywhere, else `floor((sum of depths - 1) / axes with levels)`, at most 6 |
//! | `L(v)` | `v` below 2, else `2 e + the bit below the leading one` with `e = floor(log2 v)` |
//!
//! Two coders exist. [`Coder::Mixed`] is one range-coded stream: flags are models chosen by `l` and the flag before in the
//! subband (at first: not zero); coefficients are integers of [`crate::entropy::mixing`] with the contexts
//! `16 L(f) + L(4P + Q)` (at most 23 and 15), `8 L(g) + l` (31), `16 (5 N + b) + 4 P + S` (at most 4, 4, 3, 3),
//! `32 L(h) + L(2 f + 2 (4S + T) + 4P + Q)` (31 and 31), and the selector `8 l + floor(L(g) / 3)` (at most 7).
//! [`Coder::Classes`] is one stream of [`crate::entropy::rans`] with 256 classes: `8 L(g) + l` with `L(g)` at most 30 for
//! coefficients, 255 for flags.

use super::bands::{Decomposition, Subband};
use super::lines::strides;
use crate::array::MAX_RANK;
use crate::entropy::{encode_classes, BinaryDecoder, BinaryEncoder, Bit, Decisions, MixedModel, RansDecoder};
use crate::error::{Error, Result};

/// How coefficients become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coder {
    /// Mixed adaptive models: the smallest.
    Mixed,
    /// Static rANS with context classes: some per cent larger, and faster.
    Classes,
}

const MAX_MAGNITUDE: u32 = 4095;
const CONTEXTS: [usize; 4] = [24 * 16, 32 * 8, 25 * 16, 32 * 32];
const FLAG_CLASS: u8 = 255;

/// What is known of a coefficient before it is coded; names as in the module's table.
struct Place {
    f: u32,
    g: u32,
    h: u32,
    parents: u32,
    siblings: u32,
    /// `5 N + b`, each at most 4, times 16, plus `4 P + S`, each at most 3.
    exact: u32,
    level: u32,
}

/// Half-octave logarithm.
#[inline(always)]
fn log(v: u32) -> usize {
    if v < 2 {
        v as usize
    } else {
        let e = v.ilog2();
        (2 * e + (v >> (e - 1) & 1)) as usize
    }
}

/// Where coefficients and row flags go to or come from; what it is given is what was coded, or ignored.
trait RowCoder {
    fn flag(&mut self, zero: bool, level: u32, before: bool) -> bool;
    fn value(&mut self, v: i32, place: &Place) -> i32;
}

struct Mixed<D> {
    io: D,
    model: MixedModel,
    flags: [[Bit; 2]; 8],
}

impl<D: Decisions> Mixed<D> {
    fn new(io: D) -> Result<Self> {
        Ok(Mixed { io, model: MixedModel::new(CONTEXTS, 64)?, flags: [[Bit::new(); 2]; 8] })
    }
}

impl<D: Decisions> RowCoder for Mixed<D> {
    fn flag(&mut self, zero: bool, level: u32, before: bool) -> bool {
        self.io.learn(&mut self.flags[level as usize & 7][usize::from(before)], zero)
    }
    #[inline(always)]
    fn value(&mut self, v: i32, p: &Place) -> i32 {
        let g = log(p.g).min(31);
        let contexts = [
            log(p.f).min(23) * 16 + log(p.parents).min(15),
            g * 8 + p.level as usize,
            p.exact as usize,
            log(p.h).min(31) * 32 + log(2 * p.f + 2 * p.siblings + p.parents).min(31),
        ];
        self.model.code(&mut self.io, v, contexts, p.level as usize * 8 + (g / 3).min(7))
    }
}

fn class(p: &Place) -> u8 {
    (log(p.g).min(30) * 8) as u8 + p.level as u8
}

#[derive(Default)]
struct ClassEncoder {
    symbols: Vec<i32>,
    classes: Vec<u8>,
}

impl RowCoder for ClassEncoder {
    fn flag(&mut self, zero: bool, _: u32, _: bool) -> bool {
        self.symbols.push(i32::from(zero));
        self.classes.push(FLAG_CLASS);
        zero
    }
    #[inline(always)]
    fn value(&mut self, v: i32, place: &Place) -> i32 {
        self.symbols.push(v);
        self.classes.push(class(place));
        v
    }
}

impl RowCoder for RansDecoder<'_> {
    fn flag(&mut self, _: bool, _: u32, _: bool) -> bool {
        self.next(FLAG_CLASS) != 0
    }
    #[inline(always)]
    fn value(&mut self, _: i32, place: &Place) -> i32 {
        self.next(class(place))
    }
}

/// Appends the coefficients of an array of `shape` to `out`; `codes` comes back unchanged.
/// Errors: `InvalidArgument` when the lengths disagree, as for [`Decomposition::subbands`]; `LimitExceeded`.
pub fn encode_coefficients(
    codes: &mut [i32],
    shape: &[usize],
    decomposition: &Decomposition,
    coder: Coder,
    out: &mut Vec<u8>,
) -> Result<()> {
    match coder {
        Coder::Mixed => {
            let mut c = Mixed::new(BinaryEncoder::new())?;
            run(codes, shape, decomposition, &mut c)?;
            out.extend_from_slice(&c.io.finish());
        }
        Coder::Classes => {
            let mut c = ClassEncoder::default();
            run(codes, shape, decomposition, &mut c)?;
            encode_classes(&c.symbols, &c.classes, 256, out);
        }
    }
    Ok(())
}

/// The inverse of [`encode_coefficients`]; all of `bytes` is read. Total on hostile bytes.
/// Errors: as [`encode_coefficients`]; `Truncated` for every strict prefix; `Corrupt`.
pub fn decode_coefficients(
    bytes: &[u8],
    shape: &[usize],
    decomposition: &Decomposition,
    coder: Coder,
    codes: &mut [i32],
) -> Result<()> {
    codes.fill(0);
    match coder {
        Coder::Mixed => {
            let mut c = Mixed::new(BinaryDecoder::new(bytes))?;
            run(codes, shape, decomposition, &mut c)?;
            c.io.finish()
        }
        Coder::Classes => {
            let mut c = RansDecoder::new(bytes, 256)?;
            run(codes, shape, decomposition, &mut c)?;
            c.finish()
        }
    }
}

/// Context sums of one row; names as in the module's table.
#[derive(Default)]
struct Sums {
    /// `4N + 2D`, `N`, `F`, `4P + Q`, `P`, `4S + T`, `S`, `M`.
    local: Vec<u32>,
    near: Vec<u32>,
    far: Vec<u32>,
    parents: Vec<u32>,
    parent: Vec<u32>,
    siblings: Vec<u32>,
    sibling: Vec<u32>,
    mean: Vec<u32>,
    /// A parent's row and its neighbours.
    coarse: Vec<u32>,
    around: Vec<u32>,
}

fn zeros<T: Clone + Default>(n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for {n} values, found too little")))?;
    v.resize(n, T::default());
    Ok(v)
}

#[inline(always)]
fn add(to: &mut [u32], from: &[u16], weight: u32) {
    to.iter_mut().zip(from).for_each(|(t, &f)| *t += weight * u32::from(f));
}

/// Adds the two neighbours of each value.
#[inline(always)]
fn add_sides(to: &mut [u32], from: &[u16], weight: u32) {
    to.iter_mut().skip(1).zip(from).for_each(|(t, &f)| *t += weight * u32::from(f));
    to.iter_mut().zip(from.iter().skip(1)).for_each(|(t, &f)| *t += weight * u32::from(f));
}

/// The magnitudes of siblings already coded, summed, on a grid a little larger than any of them.
#[derive(Default)]
struct Siblings {
    extents: [usize; MAX_RANK],
    step: [usize; MAX_RANK],
    sums: Vec<u16>,
    any: bool,
}

impl Siblings {
    fn restart(&mut self, band: &Subband, rank: usize) -> Result<()> {
        for k in 0..rank {
            self.extents[k] = band.extents[k] + usize::from(band.high >> k & 1);
        }
        self.step = strides(&self.extents[..rank]);
        self.sums = zeros(self.extents[..rank].iter().product())?;
        self.any = false;
        Ok(())
    }
    fn row(&self, index: &[usize; MAX_RANK], rank: usize) -> Option<usize> {
        let inside = index[..rank - 1].iter().zip(&self.extents).all(|(i, e)| i < e);
        inside.then(|| index[..rank - 1].iter().zip(&self.step).map(|(i, s)| i * s).sum())
    }
}

/// Visits all coefficients in the order of the format, with their contexts.
fn run<C: RowCoder>(codes: &mut [i32], shape: &[usize], decomposition: &Decomposition, coder: &mut C) -> Result<()> {
    super::lines::check(shape, codes.len())?;
    let scalar = Decomposition { wavelet: decomposition.wavelet, levels: vec![0], alone: 0 };
    let (shape, decomposition) = if shape.is_empty() { (&[1][..], &scalar) } else { (shape, decomposition) };
    let rank = shape.len();
    let bands = decomposition.subbands(shape)?;
    let split = decomposition.levels.iter().filter(|&&l| l > 0).count().max(1) as u32;
    let mut pass = Pass {
        rank,
        step: strides(shape),
        axes: (rank - 1).saturating_sub(3)..rank - 1,
        magnitudes: zeros(codes.len())?,
        means: zeros(codes.len())?,
        decay: 225 / shape.iter().filter(|&&d| d > 1).count().max(1) as u32,
        sums: Sums::default(),
        siblings: Siblings::default(),
    };
    let mut before: Option<&Subband> = None;
    for band in &bands {
        if !before.is_some_and(|b| decomposition.are_siblings(b, band)) {
            pass.siblings.restart(band, rank)?;
        }
        let parents: Vec<Subband> =
            decomposition.parents(band, &bands).into_iter().filter_map(|i| bands.get(i).copied()).collect();
        let depth: u32 = band.depth.iter().sum();
        let level = if band.high == 0 { 7 } else { (depth.saturating_sub(1) / split).min(6) };
        pass.band(codes, band, &parents, level, coder)?;
        before = Some(band);
    }
    Ok(())
}

struct Pass {
    rank: usize,
    step: [usize; MAX_RANK],
    /// Axes whose neighbours are looked at, besides that of the rows.
    axes: std::ops::Range<usize>,
    magnitudes: Vec<u16>,
    means: Vec<u32>,
    decay: u32,
    sums: Sums,
    siblings: Siblings,
}

impl Pass {
    fn band<C: RowCoder>(
        &mut self,
        codes: &mut [i32],
        band: &Subband,
        parents: &[Subband],
        level: u32,
        coder: &mut C,
    ) -> Result<()> {
        let width = band.extents[self.rank - 1];
        let s = &mut self.sums;
        for v in [
            &mut s.local,
            &mut s.near,
            &mut s.far,
            &mut s.parents,
            &mut s.parent,
            &mut s.siblings,
            &mut s.sibling,
            &mut s.mean,
        ] {
            *v = zeros(width)?;
        }
        let mut index = [0; MAX_RANK];
        let mut before = false;
        let rows: usize = band.extents[..self.rank - 1].iter().product();
        for _ in 0..rows {
            let start = band.row(&self.step, self.rank, &index).unwrap_or(0);
            self.gather(band, parents, &index, width);
            let s = &self.sums;
            let quiet = [&s.local, &s.far, &s.parents, &s.siblings].iter().all(|v| v.iter().all(|&x| x == 0));
            let row = &mut codes[start..start + width];
            before = quiet && coder.flag(row.iter().all(|&v| v == 0), level, before);
            if before {
                for (m, &mean) in self.means[start..start + width].iter_mut().zip(&s.mean) {
                    *m = (mean * self.decay) >> 8;
                }
            } else {
                self.row(row, start, level, coder);
                if let Some(at) = self.siblings.row(&index, self.rank) {
                    let sums = self.siblings.sums[at..].iter_mut();
                    sums.zip(&self.magnitudes[start..start + width]).for_each(|(t, &m)| *t = t.saturating_add(m));
                }
            }
            for k in (0..self.rank - 1).rev() {
                index[k] += 1;
                if index[k] < band.extents[k] {
                    break;
                }
                index[k] = 0;
            }
        }
        self.siblings.any = true;
        Ok(())
    }

    /// Codes the coefficients of a row that begins at `start`.
    #[inline(always)]
    fn row<C: RowCoder>(&mut self, row: &mut [i32], start: usize, level: u32, coder: &mut C) {
        let n = row.len();
        let s = &self.sums;
        let (local, near, far) = (&s.local[..n], &s.near[..n], &s.far[..n]);
        let (parents, parent) = (&s.parents[..n], &s.parent[..n]);
        let (siblings, sibling, mean) = (&s.siblings[..n], &s.sibling[..n], &s.mean[..n]);
        let magnitudes = &mut self.magnitudes[start..start + n];
        let means = &mut self.means[start..start + n];
        let (mut one, mut two, mut last) = (0, 0, 0);
        for x in 0..n {
            let average = ((mean[x] + last) * self.decay) >> 8;
            let f = local[x] + 4 * one;
            let place = Place {
                f,
                g: 2 * f + parents[x] + 2 * siblings[x] + 2 * (far[x] + two),
                h: average >> 4,
                parents: parents[x],
                siblings: siblings[x],
                exact: (near[x].min(4) * 5 + one.min(4)) * 16 + parent[x].min(3) * 4 + sibling[x].min(3),
                level,
            };
            row[x] = coder.value(row[x], &place);
            two = one;
            one = row[x].unsigned_abs().min(MAX_MAGNITUDE);
            last = 123 * one + average;
            magnitudes[x] = one as u16;
            means[x] = last;
        }
    }

    /// Sums up the contexts of the row at `index`.
    fn gather(&mut self, band: &Subband, parents: &[Subband], index: &[usize; MAX_RANK], width: usize) {
        let Pass { rank, step, axes, magnitudes, means, sums: s, siblings, .. } = self;
        let rank = *rank;
        for v in [&mut s.local, &mut s.near, &mut s.far, &mut s.mean] {
            v.fill(0);
        }
        let row = |band: &Subband, index: &[usize; MAX_RANK], width: usize| -> Option<&[u16]> {
            let at = band.row(step, rank, index)?;
            magnitudes.get(at..at + width)
        };
        let moved = |index: &[usize; MAX_RANK], axis: usize, by: isize| -> Option<[usize; MAX_RANK]> {
            let mut i = *index;
            i[axis] = i[axis].checked_add_signed(by)?;
            Some(i)
        };
        for k in axes.clone() {
            let Some(back) = moved(index, k, -1) else { continue };
            if let Some(r) = row(band, &back, width) {
                add(&mut s.near, r, 1);
                add(&mut s.local, r, 4);
                add_sides(&mut s.local, r, 2);
            }
            if let Some(m) = band.row(step, rank, &back).and_then(|at| means.get(at..at + width)) {
                s.mean.iter_mut().zip(m).for_each(|(t, m)| *t += m);
            }
            if let Some(r) = moved(index, k, -2).and_then(|i| row(band, &i, width)) {
                add(&mut s.far, r, 1);
            }
            for j in k + 1..axes.end {
                for by in [-1, 1] {
                    if let Some(r) = moved(&back, j, by).and_then(|i| row(band, &i, width)) {
                        add(&mut s.local, r, 2);
                    }
                }
            }
        }
        if !parents.is_empty() {
            s.parents.fill(0);
            s.parent.fill(0);
        }
        for p in parents {
            let mut at = *index;
            for k in 0..rank - 1 {
                at[k] = (at[k] >> (p.depth[k] - band.depth[k])).min(p.extents[k] - 1);
            }
            let w = p.extents[rank - 1];
            for v in [&mut s.coarse, &mut s.around] {
                v.clear();
                v.resize(w, 0);
            }
            if let Some(r) = row(p, &at, w) {
                add(&mut s.coarse, r, 1);
                add_sides(&mut s.around, r, 1);
            }
            for k in axes.clone() {
                for by in [-1, 1] {
                    if let Some(r) = moved(&at, k, by).and_then(|i| row(p, &i, w)) {
                        add(&mut s.around, r, 1);
                    }
                }
            }
            s.around.iter_mut().zip(&s.coarse).for_each(|(a, c)| *a += 4 * c);
            let half = p.depth[rank - 1] > band.depth[rank - 1];
            expand(&mut s.parent, &s.coarse, half);
            expand(&mut s.parents, &s.around, half);
        }
        s.siblings.fill(0);
        s.sibling.fill(0);
        if siblings.any {
            let w = siblings.extents[rank - 1];
            let row = |i: &[usize; MAX_RANK]| siblings.row(i, rank).and_then(|at| siblings.sums.get(at..at + w));
            if let Some(r) = row(index) {
                add(&mut s.sibling, r, 1);
                add(&mut s.siblings, r, 4);
                add_sides(&mut s.siblings, r, 1);
            }
            for k in axes.clone() {
                for by in [-1, 1] {
                    if let Some(r) = moved(index, k, by).and_then(|i| row(&i)) {
                        add(&mut s.siblings, r, 1);
                    }
                }
            }
        }
    }
}

/// Adds the values of a coarser row, each standing for two if `half`; the last one stands for all that follow.
fn expand(to: &mut [u32], from: &[u32], half: bool) {
    let Some(&end) = from.last() else { return };
    let last = to.len();
    if half {
        for (t, f) in to.chunks_mut(2).zip(from) {
            t.iter_mut().for_each(|t| *t += f);
        }
    } else {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
    }
    let reached = (from.len() << u32::from(half)).min(last);
    to[reached..].iter_mut().for_each(|t| *t += end);
}

#[cfg(test)]
mod tests;
