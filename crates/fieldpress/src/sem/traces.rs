//! What the faces of an element that are known tell of its inside: the polynomial that is expected from them.
//!
//! # Format
//!
//! Coefficients are those of [`Basis`](super::Basis) without ends. A variance `v` belongs to each mode. One face after the other (along axis 0 low
//! and high, then along the next axes), with `t` the values of the polynomials at its end of the axis, and for each pair of indices along the other axes:
//! with `e` the face's coefficient less `sum(t_i c_i)`, subtracted from the left, and `g = e / sum(v_i t_i t_i)`, each coefficient along the axis grows by
//! `(v_i t_i) g`. Where there is more than one face that is done four times. It is the method of alternating projections for the mean of
//! coefficients that are Gaussian and independent, given the faces.
//!
//! Variances are `0.22^t` at first, by multiplication, where `t` is the sum of the indices. After each element, with its coefficients `c` as decoded, a step `s` and
//! `u = c c + 0.025 s s`, they are `u` after the first element, then `v = 0.9 v + (1 - 0.9) u`, the difference rounded too.

use super::{Basis, Tensor};

const SWEEPS: usize = 4;
const KEPT: f64 = 0.9;
const FLOOR: f64 = 0.025;
const FIRST_FADE: f64 = 0.22;
/// Rows that are summed side by side.
const LANES: usize = 8;

/// A face that is known: its axis, and whether it is at the high end.
pub(super) type Face = (usize, bool);

/// What is expected of elements.
pub(super) struct Traces {
    n: usize,
    d: usize,
    analysis: Tensor,
    synthesis: Tensor,
    /// The values of the polynomials at the ends.
    ends: [Vec<f64>; 2],
    variances: Vec<f64>,
    any: bool,
    coefficients: Vec<f64>,
    scratch: Vec<f64>,
    /// Of each face: the coefficients of what is known, and the variance of what is expected.
    face: Vec<Vec<f64>>,
    sizes: Vec<Vec<f64>>,
    rest: Vec<f64>,
}

/// The place of index `i` along an axis and `f` along the others.
#[inline(always)]
fn place(n: usize, axis: usize, i: usize, f: usize) -> usize {
    let below = n.pow(axis as u32);
    f / below * below * n + i * below + f % below
}

/// Takes into `sums`, which belong to the places across an axis, what lies along it: for rising `i` the values `v` at `i` and `t_i`.
#[inline(always)]
fn sums(n: usize, axis: usize, t: &[f64], v: &[f64], sums: &mut [f64], mut take: impl FnMut(&mut f64, f64, f64)) {
    let below = n.pow(axis as u32);
    if axis == 0 {
        // Several rows at a time, so that none waits for its own sum.
        for (rows, sums) in v.chunks(n * LANES).zip(sums.chunks_mut(LANES)) {
            for (i, t) in t.iter().enumerate() {
                for (row, s) in rows.chunks_exact(n).zip(sums.iter_mut()) {
                    take(s, row[i], *t);
                }
            }
        }
        return;
    }
    for (plane, sums) in v.chunks_exact(below * n).zip(sums.chunks_exact_mut(below)) {
        for (side, t) in plane.chunks_exact(below).zip(t) {
            sums.iter_mut().zip(side).for_each(|(s, v)| take(s, *v, *t));
        }
    }
}

/// Lets each coefficient grow by `(v_i t_i) g`.
#[inline(always)]
fn grow(n: usize, axis: usize, t: &[f64], v: &[f64], g: &[f64], c: &mut [f64]) {
    let below = n.pow(axis as u32);
    for ((c, v), g) in c.chunks_exact_mut(below * n).zip(v.chunks_exact(below * n)).zip(g.chunks_exact(below)) {
        if let [g] = g {
            c.iter_mut().zip(v).zip(t).for_each(|((c, v), t)| *c += v * t * g);
            continue;
        }
        for ((c, v), t) in c.chunks_exact_mut(below).zip(v.chunks_exact(below)).zip(t) {
            c.iter_mut().zip(v).zip(g).for_each(|((c, v), g)| *c += v * t * g);
        }
    }
}

impl Traces {
    pub(super) fn new(basis: &Basis, n: usize, d: usize) -> Traces {
        let size = n.pow(d as u32);
        let sum = |q: usize| (0..d).map(|a| q / n.pow(a as u32) % n).sum::<usize>();
        Traces {
            n,
            d,
            analysis: Tensor::new(&basis.analysis),
            synthesis: Tensor::new(&basis.synthesis),
            ends: [0, n - 1].map(|i| (0..n).map(|j| basis.synthesis.at(i, j)).collect()),
            variances: (0..size).map(|q| (0..sum(q)).fold(1.0, |v, _| v * FIRST_FADE)).collect(),
            any: false,
            coefficients: vec![0.0; size],
            scratch: vec![0.0; size],
            face: vec![vec![0.0; size / n]; 2 * d],
            sizes: vec![vec![0.0; size / n]; 2 * d],
            rest: vec![0.0; size / n],
        }
    }
    /// The values of an element whose faces have these `values` at their points.
    #[inline(always)]
    pub(super) fn expected(&mut self, faces: &[Face], values: &[f64], out: &mut [f64]) {
        let (n, d) = (self.n, self.d);
        for ((axis, high), face) in faces.iter().zip(&mut self.face) {
            let i = if *high { n - 1 } else { 0 };
            for (f, v) in face.iter_mut().enumerate() {
                *v = values[place(n, *axis, i, f)];
            }
            Tensor::apply_all(&[&self.analysis; 3][..d - 1], face, &mut self.scratch[..n.pow(d as u32 - 1)]);
        }
        self.coefficients.fill(0.0);
        for (k, (axis, high)) in faces.iter().enumerate() {
            let t = &self.ends[usize::from(*high)];
            let sizes = &mut self.sizes[k];
            sizes.fill(0.0);
            sums(n, *axis, t, &self.variances, sizes, |s, v, t| *s += v * t * t);
        }
        let sweeps = if faces.len() > 1 { SWEEPS } else { 1 };
        for _ in 0..sweeps {
            for (k, (axis, high)) in faces.iter().enumerate() {
                let t = &self.ends[usize::from(*high)];
                self.rest.copy_from_slice(&self.face[k]);
                sums(n, *axis, t, &self.coefficients, &mut self.rest, |r, c, t| *r -= t * c);
                for (r, s) in self.rest.iter_mut().zip(&self.sizes[k]) {
                    *r /= s;
                }
                grow(n, *axis, t, &self.variances, &self.rest, &mut self.coefficients);
            }
        }
        out.copy_from_slice(&self.coefficients);
        Tensor::apply_all(&[&self.synthesis; 3][..d], out, &mut self.scratch);
    }
    /// Takes the decoded values of an element, quantised with `step`.
    #[inline(always)]
    pub(super) fn learn(&mut self, values: &[f64], step: f64) {
        self.coefficients.copy_from_slice(values);
        Tensor::apply_all(&[&self.analysis; 3][..self.d], &mut self.coefficients, &mut self.scratch);
        let floor = FLOOR * step * step;
        let any = std::mem::replace(&mut self.any, true);
        for (v, c) in self.variances.iter_mut().zip(&self.coefficients) {
            let u = c * c + floor;
            *v = if any { KEPT * *v + (1.0 - KEPT) * u } else { u };
        }
    }
}
