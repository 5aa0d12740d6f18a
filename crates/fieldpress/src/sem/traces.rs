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
//! `u = c c + 0.025 s s`, they are `u` after the first element, then `v = 0.9 v + 0.1 u`.

use super::{Basis, Tensor};

const SWEEPS: usize = 4;
const KEPT: f64 = 0.9;
const FLOOR: f64 = 0.025;
const FIRST_FADE: f64 = 0.22;

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
    face: Vec<Vec<f64>>,
}

/// The place of index `i` along an axis and `f` along the others.
#[inline(always)]
fn place(n: usize, axis: usize, i: usize, f: usize) -> usize {
    let below = n.pow(axis as u32);
    f / below * below * n + i * below + f % below
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
            for a in 0..d - 1 {
                self.analysis.apply(a, face, &mut self.scratch[..n.pow(d as u32 - 1)]);
            }
        }
        self.coefficients.fill(0.0);
        let sweeps = if faces.len() > 1 { SWEEPS } else { 1 };
        for _ in 0..sweeps {
            for (k, (axis, high)) in faces.iter().enumerate() {
                let t = &self.ends[usize::from(*high)];
                let (c, v) = (&mut self.coefficients, &self.variances);
                let below = n.pow(*axis as u32);
                // Indices along the axes below lie side by side.
                for (f, known) in self.face[k].chunks_exact(below.min(n)).enumerate() {
                    let width = known.len();
                    let at = place(n, *axis, 0, f * width);
                    let mut rest = [0.0; super::MAX_POINTS];
                    let mut size = [0.0; super::MAX_POINTS];
                    rest[..width].copy_from_slice(known);
                    for (i, t) in t.iter().enumerate() {
                        let from = at + i * below;
                        let pairs = c[from..from + width].iter().zip(&v[from..from + width]);
                        for ((c, v), (r, s)) in pairs.zip(rest.iter_mut().zip(&mut size)) {
                            *r -= t * c;
                            *s += v * t * t;
                        }
                    }
                    for (r, s) in rest.iter_mut().zip(&size).take(width) {
                        *r /= s;
                    }
                    for (i, t) in t.iter().enumerate() {
                        let from = at + i * below;
                        let pairs = c[from..from + width].iter_mut().zip(&v[from..from + width]);
                        for ((c, v), r) in pairs.zip(&rest) {
                            *c += v * t * r;
                        }
                    }
                }
            }
        }
        out.copy_from_slice(&self.coefficients);
        for a in 0..d {
            self.synthesis.apply(a, out, &mut self.scratch);
        }
    }
    /// Takes the decoded values of an element, quantised with `step`.
    #[inline(always)]
    pub(super) fn learn(&mut self, values: &[f64], step: f64) {
        self.coefficients.copy_from_slice(values);
        for a in 0..self.d {
            self.analysis.apply(a, &mut self.coefficients, &mut self.scratch);
        }
        let floor = FLOOR * step * step;
        let any = std::mem::replace(&mut self.any, true);
        for (v, c) in self.variances.iter_mut().zip(&self.coefficients) {
            let u = c * c + floor;
            *v = if any { KEPT * *v + (1.0 - KEPT) * u } else { u };
        }
    }
}
