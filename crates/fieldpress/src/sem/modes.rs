//! Quantised coefficients of elements to bits: each in contexts of those of lower degree, of the same mode in the elements before, and of how far
//! the element is above or below what its modes usually have.
//!
//! # Format
//!
//! Elements are coded one after the other, each with a *kind*, and the coefficients of an element with the index along axis 0 fastest, along
//! each axis as many as the element has; the others are 0. Arithmetic is in `f32`, each operation rounded, sums from the left; `a` are magnitudes of
//! codes, at most 4095, 0 outside. For each kind and mode there is a mean `m`; of a kind seen first those are copied from the kind
//! whose number differs in the fewest bits (of several the least), or at the very first `24 * 0.7^t`, by multiplication, where `t` is the sum of
//! the indices. With `i`, `j`, `k` the modes one lower along the axes (2-D: two) and doubled letters two lower or one along each:
//!
//! | name | value |
//! |---|---|
//! | `S(v)` | `2 ((v_i + v_j) + v_k) + ((v_ii + v_jj) + v_kk) + ((v_ij + v_ik) + v_jk)` |
//! | `x` | `r (S(a) + 0.5)` with `r = m / (S(m) + 0.5)` |
//! | `y` | `0.5 (x + m)` |
//! | `o` | the magnitude of the mode in the element before |
//!
//! A row is the coefficients along axis 0. Where the sum of its means, from 0, is below 0.2, a decision tells first whether all are 0, with the model `4 L(sum, 1, -6, 8)` plus
//! how many of these have a code other than 0: the same row of the element before, and the rows one lower along axis 1 and 2. What a row lacks is none.
//!
//! Else a coefficient is a value of [`crate::entropy::mixing`] with the contexts `8 L(x, 4, -6, 40) + L((a_i + a_j) + a_k, 1, 0, 8)`,
//! `32 L(m, 2, -5, 32) + L(S(a), 2, 0, 32)`, `32 L(x, 2, -5, 32) + t` (at most 31), `16 L(y, 4, -6, 40) + L(o, 1, 0, 16)`, and the
//! selector `2 L(x, 2, -4, 32)`, plus 1 where `t > n`; `L` is [`level`]. After an element `m = m + (a - m) w` for the modes it
//! has, with `w = max(0.06, 1 / (c + 1.5))`, `c` being the elements of the kind before.

use crate::entropy::{level, Bit, Decisions, MixedModel};
use crate::error::Result;

/// Kinds of elements.
pub(super) const KINDS: usize = 64;
const MOST: u32 = 4095;
const SLOWEST: f32 = 0.06;
const FIRST_MEAN: f32 = 24.0;
const FADE: f32 = 0.7;
/// Modes of lower degree that are looked at, along each axis.
const BACK: usize = 2;
/// Rows whose means add up to less are often all 0.
const RARE: f32 = 0.2;
const LEVELS: usize = 8;

/// `S(v)` at a place.
#[inline(always)]
fn sum(v: &[f32], p: usize, [s0, s1, s2]: [usize; 3]) -> f32 {
    2.0 * ((v[p - s0] + v[p - s1]) + v[p - s2])
        + ((v[p - 2 * s0] + v[p - 2 * s1]) + v[p - 2 * s2])
        + ((v[p - s0 - s1] + v[p - s0 - s2]) + v[p - s1 - s2])
}

/// What is known of elements of one kind, in a box with a margin.
#[derive(Clone, Debug)]
struct Kind {
    means: Vec<f32>,
    elements: u32,
}

/// Codes of elements, the same way back and forth.
pub(super) struct Modes<D> {
    pub(super) io: D,
    model: MixedModel,
    kinds: Vec<Option<Kind>>,
    /// Magnitudes in this element and the one before, in a box with a margin.
    now: Vec<f32>,
    before: Vec<f32>,
    /// `r` and `S(m)`.
    ratios: Vec<f32>,
    /// The place in the box, and the sum of indices, of each mode.
    places: Vec<(usize, usize)>,
    /// Whether all codes of a row are 0, by the level of its means and what is known of rows beside it.
    quiet: Vec<Bit>,
    /// Which rows of this element and the one before are not all 0.
    lively: Vec<bool>,
    lively_before: Vec<bool>,
    points: usize,
    strides: [usize; 3],
}

impl<D: Decisions> Modes<D> {
    /// For elements of `n` points along each of `d` axes. Errors: `LimitExceeded`.
    pub(super) fn new(io: D, n: usize, d: usize) -> Result<Modes<D>> {
        let row = n + BACK;
        let strides = [1, row, row * row];
        let index =
            |q: usize| -> [usize; 3] { std::array::from_fn(|a| if a < d { q / n.pow(a as u32) % n } else { 0 }) };
        let place = |q: usize| index(q).iter().zip(strides).map(|(i, s)| (i + BACK) * s).sum();
        let places: Vec<_> = (0..n.pow(d as u32)).map(|q| (place(q), index(q).iter().sum())).collect();
        let size = places.last().map_or(0, |(p, _)| p + 1);
        Ok(Modes {
            io,
            model: MixedModel::new([40 * 8, 32 * 32, 32 * 32, 40 * 16], 64)?,
            kinds: vec![None; KINDS],
            now: vec![0.0; size],
            before: vec![0.0; size],
            ratios: vec![0.0; size],
            quiet: vec![Bit::new(); LEVELS * 4],
            lively: vec![false; places.len() / n.max(1)],
            lively_before: vec![false; places.len() / n.max(1)],
            places,
            points: n,
            strides,
        })
    }
    /// Codes the coefficients of an element that has `lens` of them along the axes; a decoder fills `codes`, whose others are 0.
    #[inline(always)]
    pub(super) fn element(&mut self, kind: usize, lens: [usize; 3], codes: &mut [i32]) {
        let kind = kind % KINDS;
        self.know(kind);
        let [s0, s1, s2] = self.strides;
        let Some(Some(Kind { means, elements })) = self.kinds.get_mut(kind) else { return };
        std::mem::swap(&mut self.now, &mut self.before);
        std::mem::swap(&mut self.lively, &mut self.lively_before);
        let n = self.points;
        for (row, places) in self.places.chunks_exact(n).enumerate() {
            for (p, _) in places {
                self.ratios[*p] = means[*p] / (sum(means, *p, self.strides) + 0.5);
            }
            let has = row % n < lens[1] && row / n < lens[2];
            let width = if has { lens[0] } else { 0 };
            let codes = &mut codes[row * n..(row + 1) * n];
            codes[width..].fill(0);
            for (p, _) in &places[width..] {
                self.now[*p] = 0.0;
            }
            let mut total = 0.0;
            for (p, _) in &places[..width] {
                total += means[*p];
            }
            let codes = &mut codes[..width];
            self.lively[row] = width > 0;
            if width > 0 && total < RARE {
                let below = row % n > 0 && self.lively[row - 1];
                let behind = row >= n && self.lively[row - n];
                let around = usize::from(self.lively_before[row]) + usize::from(behind) + usize::from(below);
                let model = &mut self.quiet[level(total, 1, -6, LEVELS) * 4 + around];
                if self.io.learn(model, codes.iter().all(|c| *c == 0)) {
                    self.lively[row] = false;
                    codes.fill(0);
                    for (p, _) in &places[..width] {
                        self.now[*p] = 0.0;
                    }
                    continue;
                }
            }
            for ((p, t), code) in places[..width].iter().zip(codes) {
                let (p, t, a) = (*p, *t, &self.now);
                let (around, mean) = (sum(a, p, self.strides), means[p]);
                let near = (a[p - s0] + a[p - s1]) + a[p - s2];
                let x = self.ratios[p] * (around + 0.5);
                let y = 0.5 * (x + mean);
                let contexts = [
                    level(x, 4, -6, 40) * 8 + level(near, 1, 0, 8),
                    level(mean, 2, -5, 32) * 32 + level(around, 2, 0, 32),
                    level(x, 2, -5, 32) * 32 + t.min(31),
                    level(y, 4, -6, 40) * 16 + level(self.before[p], 1, 0, 16),
                ];
                let selector = level(x, 2, -4, 32) * 2 + usize::from(t > n);
                *code = self.model.code(&mut self.io, *code, contexts, selector);
                self.now[p] = code.unsigned_abs().min(MOST) as f32;
            }
        }
        let weight = SLOWEST.max(1.0 / (*elements as f32 + 1.5));
        *elements = elements.saturating_add(1);
        for (row, places) in self.places.chunks_exact(n).enumerate() {
            if row % n < lens[1] && row / n < lens[2] {
                for (p, _) in &places[..lens[0]] {
                    means[*p] += (self.now[*p] - means[*p]) * weight;
                }
            }
        }
    }
    /// Sees to it that there are means of a kind.
    fn know(&mut self, kind: usize) {
        if self.kinds.get(kind).is_some_and(Option::is_some) {
            return;
        }
        let alike = (0..KINDS).filter(|k| self.kinds.get(*k).is_some_and(Option::is_some));
        let means = match alike.min_by_key(|k| (k ^ kind).count_ones()).and_then(|k| self.kinds.get(k)?.as_ref()) {
            Some(other) => other.means.clone(),
            None => {
                let mut means = vec![0.0; self.now.len()];
                for (p, t) in &self.places {
                    means[*p] = (0..*t).fold(FIRST_MEAN, |m, _| m * FADE);
                }
                means
            }
        };
        self.kinds[kind] = Some(Kind { means, elements: 0 });
    }
}
