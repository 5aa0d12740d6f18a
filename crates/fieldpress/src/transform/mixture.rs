//! Mixtures of Gaussians fitted to the values of cells.
//!
//! Sources: A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", 1977 (each cell
//! counts as often as its value says); D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", 2007; D. W.
//! Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", 1963. In the whitened coordinates `w` of a Gaussian the
//! derivatives by its parameters are its values times `1`, `w_i` and `w_i w_j`: along a row of cells polynomials in the last `w` alone.

use std::ops::Range;

use super::gaussians::{exp, moments, render, Gaussian, Moments, Row, Sums};
use crate::bits::{widest, Work};
use crate::error::Result;
use crate::linalg::solve_definite;
use crate::transform::product::zeros;

/// Where exponents are below minus these a Gaussian counts as 0: for expectations, and for squares.
const REACH: f64 = 24.0;
const REACH_OF_SQUARES: f64 = 10.0;
/// Values handled side by side.
const LANES: usize = 8;
/// Cells that are looked at; of larger arrays sums over several.
const MAX_CELLS: usize = 1 << 17;
/// Extents above this are halved while there is nothing but a first guess.
const FINE: usize = 20;
/// First guesses, and the iterations and steps of least squares that tell which is the best.
const STARTS: usize = 4;
const FIRST_ROUNDS: usize = 25;
const FIRST_STEPS: usize = 12;
/// Further ones on half the cells along each axis, and on all.
const COARSE_ROUNDS: usize = 100;
const FINE_ROUNDS: usize = 20;
const COARSE_STEPS: usize = 30;
const FINE_STEPS: usize = 10;
/// What a relative error of the moments counts for, squared, against that of the values.
const STIFF: f64 = 100.0;
/// Smallest part of all mass that a Gaussian may have.
const LEAST_PART: f64 = 1e-7;
/// Least width of a Gaussian in cells, in least squares.
const LEAST_WIDTH: f64 = 0.3;

/// An array of three axes, the part of it that is not negative, and how many cells of the whole one of its cells stands for.
struct Cells {
    values: Vec<f64>,
    extents: [usize; 3],
    factors: [usize; 3],
}

impl Cells {
    /// Means over `factors` cells; those at the end may be over fewer. Errors: `LimitExceeded`.
    fn new(x: &[f64], from: [usize; 3], factors: [usize; 3]) -> Result<Cells> {
        let extents: [usize; 3] = std::array::from_fn(|k| from[k].div_ceil(factors[k]));
        let [_, ny, nx] = extents;
        let mut values = zeros(extents.iter().product())?;
        for (i, row) in x.chunks_exact(from[2].max(1)).enumerate() {
            let (z, y) = (i / from[1] / factors[0], i % from[1] / factors[1]);
            let sums = &mut values[(z * ny + y) * nx..][..nx];
            for (s, part) in sums.iter_mut().zip(row.chunks(factors[2])) {
                *s += part.iter().sum::<f64>();
            }
        }
        let whole = factors.iter().product::<usize>() as f64;
        values.iter_mut().for_each(|v| *v /= whole);
        Ok(Cells { values, extents, factors })
    }
    fn positive(&self) -> Cells {
        Cells { values: self.values.iter().map(|v| v.max(0.0)).collect(), ..*self }
    }
    /// Where a Gaussian on the whole array is on this one.
    fn to_part(&self, g: &Gaussian) -> Gaussian {
        let f = self.factors.map(|f| f as f64);
        let mean = std::array::from_fn(|k| (g.mean[k] + 0.5) / f[k] - 0.5);
        Gaussian { mean, root: scaled(&g.root, f.map(|f| 1.0 / f)), ..*g }
    }
    fn to_whole(&self, g: &Gaussian) -> Gaussian {
        let f = self.factors.map(|f| f as f64);
        let mean = std::array::from_fn(|k| (g.mean[k] + 0.5) * f[k] - 0.5);
        Gaussian { mean, root: scaled(&g.root, f), ..*g }
    }
}

/// A root with each of its rows scaled.
fn scaled(root: &[f64; 6], by: [f64; 3]) -> [f64; 6] {
    const ROW: [usize; 6] = [0, 1, 1, 2, 2, 2];
    std::array::from_fn(|i| root[i] * by[ROW[i]])
}

/// What Gaussians are fitted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The greatest likelihood of values as numbers of particles; what is negative counts as 0.
    Likelihood,
    /// The least sum of squares of what is left, from there.
    Squares,
    /// The same, with sum, mean and covariance close to those of the array.
    Conserving,
}

/// At most `count` Gaussians fitted to `x`, an array of `extents` whose largest magnitude is about 1; none where nothing is positive. The
/// first guesses come from `seed`. Errors: `LimitExceeded`.
pub fn fit(x: &[f64], extents: [usize; 3], count: usize, seed: u64, goal: Goal) -> Result<Vec<Gaussian>> {
    let mut factors = [1; 3];
    while (0..3).map(|k| extents[k].div_ceil(factors[k])).product::<usize>() > MAX_CELLS {
        let longest = (0..3).max_by_key(|&k| extents[k].div_ceil(factors[k])).unwrap_or(0);
        factors[longest] *= 2;
    }
    let cells = Cells::new(x, extents, factors)?;
    let coarse: [usize; 3] = std::array::from_fn(|k| if cells.extents[k] > FINE { 2 * factors[k] } else { factors[k] });
    let coarse = Cells::new(x, extents, coarse)?;
    let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
    let stiff = match goal {
        Goal::Likelihood => None,
        Goal::Squares => Some(0.0),
        Goal::Conserving => Some(STIFF),
    };
    let mut best: Option<(f64, Vec<Gaussian>)> = None;
    for _ in 0..if count > 1 { STARTS } else { 1 } {
        let Some(mut all) = guess(&coarse.positive(), count, &mut random) else { return Ok(Vec::new()) };
        all = maximised(&coarse.positive(), all, FIRST_ROUNDS);
        let cost = match stiff {
            Some(stiff) => least_squares(&coarse, &mut all, stiff, FIRST_STEPS),
            None => -likelihood(&coarse, &all),
        };
        if best.as_ref().is_none_or(|b| cost < b.0) {
            best = Some((cost, all));
        }
    }
    let mut all = best.map(|b| b.1).unwrap_or_default();
    match stiff {
        Some(stiff) => {
            least_squares(&coarse, &mut all, stiff, COARSE_STEPS);
            all = all.iter().map(|g| cells.to_part(&coarse.to_whole(g))).collect();
            least_squares(&cells, &mut all, stiff, FINE_STEPS);
        }
        None => {
            all = maximised(&coarse.positive(), all, if count > 1 { COARSE_ROUNDS } else { 0 });
            all = all.iter().map(|g| cells.to_part(&coarse.to_whole(g))).collect();
            all = maximised(&cells.positive(), all, FINE_ROUNDS);
        }
    }
    Ok(all.iter().map(|g| cells.to_whole(g)).collect())
}

/// The generator of G. Marsaglia, "Xorshift RNGs", 2003.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Gaussians of equal mass about cells far from each other. `None` where nothing is positive.
fn guess(cells: &Cells, count: usize, random: &mut Random) -> Option<Vec<Gaussian>> {
    let [_, ny, nx] = cells.extents;
    let whole = moments(&cells.values, cells.extents);
    let about = Gaussian::of(&whole, cells.extents)?;
    let shrink = 1.0 / libm::cbrt(count as f64);
    let variance = [0, 2, 5].map(|i| whole.covariance[i].max(f64::MIN_POSITIVE));
    let mut far = vec![1.0; cells.values.len()];
    let mut all = Vec::new();
    for j in 0..count {
        let weights = || cells.values.iter().zip(&far).map(|(v, d)| v * d);
        let mut left = random.next() * weights().sum::<f64>();
        let at = weights().position(|w| {
            left -= w;
            left < 0.0
        });
        let i = at.unwrap_or(0);
        let place = [(i / ny.max(1) / nx.max(1)) as f64, (i / nx.max(1) % ny.max(1)) as f64, (i % nx.max(1)) as f64];
        let mean = if count == 1 { whole.mean } else { place };
        let root = about.root.map(|r| r * shrink);
        all.push(Gaussian { amplitude: about.amplitude, mean, root });
        for (i, d) in far.iter_mut().enumerate() {
            let p = [(i / ny / nx) as f64, (i / nx % ny) as f64, (i % nx) as f64];
            let square = (0..3).fold(0.0, |s, k| s + (p[k] - mean[k]) * (p[k] - mean[k]) / variance[k]);
            *d = if j == 0 { square } else { square.min(*d) };
        }
    }
    Some(all)
}

/// Gaussians with the moments of what the cells owe to each of those before, so many times.
fn maximised(cells: &Cells, mut all: Vec<Gaussian>, rounds: usize) -> Vec<Gaussian> {
    for _ in 0..rounds {
        let found = widest(Expectation { cells, all: &all });
        let least = LEAST_PART * found.iter().map(|m| m.mass).filter(|m| m.is_finite()).sum::<f64>();
        all = found.iter().filter(|m| m.mass > least).filter_map(|m| Gaussian::of(m, cells.extents)).collect();
    }
    all
}

/// The mean logarithm of the mixture, over the values.
fn likelihood(cells: &Cells, all: &[Gaussian]) -> f64 {
    let mut y = vec![0.0; cells.values.len()];
    render(all, cells.extents, &mut y);
    let terms = cells.values.iter().zip(&y).filter(|(f, _)| **f > 0.0);
    terms.map(|(f, y)| f * libm::log(y.max(f64::MIN_POSITIVE))).sum::<f64>()
}

struct Expectation<'a> {
    cells: &'a Cells,
    all: &'a [Gaussian],
}

/// The positions of a row, to whole lanes.
fn positions(n: usize) -> Vec<f64> {
    (0..n.next_multiple_of(LANES)).map(|i| i as f64).collect()
}

/// A range, to whole lanes.
fn widened(r: Range<usize>) -> Range<usize> {
    r.start / LANES * LANES..r.end.next_multiple_of(LANES)
}

impl Work for Expectation<'_> {
    type Output = Vec<Moments>;
    #[inline(always)]
    fn run(self) -> Vec<Moments> {
        let [_, ny, nx] = self.cells.extents;
        let x = positions(nx);
        let mut sums = vec![Sums::default(); self.all.len()];
        let mut parts = vec![0.0; x.len() * self.all.len()];
        let mut ranges = vec![0..0; self.all.len()];
        let mut total = vec![0.0; x.len()];
        for (i, f) in self.cells.values.chunks_exact(nx.max(1)).enumerate() {
            if f.iter().all(|f| *f == 0.0) {
                continue;
            }
            let (z, y) = ((i / ny) as f64, (i % ny) as f64);
            total.fill(0.0);
            for ((g, part), at) in self.all.iter().zip(parts.chunks_exact_mut(x.len())).zip(&mut ranges) {
                let row = g.row(z, y);
                let range = widened(g.range(row, nx, REACH));
                g.along(row, &x[range.clone()], &mut part[range.clone()], |_, v| v);
                total[range.clone()].iter_mut().zip(&part[range.clone()]).for_each(|(t, p)| *t += p);
                *at = range;
            }
            for (t, f) in total.iter_mut().zip(f) {
                *t = if *t > 0.0 { f / *t } else { 0.0 };
            }
            total[nx..].fill(0.0);
            for (((g, part), at), sums) in self.all.iter().zip(parts.chunks_exact(x.len())).zip(&ranges).zip(&mut sums)
            {
                let mut s = [[0.0; LANES]; 3];
                let (part, total, x) = (&part[at.clone()], &total[at.clone()], &x[at.clone()]);
                for ((p, t), x) in part.chunks_exact(LANES).zip(total.chunks_exact(LANES)).zip(x.chunks_exact(LANES)) {
                    for l in 0..LANES {
                        let f = p[l] * t[l];
                        let d = x[l] - g.mean[2];
                        s[0][l] += f;
                        s[1][l] += f * d;
                        s[2][l] += f * d * d;
                    }
                }
                sums.add(z - g.mean[0], y - g.mean[1], s.map(|s| s.iter().sum()));
            }
        }
        sums.iter().zip(self.all).map(|(s, g)| s.moments(g.mean)).collect()
    }
}

/// Parameters of a Gaussian: the logarithm of the amplitude; the mean, in whitened coordinates; the lower triangle `P` of `L (1 + P)`.
const PARAMETERS: usize = 10;
/// The powers of the last whitened coordinate in the derivatives by these.
const POWERS: [usize; PARAMETERS] = [0, 0, 0, 1, 0, 0, 0, 1, 1, 2];

/// The other factors of these derivatives along a row.
fn factors(row: &Row) -> [f64; PARAMETERS] {
    let [a, b] = row.across;
    [1.0, a, b, 1.0, a * a, b * a, b * b, a, b, 1.0]
}

/// The Gaussian with its parameters changed.
fn moved(g: &Gaussian, by: &[f64]) -> Option<Gaussian> {
    let &[amplitude, m0, m1, m2, p00, p10, p11, p20, p21, p22] = by else { return None };
    let [a, b, c, d, e, f] = g.root;
    let mean = [g.mean[0] + a * m0, g.mean[1] + b * m0 + c * m1, g.mean[2] + d * m0 + e * m1 + f * m2];
    let (p, q, r) = (libm::exp(p00), libm::exp(p11), libm::exp(p22));
    let root = [a * p, b * p + c * p10, c * q, d * p + e * p10 + f * p20, e * q + f * p21, f * r];
    let amplitude = g.amplitude * libm::exp(amplitude);
    let usable = [root[0], root[2], root[5]].iter().all(|r| *r > LEAST_WIDTH)
        && root.iter().chain(&mean).all(|v| v.abs() < 1e6)
        && (1e-12..1e6).contains(&amplitude);
    usable.then_some(Gaussian { amplitude, mean, root })
}

/// The sums of a step of least squares: of what is left, squared, and of products of derivatives with each other, the lower triangle, and
/// with what is left.
struct Normal {
    rest: f64,
    matrix: Vec<f64>,
    gradient: Vec<f64>,
}

impl Normal {
    /// The step with this damping.
    fn solved(&self, damping: f64) -> Vec<f64> {
        let n = self.gradient.len();
        let mut matrix = self.matrix.clone();
        let largest = matrix.iter().step_by(n + 1).fold(0.0, |m: f64, d| m.max(*d));
        matrix.iter_mut().step_by(n + 1).for_each(|d| *d += damping * d.max(1e-6 * largest));
        let mut by = self.gradient.clone();
        solve_definite(&matrix, &mut by, n);
        by
    }
}

/// Moves the Gaussians by so many steps of least squares, and tells what is left.
fn least_squares(cells: &Cells, all: &mut Vec<Gaussian>, stiff: f64, steps: usize) -> f64 {
    let whole = moments(&cells.values, cells.extents);
    let square = dot_all(&cells.values);
    let about = Gaussian::of(&whole, cells.extents).filter(|_| stiff > 0.0);
    let about = about.map(|g| (g, stiff * square / (whole.mass * whole.mass)));
    let mut sums = widest(Derivatives { cells, all, about });
    let (mut damping, mut up) = (0.01, 2.0);
    for _ in 0..steps {
        let by = sums.solved(damping);
        let next = all.iter().zip(by.chunks_exact(PARAMETERS)).map(|(g, by)| moved(g, by));
        let next = next.collect::<Option<Vec<_>>>();
        let found = next.map(|next| (widest(Derivatives { cells, all: &next, about }), next));
        match found {
            Some((found, next)) if found.rest < sums.rest => {
                (sums, *all) = (found, next);
                damping *= 0.3;
                up = 2.0;
            }
            _ => {
                damping *= up;
                up *= 2.0;
            }
        }
    }
    sums.rest
}

fn dot_all(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |s, v| s + v * v)
}

struct Derivatives<'a> {
    cells: &'a Cells,
    all: &'a [Gaussian],
    /// The coordinates in which moments of what is left count as well, and what the squares of these count for.
    about: Option<(Gaussian, f64)>,
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut s = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for l in 0..LANES {
            s[l] += a[l] * b[l];
        }
    }
    s.iter().sum()
}

/// A Gaussian that reaches a row: which one, and where; the factors of its derivatives, its centre and the inverse of its width.
struct Reached {
    which: usize,
    range: Range<usize>,
    factors: [f64; PARAMETERS],
    centre: f64,
    scale: f64,
}

/// Powers of the last whitened coordinate, times values, that are kept.
const KEPT: usize = 5;

/// The sums over the row of products with powers 0 to 2 of the last coordinates of two Gaussians, from those with powers 0 to 4 of the
/// first one's, of which the second one's is `a` times as large, and `b` more.
#[inline(always)]
fn sums_of(m: [f64; KEPT], a: f64, b: f64) -> [[f64; 3]; 3] {
    std::array::from_fn(|p| [m[p], a * m[p + 1] + b * m[p], a * (a * m[p + 2] + 2.0 * b * m[p + 1]) + b * b * m[p]])
}

/// `to[a][b] += f * c[a] * d[b] * s[a][b]`, with the sums of the powers of both.
#[inline(always)]
fn add_block<'a>(
    to: impl Iterator<Item = &'a mut [f64]>,
    c: &[f64; PARAMETERS],
    d: &[f64; PARAMETERS],
    s: &[[f64; 3]; 3],
) {
    let with: [[f64; PARAMETERS]; 3] = std::array::from_fn(|p| std::array::from_fn(|b| d[b] * s[p][POWERS[b]]));
    for (a, row) in to.take(PARAMETERS).enumerate() {
        let with = &with[POWERS[a]];
        for (t, w) in row.iter_mut().zip(with) {
            *t += c[a] * w;
        }
    }
}

impl Work for Derivatives<'_> {
    type Output = Normal;
    #[inline(always)]
    fn run(self) -> Normal {
        let [_, ny, nx] = self.cells.extents;
        let n = PARAMETERS * self.all.len();
        let x = positions(nx);
        let mut out = Normal { rest: 0.0, matrix: vec![0.0; n * n], gradient: vec![0.0; n] };
        let mut parts = vec![[(); KEPT].map(|()| vec![0.0; x.len()]); self.all.len()];
        let mut reached: Vec<Reached> = Vec::new();
        let mut left = vec![0.0; x.len()];
        // Moments of what is left, and of the derivatives by each parameter.
        let (mut off, mut moments) = ([0.0; PARAMETERS], vec![0.0; PARAMETERS * n]);
        let mut powers = [(); 3].map(|()| vec![1.0; x.len()]);
        for (i, f) in self.cells.values.chunks_exact(nx.max(1)).enumerate() {
            let (z, y) = ((i / ny) as f64, (i % ny) as f64);
            left[..nx].copy_from_slice(f);
            reached.clear();
            for (which, (g, kept)) in self.all.iter().zip(&mut parts).enumerate() {
                let row = g.row(z, y);
                let range = g.range(row, nx, REACH_OF_SQUARES);
                if range.is_empty() {
                    continue;
                }
                let range = widened(range);
                let scale = 1.0 / g.root[5];
                let [v, v1, v2, v3, v4] = kept.each_mut().map(|v| &mut v[range.clone()]);
                for (k, (x, left)) in x[range.clone()].iter().zip(&mut left[range.clone()]).enumerate() {
                    let t = (x - row.centre) * scale;
                    let value = g.amplitude * exp((-row.rest - 0.5 * t * t).max(-700.0));
                    *left -= value;
                    v[k] = value;
                    v1[k] = value * t;
                    v2[k] = v1[k] * t;
                    v3[k] = v2[k] * t;
                    v4[k] = v3[k] * t;
                }
                kept.iter_mut().for_each(|v| v[nx..].fill(0.0));
                reached.push(Reached { which, range, factors: factors(&row), centre: row.centre, scale });
            }
            left[nx..].fill(0.0);
            out.rest += dot(&left, &left);
            let about = self.about.map(|(g, _)| (g.row(z, y), 1.0 / g.root[5]));
            if let Some((row, scale)) = &about {
                for (k, x) in x.iter().enumerate() {
                    powers[1][k] = (x - row.centre) * scale;
                    powers[2][k] = powers[1][k] * powers[1][k];
                }
                let s: [f64; 3] = std::array::from_fn(|q| dot(&powers[q], &left));
                off.iter_mut().zip(factors(row)).zip(POWERS).for_each(|((o, m), q)| *o += m * s[q]);
            }
            for (count, r) in reached.iter().enumerate() {
                let kept = parts[r.which].each_ref().map(|v| &v[r.range.clone()]);
                let s: [f64; 3] = std::array::from_fn(|p| dot(kept[p], &left[r.range.clone()]));
                let gradient = out.gradient[PARAMETERS * r.which..].iter_mut();
                gradient.zip(r.factors).zip(POWERS).for_each(|((g, c), p)| *g += c * s[p]);
                if let Some((row, scale)) = &about {
                    let sums = kept.map(|v| dot(v, &powers[0]));
                    let s = sums_of(sums, scale / r.scale, (r.centre - row.centre) * scale);
                    let to = moments[PARAMETERS * r.which * PARAMETERS..].chunks_exact_mut(PARAMETERS);
                    add_block(to, &r.factors, &factors(row), &s);
                }
                for l in &reached[..=count] {
                    let both = r.range.start.max(l.range.start)..r.range.end.min(l.range.end);
                    if both.is_empty() {
                        continue;
                    }
                    let with = &parts[l.which][0][both.clone()];
                    let sums = parts[r.which].each_ref().map(|v| dot(&v[both.clone()], with));
                    let s = sums_of(sums, l.scale / r.scale, (r.centre - l.centre) * l.scale);
                    let to = out.matrix[PARAMETERS * r.which * n..].chunks_exact_mut(n);
                    let to = to.map(|row| &mut row[PARAMETERS * l.which..][..PARAMETERS]);
                    add_block(to, &r.factors, &l.factors, &s);
                }
            }
        }
        if let Some((_, weight)) = self.about {
            out.rest += weight * off.iter().map(|o| o * o).sum::<f64>();
            // One row for each parameter.
            for (i, a) in moments.chunks_exact(PARAMETERS).enumerate() {
                let product = |b: &[f64]| weight * a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                out.gradient[i] += product(&off);
                let rows = moments.chunks_exact(PARAMETERS);
                out.matrix[i * n..=i * n + i].iter_mut().zip(rows).for_each(|(m, b)| *m += product(b));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(extents: [usize; 3]) -> Cells {
        let n: usize = extents.iter().product();
        let values = (0..n).map(|i| 0.3 + libm::sin(i as f64) * 0.2).collect();
        Cells { values, extents, factors: [1; 3] }
    }
    const TWO: [Gaussian; 2] = [
        Gaussian { amplitude: 0.8, mean: [3.1, 4.2, 6.3], root: [1.4, 0.3, 1.7, -0.2, 0.5, 2.2] },
        Gaussian { amplitude: 0.5, mean: [4.4, 3.0, 4.1], root: [1.1, -0.4, 1.3, 0.6, 0.1, 1.9] },
    ];

    /// What is left changes with each parameter as the gradient says, and the gradient of a linear change as the matrix says.
    #[test]
    fn derivatives_are_differences() {
        let mut cells = cells([8, 9, 13]);
        let other = Gaussian { amplitude: 0.7, mean: [3.6, 3.8, 5.0], root: [1.5, 0.0, 1.2, 0.3, 0.0, 2.0] };
        render(&[TWO[0], other], cells.extents, &mut cells.values);
        let whole = Gaussian::of(&moments(&cells.values, cells.extents), cells.extents).unwrap();
        for about in [None, Some((whole, 1e-3))] {
            let at = |all: &[Gaussian]| widest(Derivatives { cells: &cells, all, about });
            let sums = at(&TWO);
            let change = |p: usize, by: f64| {
                let mut d = [0.0; 2 * PARAMETERS];
                d[p] = by;
                at(&[moved(&TWO[0], &d[..PARAMETERS]).unwrap(), moved(&TWO[1], &d[PARAMETERS..]).unwrap()])
            };
            for p in 0..2 * PARAMETERS {
                // Steps far above what the edges of reach make of it.
                let slope = (change(p, 3e-3).rest - change(p, -3e-3).rest) / 6e-3;
                let expected = -2.0 * sums.gradient[p];
                assert!((slope - expected).abs() < 2e-2 * expected.abs().max(1.0), "{p}: {slope} {expected}");
            }
            // The amplitude is linear: the second derivative is twice the diagonal of the matrix, and what is left in first order.
            let n = 2 * PARAMETERS;
            assert!(sums.matrix[n * PARAMETERS + PARAMETERS] > 0.0);
            for i in 0..n {
                for j in 0..i {
                    let (d, e) = (sums.matrix[i * n + i], sums.matrix[j * n + j]);
                    assert!(sums.matrix[i * n + j].abs() <= 1.0000001 * (d * e).sqrt(), "{i} {j}");
                }
            }
        }
    }

    /// An iteration never makes the likelihood smaller, and keeps the mass.
    #[test]
    fn likelihood_grows() {
        let mut cells = cells([8, 9, 13]);
        render(&TWO, cells.extents, &mut cells.values);
        let mut all = guess(&cells, 2, &mut Random(7)).unwrap();
        let mut before = f64::NEG_INFINITY;
        for round in 0..30 {
            all = maximised(&cells, all, 1);
            let now = likelihood(&cells, &all);
            // But for what is added to variances.
            assert!(now > before - 1e-2 * now.abs(), "{round}: {before} {now}");
            before = now;
        }
        let mass = all.iter().map(Gaussian::mass).sum::<f64>();
        assert!((mass / cells.values.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_mixture_on_few_of_many_cells_is_found_where_it_is() {
        let extents = [90, 80, 100];
        let mut x = vec![0.0; 720_000];
        let g = Gaussian { amplitude: 1.0, mean: [41.3, 52.8, 47.1], root: [9.0, 2.0, 8.0, -3.0, 1.0, 11.0] };
        render(&[g], extents, &mut x);
        for goal in [Goal::Likelihood, Goal::Squares, Goal::Conserving] {
            let found = fit(&x, extents, 1, 0, goal).unwrap();
            let [f] = found[..] else { panic!("{found:?}") };
            assert!((0..3).all(|k| (f.mean[k] - g.mean[k]).abs() < 0.02), "{goal:?} {f:?}");
            assert!((0..6).all(|k| (f.root[k] - g.root[k]).abs() < 0.1), "{goal:?} {f:?}");
        }
        assert!(fit(&[0.0; 8], [2; 3], 3, 0, Goal::Squares).unwrap().is_empty());
    }
}
