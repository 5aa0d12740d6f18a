//! Hermite functions on the points of a grid: polynomials times a Gaussian, orthonormal as sums, not as integrals.
//!
//! Sources: H. Grad, "On the kinetic theory of rarefied gases", 1949 (the asymmetric weight, with which coefficients are moments); J.
//! W. Schumer, J. P. Holloway, "Vlasov simulations using velocity-scaled Hermite representations", 1998 (both weights, and what the
//! scale is good for); W. Gautschi, "On generating orthogonal polynomials", 1982 (Stieltjes' procedure for sums). Integrals over
//! Hermite functions become sums over cells only where these are narrow and the array is wide; polynomials that are orthogonal for the
//! sum itself need neither.

use serde::{Deserialize, Serialize};

use super::maxwellian::Axis;
use super::product::{gram, zeros};
use crate::error::Result;

/// The part of a function that may be rounding.
const NOTHING: f64 = 1e-12;
/// Longest axis of which all values are looked at to place the functions.
const MAX_LOOKED_AT: usize = 256;
/// The search for a place begins and ends with steps of this, in widths.
const FIRST: f64 = 0.32;
const FINEST: f64 = 0.01;
const MOST_ROUNDS: usize = 40;

/// What is made smallest by the first so many coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The sum of squares of what is left.
    #[default]
    Symmetric = 0,
    /// That sum over the Gaussian, so that all moments up to the order are kept.
    Asymmetric = 1,
}

/// The functions of an axis of `n` points: rows of `n` values.
#[derive(Clone, Debug)]
pub struct Functions {
    /// Values are sums of these times coefficients.
    pub values: Vec<f64>,
    /// Coefficients are the products with these.
    pub duals: Vec<f64>,
}

/// The functions of order 0 to `count - 1`, at most as many as points, about `axis`.
///
/// Let `t = (i - mean) / width` and `w = exp(-t^2 / 2)`, or `exp(-t^2 / 4)` for the asymmetric weight. Function 0 is `w`, function `k`
/// is `t` times the one before; each is made orthogonal to all those before it, twice, subtracting for one after the other, the
/// first first, its product with the function times that function, and then divided by the root of its product with itself. One for
/// which that root is not above 1e-12 of what it was at first, or below the least normal number, or not finite, is 0. Products are summed from 0 in the order of the index. For the asymmetric weight all values are
/// then multiplied by `w`, and those of the duals divided. Errors: `LimitExceeded` when the memory cannot be had.
pub fn functions(n: usize, count: usize, axis: Axis, weight: Weight) -> Result<Functions> {
    let count = count.min(n);
    let t: Vec<f64> = (0..n).map(|i| (i as f64 - axis.mean) / axis.width).collect();
    let scale = match weight {
        Weight::Symmetric => -0.5,
        Weight::Asymmetric => -0.25,
    };
    let w: Vec<f64> = t.iter().map(|t| libm::exp(scale * t * t)).collect();
    let mut rows = zeros(n * count)?;
    for k in 0..count {
        let (before, rest) = rows.split_at_mut(k * n);
        let row = &mut rest[..n];
        match before.len().checked_sub(n) {
            Some(last) => row.iter_mut().zip(&before[last..]).zip(&t).for_each(|((r, b), t)| *r = t * b),
            None => row.copy_from_slice(&w),
        }
        let whole = dot(row, row).sqrt();
        for _ in 0..2 {
            for b in before.chunks_exact(n) {
                let f = dot(row, b);
                row.iter_mut().zip(b).for_each(|(r, b)| *r -= f * b);
            }
        }
        let norm = dot(row, row).sqrt();
        // What is not a number compares as false.
        if norm > NOTHING * whole && norm >= f64::MIN_POSITIVE && norm.is_finite() {
            row.iter_mut().for_each(|r| *r /= norm);
        } else {
            row.fill(0.0);
        }
    }
    if weight == Weight::Symmetric {
        return Ok(Functions { duals: rows.clone(), values: rows });
    }
    let mut duals = rows.clone();
    for (values, duals) in rows.chunks_exact_mut(n).zip(duals.chunks_exact_mut(n)) {
        for ((v, d), w) in values.iter_mut().zip(duals).zip(&w) {
            *v *= w;
            *d = if *w >= f64::MIN_POSITIVE { *d / w } else { 0.0 };
        }
    }
    Ok(Functions { values: rows, duals })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |s, (a, b)| s + a * b)
}

/// The lines of an array along one axis, as far as the squares of what functions leave of them go.
struct Lines {
    /// Products of every two positions.
    gram: Vec<f64>,
    n: usize,
    /// Positions of the array from one to the next.
    stride: f64,
}

impl Lines {
    /// Every so many-th of long lines. Errors: those of [`gram`].
    fn new(x: &[f64], shape: &[usize], axis: usize) -> Result<Lines> {
        let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let stride = n.div_ceil(MAX_LOOKED_AT).max(1);
        if stride == 1 {
            return Ok(Lines { gram: gram(x, shape, axis)?, n, stride: 1.0 });
        }
        let kept = x.chunks_exact(inner.max(1)).enumerate().filter(|(i, _)| (i % n).is_multiple_of(stride));
        let kept: Vec<f64> = kept.flat_map(|(_, part)| part.iter().copied()).collect();
        let mut extents = shape.to_vec();
        extents[axis] = n.div_ceil(stride);
        Ok(Lines { gram: gram(&kept, &extents, axis)?, n: extents[axis], stride: stride as f64 })
    }
    /// The sum of squares of what the functions leave: with values `V` and duals `D` as rows, the trace of
    /// `(1 - V^T D) G (1 - D^T V)`.
    fn rest(&self, count: usize, axis: Axis, weight: Weight) -> Result<f64> {
        let axis = Axis { mean: axis.mean / self.stride, width: axis.width / self.stride };
        let Functions { values, duals } = functions(self.n, count, axis, weight)?;
        let n = self.n;
        let trace = self.gram.iter().step_by(n + 1).fold(0.0, |s, g| s + g);
        let mut rest = trace;
        let mut with = Vec::with_capacity(duals.len());
        for d in duals.chunks_exact(n) {
            let mut sum = vec![0.0; n];
            for (g, d) in self.gram.chunks_exact(n).zip(d) {
                sum.iter_mut().zip(g).for_each(|(s, g)| *s += d * g);
            }
            with.extend(sum);
        }
        if weight == Weight::Symmetric {
            return Ok(with.chunks_exact(n).zip(duals.chunks_exact(n)).fold(rest, |s, (a, b)| s - dot(a, b)));
        }
        for (j, a) in with.chunks_exact(n).enumerate() {
            rest -= 2.0 * dot(a, &values[j * n..(j + 1) * n]);
            for (k, d) in duals.chunks_exact(n).enumerate() {
                rest += dot(a, d) * dot(&values[j * n..(j + 1) * n], &values[k * n..(k + 1) * n]);
            }
        }
        Ok(rest)
    }
}

/// Where `count` functions along `axis` leave least of `x`, an array of `shape` whose largest magnitude is about 1; `starts` are where
/// they could be. Errors: those of [`gram`] and [`functions`].
pub fn best_axis(
    x: &[f64],
    shape: &[usize],
    axis: usize,
    count: usize,
    weight: Weight,
    starts: &[Axis],
) -> Result<Option<Axis>> {
    let lines = Lines::new(x, shape, axis)?;
    let mut best: Option<(f64, Axis)> = None;
    for start in starts {
        let mut at = *start;
        let mut least = lines.rest(count, at, weight)?;
        let mut step = FIRST;
        for _ in 0..MOST_ROUNDS {
            let before = least;
            for (mean, width) in [(0.0, step), (0.0, -step), (step, 0.0), (-step, 0.0)] {
                let next = Axis { mean: at.mean + mean * at.width, width: at.width * libm::exp(width) };
                let rest = lines.rest(count, next, weight)?;
                if rest < least || !least.is_finite() {
                    (least, at) = (rest, next);
                }
            }
            if before.is_nan() || least > 0.999 * before {
                step /= 2.0;
            }
            if step < FINEST {
                break;
            }
        }
        if least.is_finite() && best.is_none_or(|b| least < b.0) {
            best = Some((least, at));
        }
    }
    Ok(best.map(|b| b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(f: &Functions, x: &[f64]) -> Vec<f64> {
        let n = x.len();
        let mut y = vec![0.0; n];
        for (v, d) in f.values.chunks_exact(n).zip(f.duals.chunks_exact(n)) {
            let c = dot(d, x);
            y.iter_mut().zip(v).for_each(|(y, v)| *y += c * v);
        }
        y
    }

    #[test]
    fn functions_are_orthonormal_wherever_they_lie() {
        for (n, count) in [(1, 1), (3, 3), (50, 15), (50, 50), (20, 30), (400, 60)] {
            for (mean, width) in [(0.5, 0.6), (0.4 * n as f64, 0.1 * n as f64), (3.0, 5.0 * n as f64)] {
                for weight in [Weight::Symmetric, Weight::Asymmetric] {
                    let f = functions(n, count, Axis { mean, width }, weight).unwrap();
                    assert_eq!((f.values.len(), f.duals.len()), (n * count.min(n), n * count.min(n)));
                    for (j, a) in f.values.chunks_exact(n).enumerate() {
                        for (k, b) in f.duals.chunks_exact(n).enumerate() {
                            // Far out the asymmetric ones are as good as 0, and their duals large.
                            let expected = f64::from(j == k && dot(a, a) > 0.0);
                            let within = if weight == Weight::Symmetric { 1e-8 } else { 1e-3 };
                            let found = dot(a, b);
                            let lost = weight == Weight::Asymmetric && width < 1.0;
                            assert!(
                                lost || (found - expected).abs() < within,
                                "{n} {count} {width} {weight:?} {j} {k}: {found}"
                            );
                        }
                    }
                }
            }
        }
    }

    /// Polynomials times the Gaussian are spanned, and the asymmetric weight keeps the sums of powers of anything.
    #[test]
    fn polynomials_times_the_gaussian_come_back_and_moments_are_kept() {
        let (n, axis) = (60, Axis { mean: 27.3, width: 6.1 });
        let t = |i: usize| (i as f64 - axis.mean) / axis.width;
        let x: Vec<f64> =
            (0..n).map(|i| (2.0 + t(i) - 0.5 * t(i) * t(i) * t(i)) * libm::exp(-0.5 * t(i) * t(i))).collect();
        let flat: Vec<f64> = (0..n).map(|i| libm::exp(-(i as f64 - 30.0).abs() / 3.0)).collect();
        for weight in [Weight::Symmetric, Weight::Asymmetric] {
            let f = functions(n, 4, axis, weight).unwrap();
            let y = project(&f, &x);
            assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12), "{weight:?}");
            let z = project(&f, &flat);
            for power in 0..4 {
                let moment = |v: &[f64]| {
                    v.iter().enumerate().fold(0.0, |s, (i, v)| s + v * (0..power).fold(1.0, |p, _| p * t(i)))
                };
                let off = (moment(&flat) - moment(&z)).abs();
                assert_eq!(off < 1e-9, weight == Weight::Asymmetric, "{weight:?} {power}: {off}");
            }
        }
    }

    #[test]
    fn the_best_place_is_found() {
        let shape = [3, 50, 4];
        let axis = Axis { mean: 21.7, width: 4.2 };
        let x: Vec<f64> = (0..600)
            .map(|i| {
                let t = ((i / 4 % 50) as f64 - axis.mean) / axis.width;
                (1.0 + (i % 4) as f64 * t * t) * libm::exp(-0.5 * t * t)
            })
            .collect();
        let start = [Axis { mean: 23.0, width: 5.0 }];
        for weight in [Weight::Symmetric, Weight::Asymmetric] {
            let found = best_axis(&x, &shape, 1, 3, weight, &start).unwrap().unwrap();
            assert!((found.mean - axis.mean).abs() < 0.2 && (found.width - axis.width).abs() < 0.2, "{found:?}");
        }
        // Of a long axis every so many-th position tells as much.
        let long: Vec<f64> =
            (0..2000).map(|i| libm::exp(-0.5 * (i as f64 - 900.0) * (i as f64 - 900.0) / 1e4)).collect();
        let found =
            best_axis(&long, &[2000], 0, 1, Weight::Symmetric, &[Axis { mean: 800.0, width: 150.0 }]).unwrap().unwrap();
        assert!((found.mean - 900.0).abs() < 3.0 && (found.width - 100.0).abs() < 3.0, "{found:?}");
    }
}
