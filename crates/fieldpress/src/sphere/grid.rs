//! Samplings of the sphere: rings of constant colatitude.
//!
//! Sources: J. D. McEwen, Y. Wiaux, "A novel sampling theorem on the sphere", 2011 (MW, MWSS); J. R. Driscoll, D. M. Healy, "Computing Fourier transforms and
//! convolutions on the 2-sphere", 1994; K. M. Gorski et al., "HEALPix: a framework for high-resolution discretization and fast analysis of data distributed on the
//! sphere", 2005, equations 4 to 9.

use std::f64::consts::PI;

use crate::error::{Error, Result};

/// A sampling, for a band-limit `L` where it depends on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Gauss-Legendre: `L` rings of `2L - 1` points.
    GaussLegendre,
    /// McEwen and Wiaux: `L` rings of `2L - 1` points, the last at the south pole.
    Mw,
    /// The same, symmetric: `L + 1` rings of `2L` points, both poles among them.
    Mwss,
    /// Driscoll and Healy: `2L` rings of `2L - 1` points.
    DriscollHealy,
    /// HEALPix in the order of rings, of this `nside`: `12 nside^2` points.
    Healpix(usize),
}

/// Points at one colatitude, evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ring {
    /// The colatitude.
    pub theta: f64,
    /// Its cosine.
    pub cos: f64,
    /// Its sine.
    pub sin: f64,
    /// The cosine of twice the colatitude.
    pub double: f64,
    /// How many points.
    pub points: usize,
    /// The longitude of the first.
    pub phi: f64,
    /// The weight of a point in the quadrature; together `4 pi`.
    pub weight: f64,
    /// The place of the first point in the map.
    pub first: usize,
}

/// The rings of a sampling, from north to south.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    sampling: Sampling,
    band: usize,
    rings: Vec<Ring>,
}

/// Largest band-limit and `nside`.
const MOST: usize = 8192;

impl Sampling {
    /// That of an array of `shape`, and its band-limit: `[L, 2L - 1]` is `mw` or, if asked for, `gl`; `[L + 1, 2L]` is `mwss`, `[2L, 2L - 1]` is `dh`; `[12 nside^2]` is `healpix`, with `2 nside`. Without
    /// a name the first of these that fits. Errors: `InvalidArgument` for other shapes and names.
    pub fn of(name: Option<&str>, shape: &[usize]) -> Result<(Sampling, usize)> {
        const NAMES: [&str; 5] = ["mw", "gl", "mwss", "dh", "healpix"];
        if let Some(n) = name.filter(|n| !NAMES.contains(n)) {
            return Err(Error::invalid(format!("expected a sampling ({}), found {n:?}", NAMES.join(" "))));
        }
        let fits = |name: &str| match (name, shape) {
            ("healpix", [points]) => {
                let nside = (points / 12).isqrt();
                (nside > 0 && nside * nside == points / 12 && points % 12 == 0)
                    .then_some((Sampling::Healpix(nside), 2 * nside))
            }
            (name, &[rings, points]) => {
                let band = points.div_ceil(2);
                match (name, points % 2) {
                    ("mw", 1) if rings == band => Some((Sampling::Mw, band)),
                    ("gl", 1) if rings == band => Some((Sampling::GaussLegendre, band)),
                    ("mwss", 0) if rings == band + 1 && band > 0 => Some((Sampling::Mwss, band)),
                    ("dh", 1) if rings == band.saturating_mul(2) => Some((Sampling::DriscollHealy, band)),
                    _ => None,
                }
            }
            _ => None,
        };
        let found = match name {
            Some(name) => fits(name),
            None => NAMES.into_iter().find_map(fits),
        };
        found.ok_or_else(|| {
            let shapes = "[L, 2L - 1] (mw, gl), [L + 1, 2L] (mwss), [2L, 2L - 1] (dh) or [12 nside^2] (healpix)";
            Error::invalid(format!("expected a map on the sphere, {shapes}, found the shape {shape:?}"))
        })
    }
    /// Its name, as [`Sampling::of`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Sampling::GaussLegendre => "gl",
            Sampling::Mw => "mw",
            Sampling::Mwss => "mwss",
            Sampling::DriscollHealy => "dh",
            Sampling::Healpix(_) => "healpix",
        }
    }
}

impl Grid {
    /// For maps with degrees below `band`. Errors: `InvalidArgument` for a band-limit or `nside` of 0; `LimitExceeded` beyond 8192.
    pub fn new(sampling: Sampling, band: usize) -> Result<Grid> {
        let nside = if let Sampling::Healpix(n) = sampling { n } else { 1 };
        if band == 0 || nside == 0 {
            return Err(Error::invalid("expected a band-limit and nside of at least 1, found 0"));
        }
        if band > MOST || nside > MOST {
            return Err(Error::limit(format!(
                "expected a band-limit and nside of at most {MOST}, found {band} and {nside}"
            )));
        }
        let n = band;
        let rings = match sampling {
            Sampling::GaussLegendre => gauss_legendre(n),
            Sampling::Mw => {
                let weights = extended_weights(2 * n - 1, 0.5);
                let theta = |t: usize| (2 * t + 1) as f64 * PI / (2 * n - 1) as f64;
                even(n, 2 * n - 1, theta, |t| weights[t] + if t < n - 1 { weights[2 * n - 2 - t] } else { 0.0 })
            }
            Sampling::Mwss => {
                let weights = extended_weights(2 * n, 0.0);
                let theta = |t: usize| t as f64 * PI / n as f64;
                even(n + 1, 2 * n, theta, |t| weights[t] + if t > 0 && t < n { weights[2 * n - t] } else { 0.0 })
            }
            Sampling::DriscollHealy => {
                let theta = |t: usize| (2 * t + 1) as f64 * PI / (4 * n) as f64;
                let weight = |t: usize| {
                    let sum =
                        (0..n).fold(0.0, |s, k| s + libm::sin((2 * k + 1) as f64 * theta(t)) / (2 * k + 1) as f64);
                    2.0 / n as f64 * libm::sin(theta(t)) * sum
                };
                even(2 * n, 2 * n - 1, theta, weight)
            }
            Sampling::Healpix(nside) => healpix(nside),
        };
        Ok(Grid { sampling, band, rings })
    }
    /// `2L + 1` rings from pole to pole with as many points each, exact for products of two functions with degrees below `L`. Analysis takes its weights as
    /// they are, as with Driscoll's and Healy's.
    pub(super) fn circle(band: usize, points: usize) -> Result<Grid> {
        if band == 0 || band > MOST {
            return Err(Error::limit(format!("expected a band-limit of at most {MOST}, found {band}")));
        }
        let n = 2 * band;
        let weights = extended_weights(2 * n, 0.0);
        let theta = |t: usize| t as f64 * PI / n as f64;
        let rings = even(n + 1, points, theta, |t| weights[t] + if t > 0 && t < n { weights[2 * n - t] } else { 0.0 });
        Ok(Grid { sampling: Sampling::DriscollHealy, band, rings })
    }
    /// The sampling.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }
    /// The band-limit: degrees are below.
    pub fn band(&self) -> usize {
        self.band
    }
    /// The rings.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }
    pub(super) fn rings_mut(&mut self) -> &mut [Ring] {
        &mut self.rings
    }
    /// Points of a map.
    pub fn len(&self) -> usize {
        self.rings.last().map_or(0, |r| r.first + r.points)
    }
    /// The extents of a map: rings and points on them, or on HEALPix all points.
    pub fn shape(&self) -> Vec<usize> {
        match self.sampling {
            Sampling::Healpix(_) => vec![self.len()],
            _ => vec![self.rings.len(), self.rings.first().map_or(0, |r| r.points)],
        }
    }
    /// Whether there are none; never.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }
}

/// Rings of as many points each, with weights such that those of the rings times `2 pi` are their part of `4 pi`.
fn even(rings: usize, points: usize, theta: impl Fn(usize) -> f64, weight: impl Fn(usize) -> f64) -> Vec<Ring> {
    (0..rings).map(|t| ring(theta(t), points, 0.0, weight(t) * 2.0 * PI / points as f64, t * points)).collect()
}

fn ring(theta: f64, points: usize, phi: f64, weight: f64, first: usize) -> Ring {
    let cos = if theta * 2.0 == PI { 0.0 } else { libm::cos(theta) };
    Ring { theta, cos, sin: libm::sin(theta), double: libm::cos(2.0 * theta), points, phi, weight, first }
}

/// For functions on the circle with `|m| < n / 2`, known at `2 pi (t + shift) / n`: the weights of the values in `integral from 0 to pi of f sin`.
fn extended_weights(n: usize, shift: f64) -> Vec<f64> {
    let most = (n - 1) / 2;
    // Of e^(i m theta) the integral is i pi / 2 for m = 1, 0 for other odd m, 2 / (1 - m^2) for even ones.
    (0..n)
        .map(|t| {
            let theta = 2.0 * PI * (t as f64 + shift) / n as f64;
            let odd = if most >= 1 { PI * libm::sin(theta) } else { 0.0 };
            let evens = (2..=most).step_by(2).fold(2.0, |s, m| {
                let m = m as f64;
                s + 4.0 / (1.0 - m * m) * libm::cos(m * theta)
            });
            (evens + odd) / n as f64
        })
        .collect()
}

/// The zeros of the Legendre polynomial of degree `n` by Newton's method, from the north; the last step in twice the digits.
fn gauss_legendre(n: usize) -> Vec<Ring> {
    let mut rings = Vec::with_capacity(n);
    for t in 0..n.div_ceil(2) {
        let points = 2 * n - 1;
        let mut theta = PI * (t as f64 + 0.75) / (n as f64 + 0.5);
        for _ in 0..3 {
            let [p, before] = Twice::legendre::<false>(n, Twice(libm::cos(theta), 0.0));
            theta -= p.0 * libm::sin(theta) / (n as f64 * (libm::cos(theta) * p.0 - before.0));
        }
        let mut x = Twice(if 2 * t + 1 == n { 0.0 } else { libm::cos(theta) }, 0.0);
        let [p, before] = Twice::legendre::<true>(n, x);
        // p' (1 - x^2) / n.
        let (up, square) = (before.0 - x.0 * p.0, (1.0 - x.0) * (1.0 + x.0));
        x = x.plus(-p.0 * square / (n as f64 * up));
        let (cos, sin) = (x.0, ((1.0 - x.0) * (1.0 + x.0) - 2.0 * x.0 * x.1).sqrt());
        let squared = x.times(x);
        let double = 2.0 * ((squared.0 - 0.5) + squared.1);
        let slope = n as f64 * up / sin;
        let weight = 2.0 / (slope * slope) * 2.0 * PI / points as f64;
        rings.push(Ring {
            theta: libm::atan2(sin, cos),
            cos,
            sin,
            double,
            points,
            phi: 0.0,
            weight,
            first: t * points,
        });
    }
    for t in (0..n / 2).rev() {
        let north = rings[t];
        let first = rings.len() * north.points;
        rings.push(Ring { theta: PI - north.theta, cos: -north.cos, first, ..north });
    }
    rings
}

/// A number of twice the digits: the sum of both.
#[derive(Clone, Copy)]
struct Twice(f64, f64);

impl Twice {
    fn times(self, v: Twice) -> Twice {
        let high = self.0 * v.0;
        Twice(high, self.0.mul_add(v.0, -high) + (self.0 * v.1 + self.1 * v.0))
    }
    fn plus(self, v: f64) -> Twice {
        let high = self.0 + v;
        Twice(high, (v - (high - self.0)) + self.1)
    }
    /// `p_n` and `p_(n-1)`, the Legendre polynomials; where `FULL` is false, with no more than the first part.
    fn legendre<const FULL: bool>(n: usize, x: Twice) -> [Twice; 2] {
        let (mut p, mut before) = (Twice(1.0, 0.0), Twice(0.0, 0.0));
        for l in 0..n {
            let (a, b, c) = ((2 * l + 1) as f64, l as f64, (l + 1) as f64);
            let next = if FULL {
                let (u, v) = (x.times(p).times(Twice(a, 0.0)), before.times(Twice(b, 0.0)));
                let high = u.0 - v.0;
                let back = high - u.0;
                let low = (u.0 - (high - back)) - (v.0 + back) + (u.1 - v.1);
                let first = high / c;
                let second = ((-first).mul_add(c, high) + low) / c;
                let all = first + second;
                Twice(all, second - (all - first))
            } else {
                Twice((a * x.0 * p.0 - b * before.0) / c, 0.0)
            };
            (before, p) = (p, next);
        }
        [p, before]
    }
}

fn healpix(nside: usize) -> Vec<Ring> {
    let n = nside as f64;
    let area = 4.0 * PI / (12.0 * n * n);
    let mut rings = Vec::with_capacity(4 * nside - 1);
    let mut first = 0;
    for i in 1..4 * nside {
        let north = i.min(4 * nside - i);
        let k = north as f64;
        let (points, phi, cos, sin) = if north < nside {
            let u = k * k / (3.0 * n * n);
            (4 * north, PI / (4.0 * k), 1.0 - u, (u * (2.0 - u)).sqrt())
        } else {
            let z = 4.0 / 3.0 - 2.0 * k / (3.0 * n);
            let phi = if (north - nside).is_multiple_of(2) { PI / (4.0 * n) } else { 0.0 };
            (4 * nside, phi, z, (1.0 - z * z).sqrt())
        };
        let cos = if i > 2 * nside { -cos } else { cos };
        let double = (2.0 * cos).mul_add(cos, -1.0);
        rings.push(Ring { theta: libm::atan2(sin, cos), cos, sin, double, points, phi, weight: area, first });
        first += points;
    }
    rings
}
