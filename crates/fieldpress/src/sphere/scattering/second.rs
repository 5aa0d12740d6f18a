//! The second layer: fields of moduli at a smaller scale, and their products with each other and with fields of the map, summed over the sphere.
//!
//! Products of two fields are polynomials that the grid integrates exactly, so that by Parseval's theorem sums over the points of a ring are sums over its orders: fields are never
//! made. For each order the phases of all fields on all rings form a matrix, and its product with its own transpose is added up.

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::super::legendre::{Down, Orders, Sums, Up, ZERO};
use super::super::recursion::{Lanes, LANES};
use super::super::rings::signs;
use super::super::Harmonics;
use super::plan::Scale;
use super::{Coefficients, Scattering};
use crate::bits::{widest, Work};
use crate::error::Result;

type C = Complex<f64>;

/// Parts the orders are dealt into, each added up by itself.
pub(super) const PARTS: usize = 8;

/// Rows and columns of a product that are in work together.
const TILE: usize = 4;

/// Real and imaginary part of the phases of a real field: of the north, of the south, for each group.
type Phases = Vec<Lanes>;

/// For an order: the rows of all basis fields of all sources, source by source.
struct Matrix<'a> {
    plan: &'a Scattering,
    scale: &'a Scale,
    m: usize,
    /// From degree `m` on.
    sources: &'a [&'a [C]],
}

impl Work for Matrix<'_> {
    type Output = Vec<Phases>;
    #[inline(always)]
    fn run(self) -> Vec<Phases> {
        let Matrix { plan, scale, m, sources } = self;
        let count = scale.rings.len();
        let fields = plan.settings.directions;
        let mut rows = vec![vec![[0.0; LANES]; 4 * count]; sources.len() * fields];
        let mut place = 0;
        for (i, spin) in plan.spins.iter().enumerate() {
            let mut sums = Vec::new();
            for n in Scattering::signed(*spin) {
                let mut all = vec![ZERO; sources.len() * count];
                let orders = Orders { m, n, band: scale.band, weights: &scale.wavelets[i] };
                widest(Up { orders, places: &scale.rings.places, columns: sources, sums: &mut all });
                sums.push(all);
            }
            for s in 0..sources.len() {
                for g in 0..count {
                    let at = s * count + g;
                    let row = s * fields + place;
                    if *spin == 0 {
                        let [[er, ei], [or, oi]] = &sums[0][at];
                        let out = &mut rows[row][4 * g..4 * g + 4];
                        for l in 0..LANES {
                            (out[0][l], out[2][l]) = (er[l] + or[l], er[l] - or[l]);
                            if m > 0 {
                                (out[1][l], out[3][l]) = (ei[l] + oi[l], ei[l] - oi[l]);
                            }
                        }
                        continue;
                    }
                    let (sigma, sign) = signs(m, *spin);
                    let (plus, minus) = (&sums[0][at], &sums[1][at]);
                    for l in 0..LANES {
                        let of = |s: &Sums, odd: f64| [0, 1].map(|part| s[0][part][l] + odd * s[1][part][l]);
                        // F_m and the conjugate of F_(-m), north and south.
                        let (a, b) = (of(plus, 1.0), of(minus, 1.0).map(|v| sign * v));
                        let (c, d) = (of(minus, -1.0).map(|v| sigma * v), of(plus, -1.0).map(|v| sign * sigma * v));
                        for (half, [x, y]) in [[a, b], [c, d]].into_iter().enumerate() {
                            let (first, second) = (4 * g + 2 * half, 4 * g + 2 * half + 1);
                            if m == 0 {
                                (rows[row][first][l], rows[row + 1][first][l]) = (x[0], x[1]);
                                continue;
                            }
                            rows[row][first][l] = 0.5 * (x[0] + y[0]);
                            rows[row][second][l] = 0.5 * (x[1] + y[1]);
                            rows[row + 1][first][l] = 0.5 * (x[1] - y[1]);
                            rows[row + 1][second][l] = -0.5 * (x[0] - y[0]);
                        }
                    }
                }
            }
            place += if *spin == 0 { 1 } else { 2 };
        }
        rows
    }
}

impl Scale {
    /// What the products of phases of order `m` count: weights of rings, for the numbers of a row.
    fn counts(&self, m: usize) -> Vec<Lanes> {
        let factor = (2 * self.band - 1) as f64 * if m > 0 { 2.0 } else { 1.0 };
        let group = |w: &[Lanes; 2]| [w[0], w[0], w[1], w[1]].map(|w| w.map(|v| v * factor));
        self.weights.iter().flat_map(group).collect()
    }
}

/// Adds the products of all rows to `sums`, the lanes apart: `rows` squared, those of columns before the row's tile left out.
struct Products<'a> {
    rows: &'a [Phases],
    counts: &'a [Lanes],
    sums: &'a mut [Lanes],
}

impl Work for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let count = self.rows.len();
        let mut weighted = self.rows.to_vec();
        for row in &mut weighted {
            for (r, c) in row.iter_mut().zip(self.counts) {
                for l in 0..LANES {
                    r[l] *= c[l];
                }
            }
        }
        let whole = count - count % TILE;
        for i in (0..count).step_by(TILE) {
            for j in (i..count).step_by(TILE) {
                if i < whole && j < whole {
                    let mut sums = [[[0.0; LANES]; TILE]; TILE];
                    tile(
                        [0, 1, 2, 3].map(|a| weighted[i + a].as_slice()),
                        [0, 1, 2, 3].map(|b| self.rows[j + b].as_slice()),
                        &mut sums,
                    );
                    for (a, row) in sums.iter().enumerate() {
                        let first = (i + a) * count + j;
                        for (sum, v) in self.sums[first..first + TILE].iter_mut().zip(row) {
                            for l in 0..LANES {
                                sum[l] += v[l];
                            }
                        }
                    }
                    continue;
                }
                for (a, x) in weighted.iter().enumerate().take(i + TILE).skip(i) {
                    for (b, y) in self.rows.iter().enumerate().take(j + TILE).skip(j) {
                        let mut all = self.sums[a * count + b];
                        for (x, y) in x.iter().zip(y) {
                            fused(&mut all, x, y);
                        }
                        self.sums[a * count + b] = all;
                    }
                }
            }
        }
    }
}

/// Adds the products of all rows, each number counted as `counts` says, to `sums`.
pub(super) fn products_of(rows: &[Vec<Lanes>], counts: &[Lanes], sums: &mut [Lanes]) {
    widest(Products { rows, counts, sums });
}

/// All products of four rows with four, written out so that the sums stay in registers.
#[inline(always)]
fn tile(x: [&[Lanes]; TILE], y: [&[Lanes]; TILE], sums: &mut [[Lanes; TILE]; TILE]) {
    let count = x[0].len();
    let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (x.map(|x| &x[..count]), y.map(|y| &y[..count]));
    let [mut s0, mut s1, mut s2, mut s3] = *sums;
    for k in 0..count {
        let y = [&y0[k], &y1[k], &y2[k], &y3[k]];
        fused4(&mut s0, &x0[k], y);
        fused4(&mut s1, &x1[k], y);
        fused4(&mut s2, &x2[k], y);
        fused4(&mut s3, &x3[k], y);
    }
    *sums = [s0, s1, s2, s3];
}

#[inline(always)]
fn fused4(sums: &mut [Lanes; TILE], x: &Lanes, y: [&Lanes; TILE]) {
    fused(&mut sums[0], x, y[0]);
    fused(&mut sums[1], x, y[1]);
    fused(&mut sums[2], x, y[2]);
    fused(&mut sums[3], x, y[3]);
}

#[inline(always)]
fn fused(sum: &mut Lanes, a: &Lanes, b: &Lanes) {
    for l in 0..LANES {
        sum[l] = a[l].mul_add(b[l], sum[l]);
    }
}

/// Derivatives of the rows of an order to those of the coefficients of the sources.
struct Back<'a> {
    matrix: Matrix<'a>,
    /// By pairs of rows, symmetric.
    slopes: &'a [f64],
    counts: &'a [Lanes],
}

impl Work for Back<'_> {
    type Output = Vec<Vec<C>>;
    #[inline(always)]
    fn run(self) -> Vec<Vec<C>> {
        let Back { matrix, slopes, counts } = self;
        let Matrix { plan, scale, m, sources } = matrix;
        let rows = widest(Matrix { plan, scale, m, sources });
        let count = rows.len();
        let mut back = vec![vec![[0.0; LANES]; counts.len()]; count];
        for (back, slopes) in back.iter_mut().zip(slopes.chunks_exact(count)) {
            for (row, slope) in rows.iter().zip(slopes) {
                if *slope != 0.0 {
                    for (b, r) in back.iter_mut().zip(row) {
                        for l in 0..LANES {
                            b[l] = slope.mul_add(r[l], b[l]);
                        }
                    }
                }
            }
            back.iter_mut().zip(counts).for_each(|(b, c)| b.iter_mut().zip(c).for_each(|(b, c)| *b *= c));
        }
        let groups = scale.rings.len();
        let fields = plan.settings.directions;
        let mut columns: Vec<Vec<C>> = sources.iter().map(|s| vec![C::default(); s.len()]).collect();
        let mut place = 0;
        for (i, spin) in plan.spins.iter().enumerate() {
            let signed = Scattering::signed(*spin);
            let mut sums = vec![vec![ZERO; sources.len() * groups]; signed.len()];
            for s in 0..sources.len() {
                for g in 0..groups {
                    let at = s * groups + g;
                    let row = s * fields + place;
                    if *spin == 0 {
                        let b = &back[row][4 * g..4 * g + 4];
                        for l in 0..LANES {
                            for part in 0..if m > 0 { 2 } else { 1 } {
                                sums[0][at][0][part][l] = b[part][l] + b[2 + part][l];
                                sums[0][at][1][part][l] = b[part][l] - b[2 + part][l];
                            }
                        }
                        continue;
                    }
                    let (sigma, sign) = signs(m, *spin);
                    for l in 0..LANES {
                        for half in 0..2 {
                            let (first, second) = (4 * g + 2 * half, 4 * g + 2 * half + 1);
                            let (x, y) = if m == 0 {
                                ([back[row][first][l], back[row + 1][first][l]], [0.0; 2])
                            } else {
                                let (a, b) = (
                                    [back[row][first][l], back[row][second][l]],
                                    [back[row + 1][first][l], back[row + 1][second][l]],
                                );
                                ([0.5 * (a[0] - b[1]), 0.5 * (a[1] + b[0])], [0.5 * (a[0] + b[1]), 0.5 * (a[1] - b[0])])
                            };
                            // North: x of the plus sums, y of the minus ones; south the other way round, odd numbers with the other sign.
                            let (forth, f, b) = if half == 0 { (0, 1.0, sign) } else { (1, sigma, sign * sigma) };
                            let odd = if half == 0 { 1.0 } else { -1.0 };
                            for part in 0..2 {
                                sums[forth][at][0][part][l] += f * x[part];
                                sums[forth][at][1][part][l] += odd * f * x[part];
                                sums[1 - forth][at][0][part][l] += b * y[part];
                                sums[1 - forth][at][1][part][l] += odd * b * y[part];
                            }
                        }
                    }
                }
            }
            for (n, sums) in signed.iter().zip(&mut sums) {
                let orders = Orders { m, n: *n, band: scale.band, weights: &scale.wavelets[i] };
                let mut slices: Vec<&mut [C]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                widest(Down { orders, places: &scale.rings.places, sums, columns: &mut slices });
            }
            place += if *spin == 0 { 1 } else { 2 };
        }
        columns
    }
}

/// Coefficients of two maps with each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Cross {
    /// Means of the products of fields.
    pub p00: Vec<f64>,
    /// Integrals of fields of moduli of the first map with fields of the second.
    pub c01: Vec<f64>,
    /// Integrals of fields of moduli of the first with such of the second.
    pub c11: Vec<f64>,
}

/// Places of a product in a square matrix of basis fields.
pub(super) struct Square {
    pub(super) values: Vec<f64>,
    side: usize,
    fields: usize,
}

impl Square {
    /// The parts added up, in their order; the lower half is that of the upper.
    pub(super) fn of(parts: &[Vec<Lanes>], side: usize, fields: usize) -> Square {
        let mut values = vec![0.0; side * side];
        for i in 0..side {
            for j in i..side {
                let sum = parts.iter().fold(0.0, |s, p| s + p[i * side + j].iter().fold(0.0, |s, v| s + v));
                values[i * side + j] = sum;
                values[j * side + i] = sum;
            }
        }
        Square { values, side, fields }
    }
    fn at(&self, (s, x): (usize, usize), (t, y): (usize, usize)) -> usize {
        (s * self.fields + x) * self.side + t * self.fields + y
    }
}

impl Scattering {
    /// The map and the moduli whose fields meet at a scale.
    pub(super) fn sources<'a>(
        &self,
        place: usize,
        map: &'a Harmonics,
        moduli: &[&'a [Harmonics]],
    ) -> Vec<&'a Harmonics> {
        let later = self.later(place);
        std::iter::once(map).chain(later.iter().flat_map(|p| moduli[*p])).collect()
    }
    /// The sums over the sphere of the products of all basis fields of these sources at a scale.
    fn products(&self, place: usize, sources: &[&Harmonics]) -> Square {
        let scale = &self.scales[place];
        let fields = self.settings.directions;
        let side = sources.len() * fields;
        let part = |first: usize| {
            let mut sums = vec![[0.0; LANES]; side * side];
            for m in (first..scale.band).step_by(PARTS) {
                let columns: Vec<&[C]> = sources.iter().map(|h| h.order(m)).collect();
                let rows = widest(Matrix { plan: self, scale, m, sources: &columns });
                widest(Products { rows: &rows, counts: &scale.counts(m), sums: &mut sums });
            }
            sums
        };
        let parts: Vec<Vec<Lanes>> = (0..PARTS).into_par_iter().map(part).collect();
        Square::of(&parts, side, fields)
    }
    /// `C01` and `C11` of a scale.
    pub(super) fn second_layer(&self, place: usize, map: &Harmonics, moduli: &[&[Harmonics]], out: &mut Coefficients) {
        let square = self.products(place, &self.sources(place, map, moduli));
        let Some(&(later, c01, c11)) = out.parts().get(place) else { return };
        let g = self.directions();
        let (c01, c11) = (c01..c01 + later * g * g, c11..c11 + later * later * g * g * g);
        self.extract(&square, (0, 0), later, &mut out.c01[c01], &mut out.c11[c11]);
    }
    /// The sum of the product of two sources in a direction.
    fn product(&self, square: &Square, s: usize, t: usize, direction: usize) -> f64 {
        let (turns, fields) = (&self.turns[direction], self.settings.directions);
        (0..fields).fold(0.0, |all, x| {
            let row = (0..fields).fold(0.0, |r, y| r + turns[y] * square.values[square.at((s, x), (t, y))]);
            all + turns[x] * row
        })
    }
    /// `C01` and `C11` of a scale: moduli of the map that is source `first.0`, with the map and the moduli of the one that is source `first.1`.
    pub(super) fn extract(
        &self,
        square: &Square,
        first: (usize, usize),
        later: usize,
        c01: &mut [f64],
        c11: &mut [f64],
    ) {
        let g = self.directions();
        for s in 0..later * g {
            for n in 0..g {
                c01[s * g + n] = self.product(square, first.0 + 1 + s, first.1, n);
            }
            for t in 0..later * g {
                let (a, j, b, k) = (s / g, s % g, t / g, t % g);
                for n in 0..g {
                    c11[(((a * later + b) * g + j) * g + k) * g + n] =
                        self.product(square, first.0 + 1 + s, first.1 + 1 + t, n);
                }
            }
        }
    }
    /// What two maps have in common: `P00`, `C01` and `C11` with the second factor from the second map, in the order of [`Coefficients`]; of a map with itself those of its
    /// [`Scattering::coefficients`]. Errors: `InvalidArgument` for another band-limit.
    pub fn cross(&self, first: &Harmonics, second: &Harmonics) -> Result<Cross> {
        let blank = Coefficients::zeros(self);
        let mut out = Cross { p00: blank.p00.clone(), c01: blank.c01.clone(), c11: blank.c11.clone() };
        let (g, mut layers) = (self.directions(), Vec::new());
        for map in [first, second] {
            self.fits(map)?;
            let all = (0..self.scales.len()).map(|p| Ok(self.first_layer(p, map, false, None)?.moduli));
            layers.push(all.collect::<Result<Vec<_>>>()?);
        }
        let parts = blank.parts();
        for place in 0..self.scales.len() {
            let mut sources = Vec::new();
            for (map, moduli) in [first, second].into_iter().zip(&layers) {
                let moduli: Vec<&[Harmonics]> = moduli.iter().map(Vec::as_slice).collect();
                sources.extend(self.sources(place, map, &moduli));
            }
            let other = sources.len() / 2;
            let square = self.products(place, &sources);
            for n in 0..g {
                out.p00[place * g + n] = self.product(&square, 0, other, n) / (4.0 * std::f64::consts::PI);
            }
            if let Some(&(later, c01, c11)) = parts.get(place) {
                let (c01, c11) = (c01..c01 + later * g * g, c11..c11 + later * later * g * g * g);
                self.extract(&square, (0, other), later, &mut out.c01[c01], &mut out.c11[c11]);
            }
        }
        Ok(out)
    }
    /// Adds to the derivatives by the coefficients of the map and of the moduli what comes through `C01` and `C11` of a scale.
    pub(super) fn second_layer_back(
        &self,
        place: usize,
        map: &Harmonics,
        moduli: &[&[Harmonics]],
        weights: &Coefficients,
        gradient: &mut Harmonics,
        slopes: &mut [Vec<Harmonics>],
    ) -> Result<()> {
        let scale = &self.scales[place];
        let sources = self.sources(place, map, moduli);
        let (g, fields) = (self.directions(), self.settings.directions);
        let side = sources.len() * fields;
        let mut square = Square { values: vec![0.0; side * side], side, fields };
        let Some(&(later, c01, c11)) = weights.parts().get(place) else { return Ok(()) };
        let mut add = |s: usize, t: usize, n: usize, slope: f64| {
            let turns = &self.turns[n];
            for x in 0..fields {
                for y in 0..fields {
                    let v = turns[x] * turns[y] * slope;
                    for at in [square.at((s, x), (t, y)), square.at((t, y), (s, x))] {
                        square.values[at] += v;
                    }
                }
            }
        };
        for s in 0..later * g {
            for n in 0..g {
                add(1 + s, 0, n, weights.c01[c01 + s * g + n]);
            }
            for t in 0..later * g {
                let (a, j, b, k) = (s / g, s % g, t / g, t % g);
                for n in 0..g {
                    add(1 + s, 1 + t, n, weights.c11[c11 + (((a * later + b) * g + j) * g + k) * g + n]);
                }
            }
        }
        let order = |m: usize| {
            let columns: Vec<&[C]> = sources.iter().map(|h| h.order(m)).collect();
            let matrix = Matrix { plan: self, scale, m, sources: &columns };
            widest(Back { matrix, slopes: &square.values, counts: &scale.counts(m) })
        };
        let orders: Vec<Vec<Vec<C>>> = (0..scale.band).into_par_iter().map(order).collect();
        for (m, columns) in orders.iter().enumerate() {
            let mut columns = columns.iter();
            let mut put = |h: &mut Harmonics| {
                if let Some(c) = columns.next() {
                    h.order_mut(m).iter_mut().zip(c).for_each(|(a, b)| *a += b);
                }
            };
            put(gradient);
            for p in self.later(place) {
                slopes[p].iter_mut().for_each(&mut put);
            }
        }
        Ok(())
    }
}
