//! Gaussians relative to a frame, as integers; and the frame that gives what is decoded the moments that it should have.
//!
//! Source: G. Chen, L. Chacon, T. B. Nguyen, "An unsupervised machine-learning checkpoint-restart algorithm using Gaussian mixtures for
//! particle-in-cell simulations", 2021 (mixtures of distributions, with moments kept). What the integers mean says the codec `gmm`.

use super::gaussians::{moments, render, Gaussian, Moments};

/// Classes of codes.
pub const CLASSES: usize = 4;
/// Iterations after which the moments are what they are, and the error at which they are kept.
const MAX_ROUNDS: usize = 60;
const KEPT: f64 = 1e-8;

/// The product of two lower triangles.
fn times(a: &[f64; 6], b: &[f64; 6]) -> [f64; 6] {
    [
        a[0] * b[0],
        a[1] * b[0] + a[2] * b[1],
        a[2] * b[2],
        a[3] * b[0] + a[4] * b[1] + a[5] * b[3],
        a[4] * b[2] + a[5] * b[4],
        a[5] * b[5],
    ]
}
/// `a^-1 b` for two lower triangles.
fn over(a: &[f64; 6], b: &[f64; 6]) -> [f64; 6] {
    let x0 = b[0] / a[0];
    let x1 = (b[1] - a[1] * x0) / a[2];
    let x2 = b[2] / a[2];
    let x3 = (b[3] - a[3] * x0 - a[4] * x1) / a[5];
    [x0, x1, x2, x3, (b[4] - a[4] * x2) / a[5], b[5] / a[5]]
}
fn apply(a: &[f64; 6], v: [f64; 3]) -> [f64; 3] {
    [a[0] * v[0], a[1] * v[0] + a[2] * v[1], a[3] * v[0] + a[4] * v[1] + a[5] * v[2]]
}
fn solve(a: &[f64; 6], v: [f64; 3]) -> [f64; 3] {
    let x = v[0] / a[0];
    let y = (v[1] - a[1] * x) / a[2];
    [x, y, (v[2] - a[3] * x - a[4] * y) / a[5]]
}
fn plus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}
fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// What all Gaussians are relative to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// What the amplitudes of Gaussians are multiples of.
    pub amplitude: f64,
    /// The mean in cells.
    pub mean: [f64; 3],
    /// The lower triangular root of the covariance: `[00, 10, 11, 20, 21, 22]`.
    pub root: [f64; 6],
}

impl Frame {
    /// As the decoder will have it.
    pub fn rounded(self) -> Frame {
        let round = |v: f64| f64::from(v as f32);
        Frame { amplitude: self.amplitude, mean: self.mean.map(round), root: self.root.map(round) }
    }
    /// Mean and root.
    fn numbers(&self) -> [f64; 9] {
        std::array::from_fn(|i| if i < 3 { self.mean[i] } else { self.root[i - 3] })
    }
    /// Of mean and root.
    pub fn of(numbers: [f64; 9]) -> Frame {
        let [a, b, c, d, e, f, g, h, i] = numbers;
        Frame { amplitude: 1.0, mean: [a, b, c], root: [d, e, f, g, h, i] }
    }
    fn volume(&self) -> f64 {
        self.root[0] * self.root[2] * self.root[5]
    }
    /// Whether it is finite, not 0 and not flat.
    pub fn is_usable(&self) -> bool {
        let [a, _, b, _, _, c] = self.root;
        self.amplitude.is_finite()
            && self.amplitude != 0.0
            && self.mean.iter().chain(&self.root).all(|v| v.abs() < 1e9)
            && [a, b, c].iter().all(|v| *v > 1e-9)
    }
}

/// A Gaussian relative to the frame: its part of the mass, its mean and its root in whitened coordinates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relative {
    part: f64,
    mean: [f64; 3],
    root: [f64; 6],
}

impl Relative {
    /// The Gaussian in the cells of an array.
    pub fn in_frame(&self, f: &Frame) -> Gaussian {
        let [a, _, b, _, _, c] = self.root;
        Gaussian {
            amplitude: f.amplitude * self.part / (a * b * c),
            mean: plus(f.mean, apply(&f.root, self.mean)),
            root: times(&f.root, &self.root),
        }
    }
}

/// Codes of Gaussians, and what they stand for.
#[derive(Debug)]
pub struct Codes {
    /// Those of the masses, then nine for each Gaussian.
    pub codes: Vec<i32>,
    /// Their classes.
    pub classes: Vec<u8>,
    /// The Gaussians as they will be decoded.
    pub all: Vec<Relative>,
}

/// The classes of the nine codes of a Gaussian besides that of its mass: of its mean, of the diagonal of its root, of the rest.
pub const NINE: [u8; 9] = [1, 1, 1, 2, 2, 2, 3, 3, 3];

/// The parts of the mass that `codes` stand for, and the steps of the other parameters.
pub fn parts(codes: &[i32], precision: u8) -> Vec<(f64, f64)> {
    let precision = f64::from(precision);
    let mut sum = 0i64;
    let weights = codes.iter().map(|&c| {
        sum += i64::from(c);
        libm::exp(-(sum as f64) / precision)
    });
    let weights: Vec<f64> = weights.collect();
    let whole = weights.iter().fold(0.0, |s, w| s + w);
    let count = codes.len() as f64;
    let step = |part: f64| (1.0 / (count * part).sqrt()).clamp(0.5, 4.0) / precision;
    weights.iter().map(|w| (w / whole, step(w / whole))).collect()
}

/// Mean and root of nine codes.
pub fn relative(part: f64, step: f64, codes: &[i32; 9]) -> Relative {
    let [z0, z1, z2, a0, a1, a2, b10, b20, b21] = codes.map(|c| f64::from(c) * step);
    let (k0, k1, k2) = (libm::exp(a0), libm::exp(a1), libm::exp(a2));
    let root = [k0, b10 * k1, k1, b20 * k2, b21 * k2, k2];
    Relative { part, mean: apply(&root, [z0, z1, z2]), root }
}

impl Codes {
    /// `all` relative to `frame`.
    pub fn new(all: &[Gaussian], frame: &Frame, precision: u8) -> Codes {
        let mut all = all.to_vec();
        all.sort_by(|a, b| b.mass().total_cmp(&a.mass()));
        let first = all.first().map_or(1.0, Gaussian::mass);
        let mut before = 0;
        // Casts saturate.
        let masses = all.iter().map(|g| {
            let sum = libm::round(libm::log(first / g.mass()) * f64::from(precision)) as i32;
            let code = sum - before;
            before = sum;
            code
        });
        let mut codes: Vec<i32> = masses.collect();
        let mut classes = vec![0; codes.len()];
        let parts = parts(&codes, precision);
        let mut found = Vec::new();
        for (g, (part, step)) in all.iter().zip(parts) {
            let code = |v: f64| libm::round(v / step) as i32;
            let k = over(&frame.root, &g.root);
            let mut nine = [0, 0, 0, 0, 0, 0, 0, 0, 0];
            for (c, v) in nine.iter_mut().skip(3).zip([k[0], k[2], k[5]]) {
                *c = code(libm::log(v));
            }
            for (c, v) in nine.iter_mut().skip(6).zip([k[1] / k[2], k[3] / k[5], k[4] / k[5]]) {
                *c = code(v);
            }
            // The mean in units of the root that will be decoded.
            let root = relative(part, step, &nine).root;
            let z = solve(&root, solve(&frame.root, minus(g.mean, frame.mean)));
            nine.iter_mut().zip(z).for_each(|(c, z)| *c = code(z));
            found.push(relative(part, step, &nine));
            codes.extend(nine);
            classes.extend(NINE);
        }
        Codes { codes, classes, all: found }
    }
    /// Fills `out` with what will be decoded.
    pub fn values(&self, frame: &Frame, extents: [usize; 3], out: &mut [f64]) {
        let all: Vec<Gaussian> = self.all.iter().map(|r| r.in_frame(frame)).collect();
        render(&all, extents, out);
    }
}

/// The largest difference of two sets of moments: of the masses, of the means in widths, of the covariances in those of `a`.
pub fn difference(a: &Moments, b: &Moments) -> f64 {
    let [s0, _, s1, _, _, s2] = a.covariance;
    let spread = [s0, s1, s2].map(|v| v.max(f64::MIN_POSITIVE).sqrt());
    let pairs = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)];
    let covariance = |i: usize| {
        let (j, k) = pairs[i];
        let d = b.covariance[i] - a.covariance[i];
        if d == 0.0 {
            0.0
        } else {
            (d / (spread[j] * spread[k])).abs()
        }
    };
    let mean = |k: usize| if b.mean[k] == a.mean[k] { 0.0 } else { ((b.mean[k] - a.mean[k]) / spread[k]).abs() };
    let first = (b.mass / a.mass - 1.0).abs();
    let worst = |m: f64, v: f64| if v > m || v.is_nan() { v } else { m };
    (0..3).map(mean).chain((0..6).map(covariance)).fold(first, worst)
}

/// The frame in which sum, mean and covariance of the values are those of `target`, as far as there is one; `values` is overwritten.
///
/// Stretched by what makes the covariance found the one that is wanted, the frame is right but for what lies beyond the edges of the
/// array; again and again, with secants (D. G. Anderson, "Iterative procedures for nonlinear integral equations", 1965).
pub fn conserved(codes: &Codes, frame: Frame, target: &Moments, extents: [usize; 3], values: &mut [f64]) -> Frame {
    let Some(goal) = Gaussian::of(target, extents) else { return frame };
    let (mut best, mut least, mut next) = (frame, f64::INFINITY, frame);
    let mut before: Option<([f64; 9], [f64; 9])> = None;
    for round in 0..=MAX_ROUNDS {
        // The last time as the decoder will have it.
        let last = round == MAX_ROUNDS || least < KEPT;
        if last {
            next = best.rounded();
        }
        codes.values(&next, extents, values);
        let found = moments(values, extents);
        // Of the sum nothing is left once the amplitude follows.
        let exact = Frame { amplitude: next.amplitude * (target.mass / found.mass), ..next };
        if !exact.is_usable() {
            break;
        }
        if last {
            return exact;
        }
        let error = difference(target, &Moments { mass: target.mass, ..found });
        if error < least {
            (best, least) = (exact, error);
        }
        let Some(now) = Gaussian::of(&found, extents) else { break };
        let stretch = times(&goal.root, &over(&now.root, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]));
        let mean = plus(target.mean, apply(&stretch, minus(next.mean, found.mean)));
        let stretched = Frame { mean, root: times(&stretch, &next.root), ..exact }.numbers();
        let step: [f64; 9] = std::array::from_fn(|i| stretched[i] - next.numbers()[i]);
        let mut numbers = stretched;
        if let Some((stretched_before, step_before)) = before {
            let (mut with, mut square) = (0.0, 0.0);
            for (s, b) in step.iter().zip(&step_before) {
                with += s * (s - b);
                square += (s - b) * (s - b);
            }
            let part = if square > 0.0 { (with / square).clamp(-5.0, 0.5) } else { 0.0 };
            numbers.iter_mut().zip(stretched_before).for_each(|(n, b)| *n -= part * (*n - b));
        }
        before = Some((stretched, step));
        let amplitude = exact.amplitude * next.volume();
        next = Frame::of(numbers);
        next.amplitude = amplitude / next.volume();
        if !next.is_usable() {
            break;
        }
    }
    best.rounded()
}
