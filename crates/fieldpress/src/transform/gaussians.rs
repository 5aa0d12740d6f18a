//! Sums of Gaussians on the cells of a grid.
//!
//! Covariances are kept as their lower triangular roots: with the axis of rows last, what a Gaussian is along a row of cells is then
//! one of its last width, whose centre and height follow from the axes before.
//!
//! # Format
//! At the place `(z, y, x)` the Gaussian of amplitude `h`, mean `(m0, m1, m2)` and root `[r00, r10, r11, r20, r21, r22]` is as follows. Let
//! `w0 = (z - m0) / r00`, `w1 = (y - m1 - r10 w0) / r11`, `e = 0.5 (w0 w0 + w1 w1)` and `c = m2 + r20 w0 + r21 w1`. If `l = 40 - e` is above 0,
//! cells of the row that are at least `floor(max(c - b, 0))` and at most `floor(max(c + b, -1) + 1) - 1`, with `b = sqrt(2 l) r22`, get
//! `h exp(-e - 0.5 t t)` added, with `t = (x - c) (1 / r22)`. Sums are formed from 0 in the order of the Gaussians. For `exp(v)`, with
//! `k = v log2(e) + 1.5 2^52` and `n = k - 1.5 2^52`, let `r = (v - n 0.693147180369123816490) - n 1.90821492927058770002e-10`: it is Horner's
//! scheme of the Taylor series in `r` up to `1 / 12!`, times `2^n`. All is rounded to `f64` after each operation; products come before sums,
//! which go from left to right.

use crate::bits::{widest, Work};

/// Where the exponent is below minus this a Gaussian counts as 0.
const REACH: f64 = 40.0;
/// Squares of cells that are added to variances: Gaussians that fall between cells cannot be told from none.
const LEAST_VARIANCE: f64 = 0.05;

/// A Gaussian on an array of three axes; the centre of a cell is its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// The value at the mean.
    pub amplitude: f64,
    /// The mean.
    pub mean: [f64; 3],
    /// The lower triangle `L` of the covariance `L L^T`: `[00, 10, 11, 20, 21, 22]`.
    pub root: [f64; 6],
}

/// What a Gaussian is along a row of cells: its amplitude times `exp(-rest - (x - centre)^2 / (2 width^2))`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The whitened coordinates of the axes before.
    pub(super) across: [f64; 2],
    pub(super) rest: f64,
    pub(super) centre: f64,
}

/// The integral of a Gaussian over its amplitude and the product of the diagonal of its root.
pub(super) fn unit_mass() -> f64 {
    let turn = 2.0 * std::f64::consts::PI;
    turn * turn.sqrt()
}

impl Gaussian {
    /// The sum over all cells, those outside the array included, of one that is wide enough.
    pub fn mass(&self) -> f64 {
        self.amplitude * unit_mass() * self.root[0] * self.root[2] * self.root[5]
    }
    /// The one with these moments on an array of `extents`. `None` where there is none with a finite, positive amplitude.
    pub fn of(m: &Moments, extents: [usize; 3]) -> Option<Gaussian> {
        let c = m.covariance;
        // Across an axis of one cell the width does not matter.
        let [z, y, x] = extents.map(|n| if n > 1 { LEAST_VARIANCE } else { 1.0 });
        let a = (c[0] + z).sqrt();
        let (b, d) = (c[1] / a, c[3] / a);
        let (b2, e2) = (c[2] + y - b * b, c[4] - b * d);
        let (e, f2) = (e2 / b2.sqrt(), c[5] + x - d * d - e2 * e2 / b2);
        let (c, f) = (b2.sqrt(), f2.sqrt());
        let amplitude = m.mass / (unit_mass() * a * c * f);
        // Roots of what is negative are not numbers.
        let usable = amplitude > 0.0 && amplitude.is_finite() && m.mean.iter().all(|v| v.is_finite());
        usable.then_some(Gaussian { amplitude, mean: m.mean, root: [a, b, c, d, e, f] })
    }
    #[inline(always)]
    pub(super) fn row(&self, z: f64, y: f64) -> Row {
        let [a, b, c, d, e, _] = self.root;
        let w0 = (z - self.mean[0]) / a;
        let w1 = (y - self.mean[1] - b * w0) / c;
        Row { across: [w0, w1], rest: 0.5 * (w0 * w0 + w1 * w1), centre: self.mean[2] + d * w0 + e * w1 }
    }
    /// Which of `n` cells of a row are within `reach`.
    #[inline(always)]
    pub(super) fn range(&self, row: Row, n: usize, reach: f64) -> std::ops::Range<usize> {
        let left = reach - row.rest;
        // What is not a number reaches nothing. Casts saturate.
        let half = if left > 0.0 { (2.0 * left).sqrt() * self.root[5] } else { return 0..0 };
        let to = (((row.centre + half).max(-1.0) + 1.0) as usize).min(n);
        ((row.centre - half).max(0.0) as usize).min(to)..to
    }
    /// Writes the values along a part of a row to `out` by `put`, which has the value before and the new one.
    #[inline(always)]
    pub(super) fn along(&self, row: Row, x: &[f64], out: &mut [f64], put: impl Fn(f64, f64) -> f64) {
        let scale = 1.0 / self.root[5];
        for (o, x) in out.iter_mut().zip(x) {
            let t = (x - row.centre) * scale;
            *o = put(*o, self.amplitude * exp(-row.rest - 0.5 * t * t));
        }
    }
}

/// `exp(v)` for `v` from -700 to 0, to about two units in the last place; the same on every platform, and in vectors.
#[inline(always)]
pub(super) fn exp(v: f64) -> f64 {
    const MAGIC: f64 = 6755399441055744.0;
    const HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const SERIES: [f64; 13] = [
        1.0 / 479001600.0,
        1.0 / 39916800.0,
        1.0 / 3628800.0,
        1.0 / 362880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let k = v * std::f64::consts::LOG2_E + MAGIC;
    let n = k - MAGIC;
    let r = (v - n * HIGH) - n * LOW;
    let mut p = SERIES[0];
    for c in &SERIES[1..] {
        p = p * r + c;
    }
    // The last bits of `k` count ones.
    f64::from_bits(p.to_bits().wrapping_add(k.to_bits() << 52))
}

/// Fills `out`, an array of `extents`, with the sum of the Gaussians.
pub fn render(gaussians: &[Gaussian], extents: [usize; 3], out: &mut [f64]) {
    widest(Render { gaussians, extents, out });
}

struct Render<'a> {
    gaussians: &'a [Gaussian],
    extents: [usize; 3],
    out: &'a mut [f64],
}

impl Work for Render<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [_, ny, nx] = self.extents;
        let x: Vec<f64> = (0..nx).map(|i| i as f64).collect();
        self.out.fill(0.0);
        for (i, out) in self.out.chunks_exact_mut(nx.max(1)).enumerate() {
            for g in self.gaussians {
                let row = g.row((i / ny) as f64, (i % ny) as f64);
                let range = g.range(row, nx, REACH);
                g.along(row, &x[range.clone()], &mut out[range], |o, v| o + v);
            }
        }
    }
}

/// Sum, mean and covariance of the values of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// The sum of the values.
    pub mass: f64,
    /// The mean.
    pub mean: [f64; 3],
    /// The covariance: `[00, 10, 11, 20, 21, 22]`.
    pub covariance: [f64; 6],
}

/// Sums of values times powers of positions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    zeroth: f64,
    first: [f64; 3],
    second: [f64; 6],
}

impl Sums {
    /// Adds a row, of which sums with powers 0 to 2 are at hand.
    #[inline(always)]
    pub(super) fn add(&mut self, z: f64, y: f64, [s0, s1, s2]: [f64; 3]) {
        self.zeroth += s0;
        let first = [z * s0, y * s0, s1];
        let second = [z * z * s0, y * z * s0, y * y * s0, z * s1, y * s1, s2];
        self.first.iter_mut().zip(first).for_each(|(s, v)| *s += v);
        self.second.iter_mut().zip(second).for_each(|(s, v)| *s += v);
    }
    /// Of positions from `about` on.
    pub(super) fn moments(&self, about: [f64; 3]) -> Moments {
        let d = self.first.map(|f| f / self.zeroth);
        let [z, y, x] = d;
        let squares = [z * z, y * z, y * y, z * x, y * x, x * x];
        Moments {
            mass: self.zeroth,
            mean: std::array::from_fn(|a| about[a] + d[a]),
            covariance: std::array::from_fn(|i| self.second[i] / self.zeroth - squares[i]),
        }
    }
}

/// Sum, mean and covariance of `f`, an array of `extents`; mean and covariance are not finite where the sum is 0.
pub fn moments(f: &[f64], extents: [usize; 3]) -> Moments {
    let [nz, ny, nx] = extents;
    // About the middle, so that little cancels.
    let about = [nz, ny, nx].map(|n| (n / 2) as f64);
    let mut sums = Sums::default();
    for (i, row) in f.chunks_exact(nx.max(1)).enumerate() {
        let mut s = [0.0; 3];
        for (i, f) in row.iter().enumerate() {
            let d = i as f64 - about[2];
            s[0] += f;
            s[1] += f * d;
            s[2] += f * d * d;
        }
        sums.add((i / ny) as f64 - about[0], (i % ny) as f64 - about[1], s);
    }
    sums.moments(about)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::solve_definite;

    #[test]
    fn exponentials_are_right_to_the_last_bits() {
        for i in 0..70_000 {
            let v = -0.01 * f64::from(i) - 1e-3 * f64::from(i % 7);
            assert!((exp(v) / libm::exp(v) - 1.0).abs() < 6e-16, "{v}: {} {}", exp(v), libm::exp(v));
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn a_gaussian_has_its_moments_on_the_grid() {
        let g = Gaussian { amplitude: 2.0, mean: [14.2, 15.7, 16.1], root: [1.9, 0.7, 1.6, -0.5, 0.4, 2.1] };
        let extents = [30, 32, 34];
        let mut y = vec![0.0; 30 * 32 * 34];
        render(&[g], extents, &mut y);
        let value = |z: usize, y: usize, x: usize| {
            // By the inverse of the covariance, not its root.
            let [a, b, c, d, e, f] = g.root;
            let covariance = [a * a, 0.0, 0.0, a * b, b * b + c * c, 0.0, a * d, b * d + c * e, d * d + e * e + f * f];
            let delta = [z as f64 - g.mean[0], y as f64 - g.mean[1], x as f64 - g.mean[2]];
            let mut solved = delta;
            solve_definite(&covariance, &mut solved, 3);
            2.0 * libm::exp(-0.5 * (0..3).map(|i| delta[i] * solved[i]).sum::<f64>())
        };
        for at in [(14, 15, 16), (10, 18, 20), (20, 10, 3), (29, 31, 33)] {
            let found = y[(at.0 * 32 + at.1) * 34 + at.2];
            assert!((found - value(at.0, at.1, at.2)).abs() < 1e-14, "{at:?}: {found}");
        }
        let m = moments(&y, extents);
        assert!((m.mass / g.mass() - 1.0).abs() < 1e-9);
        assert!((0..3).all(|k| (m.mean[k] - g.mean[k]).abs() < 1e-8), "{m:?}");
        let back = Gaussian::of(&Moments { covariance: m.covariance.map(|c| c), ..m }, extents).unwrap();
        // But for what is added to variances.
        assert!(back.root.iter().zip(&g.root).all(|(a, b)| (a - b).abs() < 0.02), "{back:?}");
    }

    #[test]
    fn nothing_is_out_of_reach_of_hostile_numbers() {
        let values = [0.0, -1.0, 1.0, 1e300, -1e300, f64::NAN, f64::INFINITY, 1e-300];
        let mut y = vec![0.0; 24];
        for a in values {
            for b in values {
                for c in values {
                    let g = Gaussian { amplitude: a, mean: [b, a, c], root: [c, a, b, a, c, b] };
                    render(&[g], [2, 3, 4], &mut y);
                }
            }
        }
        render(&[], [2, 0, 4], &mut []);
    }
}
