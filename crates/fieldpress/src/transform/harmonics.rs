//! Functions in a box as real spherical harmonics on shells about a centre: a degree and an order in direction, splines in distance.
//!
//! Sources: C. W. Misner, "Spherical harmonic decomposition on a cubic grid", 2004 (coefficients by least squares over the cells
//! themselves: no shell is interpolated); C. de Boor, "A Practical Guide to Splines", 1978; M. R. Hestenes, E. Stiefel, "Methods
//! of conjugate gradients for solving linear systems", 1952; the recurrences of associated Legendre functions as in
//! S. A. Holmes, W. E. Featherstone, "A unified approach to the Clenshaw summation", 2002, without the powers of the sine.
//!
//! # Format
//! What encoder and decoder know of a box: its extents `n` along z, y and x, a centre `c`, a scale `s`, the largest degree `L` and the number
//! of splines `M`.
//!
//! The cell `i` lies at `d = (i - c) / s`, at the distance `r = sqrt(dx dx + dy dy + dz dz)`. Let `R` be that of the farthest corner,
//! `t(r) = r / (r + 3)`, and `p = t(r) / t(R) (M - 3)`, 0 where that is not a number. With `k = floor(p)`, at most `M - 4`, and `u = p - k` the splines `k` to `k + 3` are
//! `(1 - u)^3 / 6`, `((3 u - 6) u u + 4) / 6`, `(((3 - 3 u) u + 3) u + 1) / 6` and `u^3 / 6`; the others are 0. A spline whose sum over all cells is `e` and whose
//! sum of squares is `q` has harmonics of degrees up to `floor(sqrt(e)) - 1`, at least 0 and at most `L`, and is divided by `sqrt(q)`; it has none
//! where `q` is 0.
//!
//! With the direction `(x, y, z) = d / r`, 0 at the centre, the harmonic `i = l l + l + o` of degree `l` and order `o` from `-l` to `l` is `P(l, |o|)` times
//! `S(|o|)` for `o < 0`, 1 for `o = 0`, `C(o)` for `o > 0`, where `C(0) = sqrt(2)`, `S(0) = 0`, `C(m) = x C(m - 1) - y S(m - 1)`,
//! `S(m) = x S(m - 1) + y C(m - 1)`, and `P(0, 0) = 1`, `P(m, m) = P(m - 1, m - 1) sqrt((2 m + 1) / (2 m))`, `P(l, m) = a (z P(l - 1, m) - b P(l - 2, m))`
//! with `a = sqrt((4 l l - 1) / (l l - m m))` and `b = sqrt(((l - 1)^2 - m m) / (4 (l - 1)^2 - 1))`, 0 for `l = m + 1`. Their mean square is 1.
//!
//! A value is the sum over harmonics of the harmonic times the sum over the four splines, in order, of spline times coefficient. Harmonics are
//! summed in 8 sums, harmonic `i` to sum `i mod 8`, and these in order; splines with fewer harmonics add nothing to the others.

use super::product::zeros;
use crate::bits::{widest, Work};
use crate::error::{Error, Result};

/// Largest degree.
pub const MAX_DEGREE: usize = 64;
/// Fewest splines.
pub const MIN_SPLINES: usize = 4;
/// Most splines.
pub const MAX_SPLINES: usize = 512;
/// Splines that are not 0 in a cell.
const NEAR: usize = 4;
/// Cells, or harmonics, that are worked on at a time.
const LANES: usize = 8;
/// The distance at which shells are half as far apart in `t` as at the centre, and so on.
const BEND: f64 = 3.0;
/// Cells that coefficients are fitted to, about, where there are more.
const FITTED: usize = 1 << 18;
/// Steps of the solver at most.
const MAX_STEPS: usize = 100;
/// A step that takes less than this part of the squared error is the last.
const PAYS: f64 = 3e-5;

type Lanes = [f64; LANES];

/// Harmonics on shells in a box.
#[derive(Clone, Debug)]
pub struct Shells {
    extents: [usize; 3],
    centre: [f64; 3],
    scale: f64,
    degree: usize,
    /// `t(R)`.
    reach: f64,
    /// For each spline what it is multiplied by.
    factors: Vec<f64>,
    /// For each spline where its coefficients begin, and the end of all.
    first: Vec<usize>,
    /// `a` and `b` of degrees and orders, order by order; for `l = m` what leads from one order to the next.
    recurrence: Vec<(f64, f64)>,
}

/// The splines that are not 0 in a cell: the first, and their values.
type Near = (usize, [f64; NEAR]);

impl Shells {
    /// For a box of `extents` with a `centre`, both in z, y, x, and a `scale` of distances, in cells. Errors: `InvalidArgument` beyond
    /// [`MAX_DEGREE`], or where there are fewer than [`MIN_SPLINES`] or more than [`MAX_SPLINES`]; `LimitExceeded`.
    pub fn new(extents: [usize; 3], centre: [f64; 3], scale: f64, degree: usize, splines: usize) -> Result<Shells> {
        if degree > MAX_DEGREE || !(MIN_SPLINES..=MAX_SPLINES).contains(&splines) {
            return Err(Error::invalid(format!(
                "expected a degree of at most {MAX_DEGREE} and {MIN_SPLINES} to {MAX_SPLINES} shells, found {degree} and {splines}"
            )));
        }
        let far = |k: usize| {
            let last = extents[k].saturating_sub(1) as f64;
            centre[k].abs().max((last - centre[k]).abs()) / scale
        };
        let far = (far(2) * far(2) + far(1) * far(1) + far(0) * far(0)).sqrt();
        let mut recurrence = Vec::new();
        for m in 0..=degree {
            let order = (m * m) as f64;
            recurrence.push((((2 * m + 1) as f64 / (2 * m) as f64).sqrt(), 0.0));
            for l in m + 1..=degree {
                let (square, before) = ((l * l) as f64, ((l - 1) * (l - 1)) as f64);
                let b = if l == m + 1 { 0.0 } else { ((before - order) / (4.0 * before - 1.0)).sqrt() };
                recurrence.push((((4.0 * square - 1.0) / (square - order)).sqrt(), b));
            }
        }
        let mut shells = Shells {
            extents,
            centre,
            scale,
            degree,
            reach: far / (far + BEND),
            factors: vec![1.0; splines],
            first: Vec::new(),
            recurrence,
        };
        let (mut sums, mut squares) = (vec![0.0; splines], vec![0.0; splines]);
        for line in 0..shells.lines() {
            for i in 0..extents[2] {
                let (k, near) = shells.near(shells.distance(line, i).0);
                for (q, b) in near.iter().enumerate() {
                    sums[k + q] += b;
                    squares[k + q] += b * b;
                }
            }
        }
        let mut first = vec![0];
        for ((e, q), factor) in sums.iter().zip(&squares).zip(&mut shells.factors) {
            let root = q.sqrt();
            let here = first.last().copied().unwrap_or(0);
            // Casts saturate, and make 0 of what is not a number.
            let side = (e.sqrt() as usize).clamp(1, degree + 1);
            let counts = root > 0.0 && root.is_finite();
            *factor = if counts { 1.0 / root } else { 0.0 };
            first.push(here + if counts { side * side } else { 0 });
        }
        shells.first = first;
        Ok(shells)
    }
    /// How many coefficients there are: not more than cells and splines together.
    pub fn coefficients(&self) -> usize {
        self.first.last().copied().unwrap_or(0)
    }
    /// How many coefficients each spline has, a square number.
    pub fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.first.windows(2).map(|w| w[1] - w[0])
    }
    fn lines(&self) -> usize {
        self.extents[0] * self.extents[1]
    }
    /// How far cell `i` of a line is from the centre, and along x, y and z.
    #[inline(always)]
    fn distance(&self, line: usize, i: usize) -> (f64, [f64; 3]) {
        let at = |k: usize, i: usize| (i as f64 - self.centre[k]) / self.scale;
        let rows = self.extents[1].max(1);
        let d = [at(2, i), at(1, line % rows), at(0, line / rows)];
        ((d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt(), d)
    }
    /// The splines at the distance `r`.
    #[inline(always)]
    fn near(&self, r: f64) -> Near {
        let intervals = self.factors.len() - (NEAR - 1);
        let p = r / (r + BEND) / self.reach * intervals as f64;
        let p = if p >= 0.0 { p } else { 0.0 };
        let k = (p as usize).min(intervals - 1);
        let u = p - k as f64;
        let v = 1.0 - u;
        let mut b = [v * v * v, (3.0 * u - 6.0) * u * u + 4.0, ((3.0 - 3.0 * u) * u + 3.0) * u + 1.0, u * u * u];
        b.iter_mut().zip(&self.factors[k..]).for_each(|(b, f)| *b = *b / 6.0 * f);
        (k, b)
    }
    /// The harmonics in the directions of a few cells.
    #[inline(always)]
    fn harmonics(&self, [x, y, z]: [Lanes; 3], out: &mut [Lanes]) {
        let mut recurrence = self.recurrence.iter();
        let (mut cosine, mut sine) = ([std::f64::consts::SQRT_2; LANES], [0.0; LANES]);
        let mut corner = 1.0;
        for m in 0..=self.degree {
            let lead = recurrence.next().map_or(1.0, |r| r.0);
            if m > 0 {
                corner *= lead;
                for i in 0..LANES {
                    let (c, s) = (cosine[i], sine[i]);
                    (cosine[i], sine[i]) = (x[i] * c - y[i] * s, x[i] * s + y[i] * c);
                }
            }
            let (mut before, mut here) = ([0.0; LANES], [corner; LANES]);
            for l in m..=self.degree {
                if l > m {
                    let (a, b) = recurrence.next().copied().unwrap_or_default();
                    for i in 0..LANES {
                        (before[i], here[i]) = (here[i], a * (z[i] * here[i] - b * before[i]));
                    }
                }
                let middle = l * l + l;
                if m == 0 {
                    out[middle] = here;
                } else {
                    for i in 0..LANES {
                        out[middle + m][i] = here[i] * cosine[i];
                        out[middle - m][i] = here[i] * sine[i];
                    }
                }
            }
        }
    }
    /// Calls `visit` with the place of each cell of the lines in `some`, its splines and its harmonics.
    #[inline(always)]
    fn for_each_cell(&self, some: impl Fn(usize) -> bool, mut visit: impl FnMut(usize, Near, &[f64])) {
        let terms = (self.degree + 1) * (self.degree + 1);
        let mut tile = vec![[0.0; LANES]; terms];
        let mut rows = vec![0.0; terms * LANES];
        let run = self.extents[2];
        for line in (0..self.lines()).filter(|&l| some(l)) {
            for from in (0..run).step_by(LANES) {
                let mut directions = [[0.0; LANES]; 3];
                let mut distances = [0.0; LANES];
                for lane in 0..LANES {
                    let (r, d) = self.distance(line, from + lane);
                    distances[lane] = r;
                    for (to, d) in directions.iter_mut().zip(d) {
                        to[lane] = if r > 0.0 { d / r } else { 0.0 };
                    }
                }
                self.harmonics(directions, &mut tile);
                for (lane, row) in rows.chunks_exact_mut(terms).enumerate() {
                    row.iter_mut().zip(&tile).for_each(|(to, v)| *to = v[lane]);
                }
                for (lane, row) in rows.chunks_exact(terms).enumerate().take(run - from) {
                    visit(line * run + from + lane, self.near(distances[lane]), row);
                }
            }
        }
    }
    /// The value in a cell; `mix` has room for all harmonics.
    #[inline(always)]
    fn value(&self, coefficients: &[f64], (k, near): &Near, row: &[f64], mix: &mut [f64]) -> f64 {
        mix.fill(0.0);
        for (q, b) in near.iter().enumerate() {
            let own = &coefficients[self.first[k + q]..self.first[k + q + 1]];
            mix.iter_mut().zip(own).for_each(|(m, c)| *m += b * c);
        }
        let mut sums = [0.0; LANES];
        let (a, b) = (mix.chunks_exact(LANES), row.chunks_exact(LANES));
        let rest = a.remainder().iter().zip(b.remainder());
        for (a, b) in a.zip(b) {
            for i in 0..LANES {
                sums[i] += a[i] * b[i];
            }
        }
        sums.iter_mut().zip(rest).for_each(|(s, (a, b))| *s += a * b);
        sums.iter().fold(0.0, |s, v| s + v)
    }
    /// Fills `out`, the box in C order, with the values of `coefficients`; of the lines in every so many only.
    pub fn expand(&self, coefficients: &[f64], every: usize, out: &mut [f64]) {
        widest(Expand { shells: self, coefficients, every, out });
    }
    /// Whether line `line` is among about one in so many; the same lines always.
    #[inline(always)]
    pub fn is_among(line: usize, every: usize) -> bool {
        every <= 1 || ((line as u32).wrapping_mul(0x9E37_79B1) as usize) < (u32::MAX as usize) / every
    }
    /// One in how many lines suffices to fit coefficients.
    pub fn every(&self) -> usize {
        (self.lines().saturating_mul(self.extents[2]) / FITTED).min(self.lines() / 64).max(1)
    }
    /// The coefficients that come closest to `x`, the box in C order, in the sum of squares; not closer than a root mean square error of
    /// `enough`. Errors: `LimitExceeded`.
    pub fn fit(&self, x: &[f64], enough: f64) -> Result<Vec<f64>> {
        let n = self.coefficients();
        let (mut c, mut image) = (zeros(n)?, zeros(n)?);
        let every = self.every();
        let mut gradient = zeros(n)?;
        let mut left = 0.0;
        let mut cells = 0usize;
        for (line, row) in x.chunks_exact(self.extents[2].max(1)).enumerate() {
            if Shells::is_among(line, every) {
                left += square(row);
                cells += row.len();
            }
        }
        widest(Transposed { shells: self, from: Ok(x), every, sums: &mut gradient });
        let mut direction = gradient.clone();
        let mut slope = square(&gradient);
        for _ in 0..MAX_STEPS {
            image.fill(0.0);
            widest(Transposed { shells: self, from: Err(&direction), every, sums: &mut image });
            let curvature: f64 = direction.iter().zip(&image).map(|(a, b)| a * b).sum();
            let length = slope / curvature;
            if curvature <= 0.0 || !length.is_finite() {
                break;
            }
            c.iter_mut().zip(&direction).for_each(|(c, d)| *c += length * d);
            gradient.iter_mut().zip(&image).for_each(|(g, i)| *g -= length * i);
            let gain = length * slope;
            left -= gain;
            if left <= enough * enough * cells as f64 || gain < PAYS * left {
                break;
            }
            let before = slope;
            slope = square(&gradient);
            direction.iter_mut().zip(&gradient).for_each(|(d, g)| *d = g + slope / before * *d);
        }
        Ok(c)
    }
}

fn square(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum()
}

struct Expand<'a> {
    shells: &'a Shells,
    coefficients: &'a [f64],
    every: usize,
    out: &'a mut [f64],
}

impl Work for Expand<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Expand { shells, coefficients, every, out } = self;
        let mut mix = vec![0.0; (shells.degree + 1) * (shells.degree + 1)];
        shells.for_each_cell(
            |line| Shells::is_among(line, every),
            #[inline(always)]
            |at, near, row| {
                let value = shells.value(coefficients, &near, row, &mut mix);
                if let Some(o) = out.get_mut(at) {
                    *o = value;
                }
            },
        );
    }
}

/// Adds, for each coefficient, the sum over cells of what its function is there times a value.
struct Transposed<'a> {
    shells: &'a Shells,
    /// The values, or the coefficients that they belong to.
    from: std::result::Result<&'a [f64], &'a [f64]>,
    every: usize,
    sums: &'a mut [f64],
}

impl Work for Transposed<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Transposed { shells, from, every, sums } = self;
        let mut mix = vec![0.0; (shells.degree + 1) * (shells.degree + 1)];
        shells.for_each_cell(
            |line| Shells::is_among(line, every),
            #[inline(always)]
            |at, near, row| {
                let value = match from {
                    Ok(x) => x.get(at).copied().unwrap_or(0.0),
                    Err(coefficients) => shells.value(coefficients, &near, row, &mut mix),
                };
                let (k, b) = near;
                for (q, b) in b.iter().enumerate() {
                    let own = &mut sums[shells.first[k + q]..shells.first[k + q + 1]];
                    let f = b * value;
                    own.iter_mut().zip(row).for_each(|(s, y)| *s += f * y);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shells(extents: [usize; 3], degree: usize, splines: usize) -> Shells {
        let centre = extents.map(|n| 0.45 * n as f64);
        Shells::new(extents, centre, 0.25 * extents[2] as f64, degree, splines).unwrap()
    }

    /// Degrees 0 to 2 by their polynomials; squares of one degree sum to `2 l + 1` in every direction.
    #[test]
    fn harmonics_are_those_of_the_definition() {
        let s = shells([3, 3, 3], 12, 4);
        let mut out = vec![[0.0; LANES]; 169];
        for (x, y, z) in [(1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8), (2.0 / 7.0, 3.0 / 7.0, 6.0 / 7.0)] {
            s.harmonics([[x; LANES], [y; LANES], [z; LANES]], &mut out);
            let (r3, r15) = (3f64.sqrt(), 15f64.sqrt());
            let expected = [
                1.0,
                r3 * y,
                r3 * z,
                r3 * x,
                r15 * x * y,
                r15 * y * z,
                5f64.sqrt() * (1.5 * z * z - 0.5),
                r15 * x * z,
                r15 / 2.0 * (x * x - y * y),
            ];
            for (i, e) in expected.iter().enumerate() {
                assert!((out[i][3] - e).abs() < 1e-14, "{i}: {} {e}", out[i][3]);
            }
            for l in 0..=12usize {
                let sum: f64 = out[l * l..(l + 1) * (l + 1)].iter().map(|v| v[0] * v[0]).sum();
                assert!((sum - (2 * l + 1) as f64).abs() < 1e-11, "{l}: {sum}");
            }
        }
    }

    #[test]
    fn splines_sum_to_one_and_no_cell_is_left_out() {
        let mut s = shells([9, 12, 10], 4, 9);
        s.factors.fill(1.0);
        let mut last = 0;
        for line in 0..s.lines() {
            for i in 0..10 {
                let (k, b) = s.near(s.distance(line, i).0);
                assert!((b.iter().sum::<f64>() - 1.0).abs() < 1e-14 && b.iter().all(|b| *b >= 0.0));
                last = last.max(k);
            }
        }
        assert_eq!(last, 9 - NEAR);
    }

    /// What the functions span is found again, also from a part of the lines.
    #[test]
    fn coefficients_are_found_again() {
        for (extents, degree, splines) in [([17, 20, 18], 4, 8), ([1, 40, 37], 2, 6), ([70, 72, 90], 3, 7)] {
            let s = shells(extents, degree, splines);
            assert!(s.coefficients() <= extents.iter().product::<usize>() + splines);
            let c: Vec<f64> = (0..s.coefficients()).map(|i| libm::sin(i as f64 * 1.7)).collect();
            let mut x = vec![0.0; extents.iter().product()];
            s.expand(&c, 1, &mut x);
            let found = s.fit(&x, 0.0).unwrap();
            let mut y = vec![0.0; x.len()];
            s.expand(&found, 1, &mut y);
            let error: f64 = x.iter().zip(&y).map(|(a, b)| (a - b) * (a - b)).sum();
            assert!(error < 1e-4 * square(&x), "{extents:?}: {error} of {}", square(&x));
        }
        assert_eq!(shells([70, 72, 90], 3, 7).every(), 1);
        assert!(shells([64, 64, 512], 3, 7).every() == 8);
    }

    #[test]
    fn boxes_of_any_size_and_place() {
        for extents in [[0, 3, 4], [1, 1, 1], [1, 1, 7], [2, 1, 1]] {
            for (centre, scale) in [([0.0; 3], 1.0), ([1e30, -5.0, 0.1], 1e-30), ([f64::MAX; 3], f64::MAX)] {
                let s = Shells::new(extents, centre, scale, 8, 5).unwrap();
                let x = vec![2.0; extents.iter().product()];
                let c = s.fit(&x, 1e-9).unwrap();
                let mut y = vec![0.0; x.len()];
                s.expand(&c, 1, &mut y);
                assert!(scale != 1.0 || x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-6), "{extents:?} {y:?}");
            }
        }
        assert!(Shells::new([1; 3], [0.0; 3], 1.0, 65, 5).is_err());
        assert!(Shells::new([1; 3], [0.0; 3], 1.0, 5, 3).is_err());
        assert!(Shells::new([1; 3], [0.0; 3], 1.0, 5, 513).is_err());
    }
}
