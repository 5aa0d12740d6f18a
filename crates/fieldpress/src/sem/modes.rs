//! Quantised coefficients of elements one after the other: what is expected of each, from those of lower degree, from the same mode in the elements
//! before, and from how far the element is above or below what its modes usually have.
//!
//! # Format
//!
//! Elements are coded one after the other, each with a *kind*, and the coefficients of an element with the index along axis 0 fastest, along
//! each axis as many as the element has; the others are 0. Arithmetic is in `f32`, each operation rounded, sums from the left; `a` are magnitudes of
//! codes, at most 4095, 0 outside. For each kind and mode there is a mean `m`, 0 for modes the kind has not. Those of a kind seen first are copied from the
//! kind, of those with all its modes, whose number differs in the fewest bits (of several the least), or at the very first are `24 * 0.7^t`, by multiplication, where
//! `t` is the sum of the indices. With `i`, `j`, `k` the modes one lower along the axes (2-D: two) and doubled letters two lower or one along each:
//!
//! | name | value |
//! |---|---|
//! | `S(v)` | `(2 (v_j + v_k) + (v_jj + v_kk) + ((v_ij + v_ik) + v_jk)) + (2 v_i + v_ii)` |
//! | `r` | `m / (S(m) + 0.5)` |
//! | `x` | `r (S(a) + 0.5)` |
//! | `o` | the magnitude of the mode in the element before |
//!
//! A row is the coefficients along axis 0 that the element has; where it has none, nothing is coded. Where the sum of its means, from 0, is below 0.2, a decision tells first whether all are 0, in the context `4 L(sum, 1, -6, 8)` plus
//! how many of these have a code other than 0: the same row of the element before, and the rows one lower along axis 1 and 2. What a row lacks is none.
//! `L` is [`level`].
//!
//! How a decision and a coefficient become bits is the matter of [`coding`](super::coding). After an element `m = m + (a - m) w`,
//! with `w = max(0.06, 1 / (c + 1.5))`, `c` being the elements of the kind before, and 0 in place of what is below `1e-30` then.

use super::coding::{Coder, Known};
use crate::entropy::level;
use crate::error::{Error, Result};

/// Kinds of elements.
const KINDS: usize = 64;
const MOST: u32 = 4095;
const SLOWEST: f32 = 0.06;
const FIRST_MEAN: f32 = 24.0;
const FADE: f32 = 0.7;
/// Means below are 0: numbers that are too small are slow.
const LEAST: f32 = 1e-30;
/// Modes of lower degree that are looked at, along each axis.
const BACK: usize = 2;
/// Rows whose means add up to less are often all 0.
const RARE: f32 = 0.2;
/// Levels of the sum of the means of a row.
const LEVELS: usize = 8;
/// Contexts of rows.
pub(super) const ROWS: usize = LEVELS * 4;
/// Coefficients that are taken at a time.
const LANES: usize = 8;

type Lanes = [f32; LANES];

/// What is known of elements of one kind: means in a box with a margin.
#[derive(Clone, Debug)]
struct Kind {
    means: Vec<f32>,
    lens: [usize; 3],
    elements: u32,
}

/// Codes of elements, the same way back and forth.
pub(super) struct Modes<C> {
    pub(super) coder: C,
    kinds: Vec<Option<Kind>>,
    /// Magnitudes in this element and the one before, in a box with a margin.
    now: Vec<f32>,
    before: Vec<f32>,
    /// Of the row at hand: what lower rows add to `S(a)`, and `r`.
    lower: Vec<f32>,
    ratios: Vec<f32>,
    /// Which rows of this element and the one before are not all 0.
    lively: Vec<bool>,
    lively_before: Vec<bool>,
    points: usize,
    dimensions: usize,
    /// Rows of the box and of its planes begin so far from each other.
    strides: [usize; 2],
}

#[inline(always)]
fn lanes(v: &[f32], at: usize) -> Lanes {
    v.get(at..).and_then(<[f32]>::first_chunk).copied().unwrap_or_default()
}

/// The part of `S(v)` of the rows below, for modes side by side from `p`.
#[inline(always)]
fn below(v: &[f32], p: usize, [s1, s2]: [usize; 2]) -> Lanes {
    let [j, k, jj, kk] = [s1, s2, 2 * s1, 2 * s2].map(|s| lanes(v, p - s));
    let [ij, ik, jk] = [s1 + 1, s2 + 1, s1 + s2].map(|s| lanes(v, p - s));
    std::array::from_fn(|l| 2.0 * (j[l] + k[l]) + (jj[l] + kk[l]) + ((ij[l] + ik[l]) + jk[l]))
}

impl<C: Coder> Modes<C> {
    /// For elements of `n` points along each of `d` axes. Errors: `LimitExceeded`.
    pub(super) fn new(coder: C, n: usize, d: usize) -> Result<Modes<C>> {
        let row = BACK + n.div_ceil(LANES) * LANES;
        let strides = [row, row * (n + BACK)];
        let rows = n.pow(d as u32 - 1);
        let size = strides[1] * (BACK + if d == 3 { n } else { 1 });
        let zeros = || -> Result<Vec<f32>> {
            let mut v = Vec::new();
            v.try_reserve_exact(size).map_err(|_| Error::limit("expected memory for an element, found too little"))?;
            v.resize(size, 0.0f32);
            Ok(v)
        };
        Ok(Modes {
            coder,
            kinds: vec![None; KINDS],
            now: zeros()?,
            before: zeros()?,
            lower: vec![0.0; row],
            ratios: vec![0.0; row],
            lively: vec![false; rows],
            lively_before: vec![false; rows],
            points: n,
            dimensions: d,
            strides,
        })
    }
    /// Where the row of indices `j` and `k` begins in the box.
    #[inline(always)]
    fn base(&self, j: usize, k: usize) -> usize {
        BACK + (j + BACK) * self.strides[0] + (k + BACK) * self.strides[1]
    }
    /// Codes the coefficients of an element that has `lens` of them along the axes; a decoder fills `codes`, whose others are 0.
    #[inline(always)]
    pub(super) fn element(&mut self, kind: usize, lens: [usize; 3], codes: &mut [i32]) {
        let kind = kind % KINDS;
        self.know(kind, lens);
        let Some(mut known) = self.kinds.get_mut(kind).and_then(Option::take) else { return };
        std::mem::swap(&mut self.now, &mut self.before);
        std::mem::swap(&mut self.lively, &mut self.lively_before);
        let n = self.points;
        let (mut j, mut k) = (0, 0);
        for (row, codes) in codes.chunks_exact_mut(n).enumerate() {
            let base = self.base(j, k);
            let width = if j < lens[1] && k < lens[2] { lens[0] } else { 0 };
            let (codes, others) = codes.split_at_mut(width.min(n));
            others.fill(0);
            self.now[base..base + self.strides[0] - BACK].fill(0.0);
            self.lively[row] = self.row(&known.means, (row, j, k), base, codes);
            j += 1;
            if j == n {
                (j, k) = (0, k + 1);
            }
        }
        let weight = SLOWEST.max(1.0 / (known.elements as f32 + 1.5));
        known.elements = known.elements.saturating_add(1);
        for (m, a) in known.means.iter_mut().zip(&self.now) {
            let next = *m + (a - *m) * weight;
            *m = if next < LEAST { 0.0 } else { next };
        }
        self.kinds[kind] = Some(known);
    }
    /// Codes a row, and says whether something in it is not 0.
    #[inline(always)]
    fn row(&mut self, means: &[f32], (row, j, k): (usize, usize, usize), base: usize, codes: &mut [i32]) -> bool {
        let n = self.points;
        let total = means[base..base + codes.len()].iter().fold(0.0, |s, m| s + m);
        if codes.is_empty() {
            return false;
        }
        if total < RARE {
            let lower = j > 0 && self.lively[row - 1];
            let behind = k > 0 && self.lively[row - n];
            let around = usize::from(self.lively_before[row]) + usize::from(behind) + usize::from(lower);
            let context = level(total, 1, -6, LEVELS) * 4 + around;
            if self.coder.row(context, codes.iter().all(|c| *c == 0)) {
                codes.fill(0);
                return false;
            }
        }
        for at in (0..codes.len()).step_by(LANES) {
            let p = base + at;
            let sums = below(means, p, self.strides);
            let [m, i, ii] = [p, p - 1, p - 2].map(|p| lanes(means, p));
            let lower = below(&self.now, p, self.strides);
            for l in 0..LANES {
                self.ratios[at + l] = m[l] / ((sums[l] + (2.0 * i[l] + ii[l])) + 0.5);
                self.lower[at + l] = lower[l];
            }
        }
        let (now, [s1, s2]) = (&mut self.now, self.strides);
        let (mut one, mut two) = (0.0, 0.0);
        let mut any = 0;
        let means = &means[base..base + codes.len()];
        let before = &self.before[base..base + codes.len()];
        let rows = self.ratios.iter().zip(&self.lower).zip(means.iter().zip(before));
        for (i, (code, ((ratio, lower), (mean, before)))) in codes.iter_mut().zip(rows).enumerate() {
            let around = lower + (2.0 * one + two);
            let x = ratio * (around + 0.5);
            let near = || one + (now[base + i - s1] + now[base + i - s2]);
            let known = Known { x, around, near, mean: *mean, before: *before, degree: i + j + k, points: n };
            *code = self.coder.value(*code, known);
            any |= *code;
            (one, two) = (code.unsigned_abs().min(MOST) as f32, one);
            now[base + i] = one;
        }
        any != 0
    }
    /// Sees to it that there are means of a kind.
    fn know(&mut self, kind: usize, lens: [usize; 3]) {
        if self.kinds.get(kind).is_some_and(Option::is_some) {
            return;
        }
        let kinds = self.kinds.iter().enumerate().filter_map(|(k, known)| Some((k, known.as_ref()?)));
        let fits = kinds.filter(|(_, known)| known.lens.iter().zip(lens).all(|(has, asked)| *has >= asked));
        let alike = fits.min_by_key(|(k, _)| (k ^ kind).count_ones()).map(|(_, known)| &known.means);
        let mut means = vec![0.0; self.now.len()];
        let [n0, n1, n2] = lens;
        for (k, j) in (0..n2).flat_map(|k| (0..n1).map(move |j| (k, j))) {
            let base = self.base(j, k);
            for i in 0..n0 {
                means[base + i] = match alike {
                    Some(alike) => alike[base + i],
                    None => (0..i + j + k).fold(FIRST_MEAN, |m, _| m * FADE),
                };
            }
        }
        debug_assert!(self.dimensions == 3 || n2 == 1);
        self.kinds[kind] = Some(Kind { means, lens, elements: 0 });
    }
}
