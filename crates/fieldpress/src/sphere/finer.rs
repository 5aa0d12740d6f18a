//! Analysis of maps on the rings of McEwen and Wiaux by twice as many rings, where quadrature is exact: for each order the meridian is continued behind the poles and interpolated.
//!
//! Source: J. D. McEwen, Y. Wiaux, "A novel sampling theorem on the sphere", 2011, section III.

use std::f64::consts::PI;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::legendre::{Down, Orders, Sums, ZERO};
use super::line::Line;
use super::recursion::LANES;
use super::rings::{signs, Rings};
use super::transform::magnetic;
use super::{Fft, Grid, Harmonics, Ring, Sampling};
use crate::bits::widest;
use crate::error::Result;

type C = Complex<f64>;

/// The number of a ring, and the weight of its points.
type Numbered = (usize, f64);

/// Rings continued around the circle and interpolated.
#[derive(Clone, Debug)]
pub(super) struct Finer {
    band: usize,
    /// The finer rings, from pole to pole.
    rings: Rings,
    /// By group the numbers of the rings of each pair, north and south, with the weights of their points; nothing where there is no ring.
    pairs: Vec<Vec<[Option<Numbered>; 2]>>,
    /// How many rings the grid has.
    count: usize,
    /// Along a ring.
    along: Fft,
    /// Along the circle through both poles, of the grid and of the finer one.
    around: Fft,
    finer: Fft,
    /// Whether the first ring lies half a step behind the pole.
    shifted: bool,
    /// What turns the first ring to the pole, over the length of the circle.
    turns: Vec<C>,
}

impl Finer {
    pub(super) fn new(grid: &Grid) -> Result<Finer> {
        let band = grid.band();
        let points = grid.rings().first().map_or(1, |r| r.points);
        // Around the circle 4 L, so that products with the polynomials are known.
        let rings = Rings::new(&Grid::circle(band, points)?);
        let (around, shifted) = if grid.sampling() == Sampling::Mw { (2 * band - 1, true) } else { (2 * band, false) };
        let turn = |k: usize| {
            let angle = if shifted { PI * k as f64 / around as f64 } else { 0.0 };
            C::new(libm::cos(angle), -libm::sin(angle)) / around as f64
        };
        let number = |r: &Ring| (r.first / points, r.weight);
        Ok(Finer {
            band,
            pairs: (0..rings.len()).map(|g| rings.pairs(g, number)).collect(),
            rings,
            count: grid.rings().len(),
            along: Fft::new(points),
            around: Fft::new(around),
            finer: Fft::new(4 * band),
            shifted,
            turns: (0..band).map(turn).collect(),
        })
    }
    /// The coefficients of real maps; `norms` are those of the degrees.
    pub(super) fn real(&self, maps: &[&[f64]], norms: &[f64]) -> Result<Vec<Harmonics>> {
        let rows = |map: &&[f64]| self.orders(|i| C::new(map.get(i).copied().unwrap_or_default(), 0.0));
        self.down(0, norms, &maps.iter().map(rows).collect::<Vec<_>>())
    }
    /// Twice the coefficients of electric and of magnetic kind of a field with a spin above 0, where an order stands for its negative as well.
    pub(super) fn spin(&self, spin: usize, field: impl Fn(usize) -> C + Sync, norms: &[f64]) -> Result<Vec<Harmonics>> {
        self.down(spin, norms, &[self.orders(field)])
    }
    /// The orders of every ring: `sum f e^(-i m phi)`, at `m` modulo the number of points.
    fn orders(&self, field: impl Fn(usize) -> C + Sync) -> Vec<C> {
        let n = self.along.len();
        let mut out = vec![C::default(); self.count * n];
        let some = |lines: &mut [Line<LANES>; 2], (block, out): (usize, &mut [C])| {
            let [line, found] = lines;
            line.clear(n);
            found.fit(n);
            for l in 0..out.len() / n {
                let first = (block * LANES + l) * n;
                for (p, v) in line.iter_mut().enumerate() {
                    let z = field(first + p);
                    (v[0][l], v[1][l]) = (z.re, z.im);
                }
            }
            self.along.run(-1.0, line, found);
            for (l, out) in out.chunks_exact_mut(n).enumerate() {
                out.iter_mut().zip(found.iter()).for_each(|(o, v)| *o = C::new(v[0][l], v[1][l]));
            }
        };
        out.par_chunks_mut((LANES * n).max(1)).enumerate().for_each_init(Default::default, some);
        out
    }
    /// Orders, modulo the number of points, along the finer circle.
    fn columns(&self, rows: &[C], spin: usize, orders: [usize; LANES]) -> Line<LANES> {
        let (n, count) = (self.along.len(), self.around.len());
        let mut line = Line::<LANES>::zeros(count);
        // Behind the pole a field goes on half a turn away, and with its axes turned: with the sign (-1)^(m + spin).
        let signs = orders.map(|k| {
            let order = if k < self.band { k } else { n - k };
            if (order + spin).is_multiple_of(2) {
                1.0
            } else {
                -1.0
            }
        });
        for (t, v) in line.iter_mut().enumerate() {
            let behind = t >= self.count;
            let ring = match (behind, self.shifted) {
                (false, _) => t,
                (true, true) => count - 1 - t,
                (true, false) => count - t,
            };
            let row = &rows[ring * n..][..n];
            for l in 0..LANES {
                let z = row[orders[l]] * if behind { signs[l] } else { 1.0 };
                (v[0][l], v[1][l]) = (z.re, z.im);
            }
        }
        let mut found = Line::<LANES>::zeros(count);
        self.around.run(-1.0, &line, &mut found);
        let many = self.finer.len();
        let mut long = Line::<LANES>::zeros(many);
        for (k, turn) in self.turns.iter().enumerate() {
            for (from, to, im) in [(k, k, turn.im), (count - k, many - k, -turn.im)] {
                // Of the constant there is one.
                let (Some(v), Some(out)) = (found.get(from), long.get_mut(to)) else { continue };
                for l in 0..LANES {
                    out[0][l] = v[0][l] * turn.re - v[1][l] * im;
                    out[1][l] = v[0][l] * im + v[1][l] * turn.re;
                }
            }
        }
        let mut out = Line::zeros(many);
        self.finer.run(1.0, &long, &mut out);
        out
    }
    /// What the rings give to the sums over colatitudes, and these summed: one column of each real field, two of one with a spin.
    fn down(&self, spin: usize, norms: &[f64], fields: &[Vec<C>]) -> Result<Vec<Harmonics>> {
        let (band, n) = (self.band, self.along.len());
        let (count, signs_of_spin) = if spin == 0 { (fields.len(), 1) } else { (2, 2) };
        let some = |first: usize| {
            let forth = |rows: &Vec<C>| self.columns(rows, spin, std::array::from_fn(|l| (first + l) % n));
            let back = |rows: &Vec<C>| match spin {
                0 => Line::default(),
                _ => self.columns(rows, spin, std::array::from_fn(|l| (n - (first + l) % n) % n)),
            };
            let lines: Vec<[Line<LANES>; 2]> = fields.iter().map(|rows| [forth(rows), back(rows)]).collect();
            let order = |m: usize| {
                let l = m - first;
                let at = |line: &Line<LANES>, place: Option<Numbered>| {
                    place.map_or(C::default(), |(t, weight)| C::new(line[t][0][l], line[t][1][l]) * weight)
                };
                let mut columns = vec![vec![C::default(); band - m]; count];
                let (sigma, sign) = signs(m, spin);
                for negative in [false, true].into_iter().take(signs_of_spin) {
                    let n = if negative { -(spin as i64) } else { spin as i64 };
                    let mut sums: Vec<Sums> = vec![ZERO; self.pairs.len() * fields.len()];
                    let pairs = lines.iter().flat_map(|lines| self.pairs.iter().map(move |pairs| (lines, pairs)));
                    for (sums, ([forth, back], pairs)) in sums.iter_mut().zip(pairs) {
                        for (lane, [north, south]) in pairs.iter().enumerate() {
                            let forth = |place| at(forth, place);
                            let back = |place| at(back, place).conj() * if m > 0 { sign } else { 0.0 };
                            let (x, y) = match (spin, negative) {
                                (0, _) => (forth(*north), forth(*south)),
                                (_, false) => (forth(*north), back(*south) * sigma),
                                (_, true) => (back(*north), forth(*south) * sigma),
                            };
                            for (parity, v) in [x + y, x - y].into_iter().enumerate() {
                                (sums[parity][0][lane], sums[parity][1][lane]) = (v.re, v.im);
                            }
                        }
                    }
                    if spin > 0 {
                        sums.extend_from_within(..);
                        sums.iter_mut().skip(self.pairs.len()).for_each(|sums| *sums = magnetic(sums, n));
                    }
                    let mut columns: Vec<&mut [C]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                    let orders = Orders { m, n, band, weights: norms };
                    widest(Down { orders, places: &self.rings.places, sums: &mut sums, columns: &mut columns });
                }
                columns
            };
            (first..band.min(first + LANES)).map(order).collect::<Vec<_>>()
        };
        let orders: Vec<Vec<Vec<Vec<C>>>> = (0..band).into_par_iter().step_by(LANES).map(some).collect();
        let mut all = vec![Harmonics::zeros(band)?; count];
        for (m, columns) in orders.iter().flatten().enumerate() {
            all.iter_mut().zip(columns).for_each(|(h, c)| h.order_mut(m).copy_from_slice(c));
        }
        Ok(all)
    }
}
