//! Gaussians with the axes of the array for axes, fitted to its values by least squares.
//!
//! Source: K. Levenberg, "A method for the solution of certain non-linear problems in least squares", 1944; D. W. Marquardt, "An
//! algorithm for least-squares estimation of nonlinear parameters", 1963. A Gaussian is a product of one factor for each axis, and so
//! are its derivatives: an iteration takes three products of the array with vectors along an axis, and no more.

use super::product::product;
use crate::error::Result;
use crate::linalg::solve_definite;

const MAX_STEPS: usize = 60;
/// What the sum of squares must lose in a step, of itself, for another one.
const LEAST_GAIN: f64 = 1e-10;
/// Factors of an axis: the Gaussian, and its derivatives by mean and logarithm of the width.
const FACTORS: usize = 3;

/// Where the Gaussian lies along one axis, in cells; the centre of a cell is its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub width: f64,
}

/// `amplitude * exp(- sum over the axes of (i - mean)^2 / (2 width^2))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Maxwellian {
    /// The value at the mean.
    pub amplitude: f64,
    /// One entry per axis.
    pub axes: Vec<Axis>,
}

impl Axis {
    /// Mean and width of the magnitudes `marginal` along an axis; the middle and a quarter where all are 0. The width is at least that
    /// of the content of one cell.
    fn of(marginal: &[f64]) -> Axis {
        let n = marginal.len() as f64;
        let moment = |f: &dyn Fn(f64) -> f64| {
            marginal.iter().enumerate().fold(0.0, |s, (i, m)| s + m * f(i as f64)) / marginal.iter().sum::<f64>()
        };
        let mean = moment(&|i| i);
        let variance = moment(&|i| (i - mean) * (i - mean));
        if mean.is_finite() && variance.is_finite() {
            Axis { mean, width: variance.max(1.0 / 12.0).sqrt() }
        } else {
            Axis { mean: (n - 1.0) / 2.0, width: n.max(1.0) / 4.0 }
        }
    }
    fn factors(&self, n: usize) -> Vec<f64> {
        let t = |i: usize| (i as f64 - self.mean) / self.width;
        let e: Vec<f64> = (0..n).map(|i| libm::exp(-0.5 * t(i) * t(i))).collect();
        let mean = e.iter().enumerate().map(|(i, e)| e * t(i) / self.width);
        let width = e.iter().enumerate().map(|(i, e)| e * t(i) * t(i));
        e.iter().copied().chain(mean).chain(width).collect()
    }
}

/// Mean and width along each axis of the magnitudes of `x`, an array of `shape`.
pub fn moments(x: &[f64], shape: &[usize]) -> Vec<Axis> {
    let mut marginals: Vec<Vec<f64>> = shape.iter().map(|&n| vec![0.0; n]).collect();
    for (k, marginal) in marginals.iter_mut().enumerate() {
        let inner = shape[k + 1..].iter().product::<usize>().max(1);
        for (i, part) in x.chunks_exact(inner).enumerate() {
            marginal[i % shape[k].max(1)] += part.iter().map(|v| v.abs()).sum::<f64>();
        }
    }
    marginals.iter().map(|m| Axis::of(m)).collect()
}

/// The sums that a step needs.
struct Sums {
    /// Of squares of what the Gaussian leaves.
    rest: f64,
    /// The products of derivatives with each other, and with what is left.
    normal: Vec<f64>,
    gradient: Vec<f64>,
}

impl Maxwellian {
    /// The Gaussian that leaves least of `x`, an array of `shape` whose largest magnitude is about 1, as found from that of the
    /// [`moments`]. Errors: those of [`product`].
    pub fn fit(x: &[f64], shape: &[usize]) -> Result<Maxwellian> {
        let square = x.iter().fold(0.0, |s, v| s + v * v);
        let mut best = Maxwellian { amplitude: 1.0, axes: moments(x, shape) };
        let mut sums = best.sums(x, shape, square)?;
        // The amplitude is linear.
        let linear = 1.0 + sums.gradient[0] / sums.normal[0];
        if !linear.is_finite() || x.is_empty() {
            return Ok(best);
        }
        best.amplitude = linear;
        sums = best.sums(x, shape, square)?;
        let mut damping = 1e-3;
        for _ in 0..MAX_STEPS {
            let Some(next) = best.step(&sums, damping).filter(|m| m.is_near(shape)) else {
                damping *= 10.0;
                continue;
            };
            let found = next.sums(x, shape, square)?;
            if found.rest < sums.rest {
                let gain = sums.rest - found.rest;
                (best, sums) = (next, found);
                damping /= 10.0;
                if gain < LEAST_GAIN * sums.rest {
                    break;
                }
            } else {
                damping *= 10.0;
            }
        }
        Ok(best)
    }
    /// Whether it is one that this grid can tell.
    fn is_near(&self, shape: &[usize]) -> bool {
        self.amplitude.is_finite()
            && self.axes.iter().zip(shape).all(|(a, &n)| {
                let n = n as f64;
                (-n..2.0 * n).contains(&a.mean) && (0.25..4.0 * n + 1.0).contains(&a.width)
            })
    }
    /// The parameters: the amplitude, then mean and logarithm of the width of each axis.
    fn step(&self, sums: &Sums, damping: f64) -> Option<Maxwellian> {
        let n = sums.gradient.len();
        let mut normal = sums.normal.clone();
        normal.iter_mut().step_by(n + 1).for_each(|d| *d += *d * damping);
        let mut by = sums.gradient.clone();
        solve_definite(&normal, &mut by, n);
        let axes = self.axes.iter().zip(by.get(1..)?.chunks_exact(2));
        let axes = axes.map(|(a, d)| Axis { mean: a.mean + d[0], width: a.width * libm::exp(d[1]) });
        Some(Maxwellian { amplitude: self.amplitude + by[0], axes: axes.collect() })
    }
    fn sums(&self, x: &[f64], shape: &[usize], square: f64) -> Result<Sums> {
        let factors: Vec<Vec<f64>> = self.axes.iter().zip(shape).map(|(a, &n)| a.factors(n)).collect();
        let (mut with, mut extents) = (x.to_vec(), shape.to_vec());
        for (k, rows) in factors.iter().enumerate() {
            if shape[k] > 0 {
                with = product(&with, &extents, k, rows)?;
            }
            extents[k] = FACTORS;
        }
        let rank = shape.len();
        // What the derivative by parameter `p` has for a factor of axis `k`, and where its product with the array is.
        let factor = |p: usize, k: usize| if p > 0 && (p - 1) / 2 == k { 1 + (p - 1) % 2 } else { 0 };
        let at = |p: usize| (0..rank).fold(0, |at, k| at * FACTORS + factor(p, k));
        let scale = |p: usize| if p == 0 { 1.0 } else { self.amplitude };
        let dot = |k: usize, a: usize, b: usize| {
            let n = shape[k];
            let (a, b) = (&factors[k][a * n..(a + 1) * n], &factors[k][b * n..(b + 1) * n]);
            a.iter().zip(b).fold(0.0, |s, (a, b)| s + a * b)
        };
        let count = 1 + 2 * rank;
        let mut normal = vec![0.0; count * count];
        for p in 0..count {
            for q in 0..count {
                normal[p * count + q] =
                    (0..rank).fold(scale(p) * scale(q), |s, k| s * dot(k, factor(p, k), factor(q, k)));
            }
        }
        let whole = with.first().copied().unwrap_or(0.0);
        let gradient =
            (0..count).map(|p| scale(p) * with.get(at(p)).copied().unwrap_or(0.0) - self.amplitude * normal[p * count]);
        let gradient = gradient.collect();
        let rest = square - self.amplitude * (2.0 * whole - self.amplitude * normal[0]);
        Ok(Sums { rest, normal, gradient })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(m: &Maxwellian, shape: &[usize]) -> Vec<f64> {
        let value = |at: usize| {
            let mut rest = at;
            shape.iter().zip(&m.axes).rev().fold(m.amplitude, |v, (n, a)| {
                let t = ((rest % n) as f64 - a.mean) / a.width;
                rest /= n;
                v * libm::exp(-0.5 * t * t)
            })
        };
        (0..shape.iter().product()).map(value).collect()
    }

    #[test]
    fn gaussians_are_found_again() {
        let axes = [(7.3, 2.1), (4.0, 3.3), (15.2, 4.7), (2.0, 1.0)];
        for (shape, amplitude) in [(&[20][..], 1.0), (&[20, 12], -0.7), (&[18, 13, 30], 0.9), (&[15, 9, 25, 5], 1.0)] {
            let axes = axes.iter().take(shape.len()).map(|&(mean, width)| Axis { mean, width }).collect();
            let m = Maxwellian { amplitude, axes };
            let found = Maxwellian::fit(&values(&m, shape), shape).unwrap();
            assert!((found.amplitude - amplitude).abs() < 1e-6, "{found:?}");
            for (a, b) in found.axes.iter().zip(&m.axes) {
                assert!((a.mean - b.mean).abs() < 1e-5 && (a.width - b.width).abs() < 1e-5, "{found:?} {m:?}");
            }
        }
    }

    /// A fit leaves no more than the moments do.
    #[test]
    fn two_gaussians_are_fitted_better_than_by_their_moments() {
        let shape = [40, 30];
        let of = |mean, width| Maxwellian {
            amplitude: 1.0,
            axes: vec![Axis { mean, width }, Axis { mean: 12.0, width: 4.0 }],
        };
        let x: Vec<f64> =
            values(&of(10.0, 3.0), &shape).iter().zip(values(&of(25.0, 5.0), &shape)).map(|(a, b)| a + b).collect();
        let rest = |m: &Maxwellian| x.iter().zip(values(m, &shape)).fold(0.0, |s, (a, b)| s + (a - b) * (a - b));
        let found = Maxwellian::fit(&x, &shape).unwrap();
        let first = Maxwellian { amplitude: found.amplitude, axes: moments(&x, &shape) };
        assert!(rest(&found) < 0.95 * rest(&first), "{} {}", rest(&found), rest(&first));
    }

    #[test]
    fn anything_has_a_finite_fit() {
        for shape in [&[][..], &[0], &[1], &[1, 1, 1], &[5, 0], &[30, 2]] {
            let n: usize = shape.iter().product();
            for x in [vec![0.0; n], vec![1.0; n], (0..n).map(|i| if i % 3 == 0 { -1.0 } else { 0.5 }).collect()] {
                let m = Maxwellian::fit(&x, shape).unwrap();
                assert!(m.amplitude.is_finite() && m.axes.iter().all(|a| a.mean.is_finite() && a.width > 0.0), "{m:?}");
            }
        }
    }
}
