//! Harmonic transforms of real maps: synthesis, its adjoint, and analysis.
//!
//! Sources: as in [`super::grid`]; the order of the sums, first over degrees for each order and ring, then over orders along the ring: M. Reinecke, D. S. Seljebotn,
//! "Libsharp: spherical harmonic transforms revisited", 2013.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::recursion::{Lanes, Recursion, Take, LANES};
use super::{Fft, Grid, Harmonics, Sampling};
use crate::bits::{widest, Work};
use crate::error::{Error, Result};

type C = Complex<f64>;

/// Two rings at `theta` and `pi - theta` with points at the same longitudes, or one alone.
type Pair = (usize, Option<usize>);

/// The transforms of a grid, made ready.
#[derive(Clone, Debug)]
pub struct Transform {
    grid: Grid,
    pairs: Vec<Pair>,
    ffts: BTreeMap<usize, Fft>,
    /// What analysis goes through where the weights of the grid itself are not exact: twice as many rings.
    finer: Option<Box<Finer>>,
}

/// Rings continued around the circle and interpolated.
#[derive(Clone, Debug)]
struct Finer {
    transform: Transform,
    /// Along the circle through both poles, of the grid and of the finer one.
    around: Fft,
    finer: Fft,
    /// Where the first ring of the grid lies, in parts of a step.
    shift: f64,
}

/// Phases of the north and of the south of a pair, for one order.
type Phases = [C; 2];

/// Colatitudes of pairs, with their cosines and sines.
type Places = [Lanes; 3];

/// From the coefficients of an order to phases.
struct Up<'a> {
    m: usize,
    band: usize,
    places: &'a [Places],
    values: &'a [C],
    phases: &'a mut [Phases],
}

impl Work for Up<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let recursion = Recursion::new(self.m, 0, self.band);
        let scaled: Vec<C> = self.values.iter().enumerate().map(|(i, v)| v * norm(self.m + i)).collect();
        for (places, phases) in self.places.iter().zip(self.phases.chunks_mut(LANES)) {
            let mut rings = Rings { values: &scaled, even: [[0.0; LANES]; 2], odd: [[0.0; LANES]; 2] };
            recursion.walk(places, &mut rings);
            let Rings { even: [even_re, even_im], odd: [odd_re, odd_im], .. } = rings;
            for (l, p) in phases.iter_mut().enumerate() {
                let (even, odd) = (C::new(even_re[l], even_im[l]), C::new(odd_re[l], odd_im[l]));
                *p = [even + odd, even - odd];
            }
        }
    }
}

/// Sums over degrees, those of even and of odd number from the first apart: real and imaginary parts at each colatitude.
struct Rings<'a> {
    values: &'a [C],
    even: [Lanes; 2],
    odd: [Lanes; 2],
}

impl Take for Rings<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, d: &Lanes) {
        let v = self.values[number];
        let [re, im] = if number.is_multiple_of(2) { &mut self.even } else { &mut self.odd };
        for l in 0..LANES {
            re[l] += v.re * d[l];
            im[l] += v.im * d[l];
        }
    }
}

/// From phases to the coefficients of an order, which they are added to.
struct Down<'a> {
    m: usize,
    band: usize,
    places: &'a [Places],
    phases: &'a [Phases],
    values: &'a mut [C],
}

/// Sums over colatitudes, in eight parts, for each degree; `even` and `odd` are the phases that go to those of even and odd number from the first.
struct Degrees<'a> {
    even: [Lanes; 2],
    odd: [Lanes; 2],
    sums: &'a mut [[[f64; PARTS]; 2]],
}

/// Parts of sums over colatitudes.
const PARTS: usize = 8;

impl Take for Degrees<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, d: &Lanes) {
        let [re, im] = if number.is_multiple_of(2) { &self.even } else { &self.odd };
        let [all_re, all_im] = &mut self.sums[number];
        for p in 0..PARTS {
            all_re[p] += re[p] * d[p] + re[PARTS + p] * d[PARTS + p];
            all_im[p] += im[p] * d[p] + im[PARTS + p] * d[PARTS + p];
        }
    }
}

impl Work for Down<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let recursion = Recursion::new(self.m, 0, self.band);
        let mut sums = vec![[[0.0; PARTS]; 2]; self.values.len()];
        for (places, phases) in self.places.iter().zip(self.phases.chunks(LANES)) {
            let mut degrees = Degrees { even: [[0.0; LANES]; 2], odd: [[0.0; LANES]; 2], sums: &mut sums };
            for (l, [north, south]) in phases.iter().enumerate() {
                let (even, odd) = (north + south, north - south);
                (degrees.even[0][l], degrees.even[1][l]) = (even.re, even.im);
                (degrees.odd[0][l], degrees.odd[1][l]) = (odd.re, odd.im);
            }
            recursion.walk(places, &mut degrees);
        }
        for (i, (v, s)) in self.values.iter_mut().zip(&sums).enumerate() {
            let [re, im] = s.map(|s| s.iter().fold(0.0, |sum, p| sum + p));
            *v += C::new(re, im) * norm(self.m + i);
        }
    }
}

/// `sqrt((2l + 1) / 4 pi)`.
#[inline(always)]
fn norm(l: usize) -> f64 {
    ((2 * l + 1) as f64 / (4.0 * PI)).sqrt()
}

impl Transform {
    /// For a grid. Errors: `LimitExceeded` for grids whose analysis needs a finer one that is too large.
    pub fn new(grid: Grid) -> Result<Transform> {
        let rings = grid.rings();
        let mut pairs: Vec<Pair> = Vec::new();
        let mut taken = vec![false; rings.len()];
        for (t, ring) in rings.iter().enumerate() {
            if taken.get(t) == Some(&true) {
                continue;
            }
            let other = rings.len() - 1 - t;
            let mirrored = rings.get(other).filter(|o| {
                other > t && (o.cos + ring.cos).abs() < 1e-15 && (o.points, o.phi) == (ring.points, ring.phi)
            });
            if mirrored.is_some() {
                taken[other] = true;
            }
            pairs.push((t, mirrored.map(|_| other)));
        }
        let ffts = rings.iter().map(|r| r.points).collect::<std::collections::BTreeSet<_>>();
        let ffts = ffts.into_iter().map(|n| (n, Fft::new(n))).collect();
        let finer = match grid.sampling() {
            Sampling::Mw | Sampling::Mwss => Some(Box::new(Finer::new(&grid)?)),
            _ => None,
        };
        Ok(Transform { grid, pairs, ffts, finer })
    }
    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    /// The map with these coefficients. Errors: `InvalidArgument` for another band-limit.
    pub fn synthesis(&self, harmonics: &Harmonics) -> Result<Vec<f64>> {
        self.fits(harmonics.band(), self.grid.len())?;
        let (band, places) = (self.grid.band(), self.places());
        let count = self.pairs.len();
        let mut phases = vec![Phases::default(); band * count];
        phases.par_chunks_mut(count).enumerate().for_each(|(m, phases)| {
            widest(Up { m, band, places: &places, values: harmonics.order(m), phases });
        });
        let mut map = vec![0.0; self.grid.len()];
        let lines: Vec<_> = self.pairs.par_iter().enumerate().map(|(k, p)| self.to_rings(p, k, &phases)).collect();
        for (first, values) in lines.into_iter().flatten() {
            map[first..first + values.len()].copy_from_slice(&values);
        }
        Ok(map)
    }
    /// The adjoint of [`Transform::synthesis`]: `sum f(theta, phi) conj(Y_lm)` over all points of a map, each as often as it is there.
    /// Errors: `InvalidArgument` for a map of another length.
    pub fn adjoint(&self, map: &[f64]) -> Result<Harmonics> {
        self.weighted(map, |_| 1.0)
    }
    /// The coefficients of a map by quadrature: exact for maps that have none of degree `L` or more, but on HEALPix, where errors are some parts in a thousand
    /// and [`Transform::iterated`] does better. Errors: `InvalidArgument` for a map of another length.
    pub fn analysis(&self, map: &[f64]) -> Result<Harmonics> {
        self.fits(self.grid.band(), map.len())?;
        match &self.finer {
            Some(finer) => finer.analysis(self, map),
            None => self.weighted(map, |t| self.grid.rings().get(t).map_or(0.0, |r| r.weight)),
        }
    }
    /// [`Transform::analysis`], then `times` the same of what the synthesis leaves of the map. Errors: as [`Transform::analysis`].
    pub fn iterated(&self, map: &[f64], times: usize) -> Result<Harmonics> {
        let mut all = self.analysis(map)?;
        for _ in 0..times {
            let back = self.synthesis(&all)?;
            let rest: Vec<f64> = map.iter().zip(&back).map(|(m, b)| m - b).collect();
            let more = self.analysis(&rest)?;
            for m in 0..all.band() {
                all.order_mut(m).iter_mut().zip(more.order(m)).for_each(|(a, b)| *a += b);
            }
        }
        Ok(all)
    }
    fn fits(&self, band: usize, len: usize) -> Result<()> {
        if band != self.grid.band() || len != self.grid.len() {
            let (b, n) = (self.grid.band(), self.grid.len());
            return Err(Error::invalid(format!("expected {n} points and a band-limit of {b}, found {len} and {band}")));
        }
        Ok(())
    }
    fn places(&self) -> Vec<Places> {
        let one = |pairs: &[Pair]| -> Places {
            let ring = |l: usize| pairs.get(l).or(pairs.last()).and_then(|p| self.grid.rings().get(p.0));
            [
                std::array::from_fn(|l| ring(l).map_or(0.0, |r| r.theta)),
                std::array::from_fn(|l| ring(l).map_or(0.0, |r| r.cos)),
                std::array::from_fn(|l| ring(l).map_or(0.0, |r| r.sin)),
            ]
        };
        self.pairs.chunks(LANES).map(one).collect()
    }
    /// The values of the rings of pair `k`, with the place of the first of each, from their phases. Two real rings go through one complex transform.
    fn to_rings(&self, (north, south): &Pair, k: usize, phases: &[Phases]) -> Vec<(usize, Vec<f64>)> {
        let Some(ring) = self.grid.rings().get(*north) else { return Vec::new() };
        let n = ring.points;
        let mut line = vec![C::default(); n];
        for (m, phases) in phases.chunks_exact(self.pairs.len()).enumerate() {
            let turn = turn(m, ring.phi);
            let [a, b] = phases[k].map(|p| p * turn);
            if m == 0 {
                line[0] += C::new(a.re, b.re);
                continue;
            }
            // Both are real: the other orders are conjugates.
            line[m % n] += a + C::new(-b.im, b.re);
            line[(n - m % n) % n] += a.conj() + C::new(b.im, b.re);
        }
        if let Some(fft) = self.ffts.get(&n) {
            fft.backward(&mut line);
        }
        let mut out = vec![(ring.first, line.iter().map(|v| v.re).collect())];
        if let Some(other) = south.and_then(|s| self.grid.rings().get(s)) {
            out.push((other.first, line.iter().map(|v| v.im).collect()));
        }
        out
    }
    /// The phases of a pair of rings for every order, whose values are in `map`, times their weights.
    fn to_phases(&self, (north, south): &Pair, map: &[f64], weight: &impl Fn(usize) -> f64) -> Vec<Phases> {
        let Some(ring) = self.grid.rings().get(*north) else { return Vec::new() };
        let n = ring.points;
        let values = |t: usize| {
            let first = self.grid.rings().get(t).map_or(0, |r| r.first);
            map.get(first..first + n).unwrap_or_default().iter().map(move |v| v * weight(t))
        };
        let mut line: Vec<C> = values(*north).map(|v| C::new(v, 0.0)).collect();
        if let Some(s) = south {
            line.iter_mut().zip(values(*s)).for_each(|(l, v)| l.im = v);
        }
        if let Some(fft) = self.ffts.get(&n) {
            fft.forward(&mut line);
        }
        let phase = |m: usize| {
            let turn = turn(m, ring.phi).conj();
            let (u, v) = (line[m % n], line[(n - m % n) % n].conj());
            let (sum, difference) = ((u + v) * 0.5, (u - v) * 0.5);
            [sum * turn, C::new(difference.im, -difference.re) * turn]
        };
        (0..self.grid.band()).map(phase).collect()
    }
    fn weighted(&self, map: &[f64], weight: impl Fn(usize) -> f64 + Sync) -> Result<Harmonics> {
        self.fits(self.grid.band(), map.len())?;
        let (band, places) = (self.grid.band(), self.places());
        let lines: Vec<Vec<Phases>> = self.pairs.par_iter().map(|p| self.to_phases(p, map, &weight)).collect();
        let order = |m: usize| {
            let phases: Vec<Phases> = lines.iter().map(|l| l[m]).collect();
            let mut values = vec![C::default(); band - m];
            widest(Down { m, band, places: &places, phases: &phases, values: &mut values });
            values
        };
        let orders: Vec<Vec<C>> = (0..band).into_par_iter().map(order).collect();
        let mut all = Harmonics::zeros(band)?;
        for (m, values) in orders.iter().enumerate() {
            all.order_mut(m).copy_from_slice(values);
        }
        Ok(all)
    }
}

/// `e^(i m phi)`.
#[inline(always)]
fn turn(m: usize, phi: f64) -> C {
    if phi == 0.0 {
        return C::new(1.0, 0.0);
    }
    let angle = m as f64 * phi;
    C::new(libm::cos(angle), libm::sin(angle))
}

impl Finer {
    fn new(grid: &Grid) -> Result<Finer> {
        let band = grid.band();
        // As many points along each ring; around the circle 4 L, so that products with the polynomials are known.
        let points = grid.rings().first().map_or(1, |r| r.points);
        let finer = Grid::circle(band, points)?;
        let (around, shift) = if grid.sampling() == Sampling::Mw { (2 * band - 1, 0.5) } else { (2 * band, 0.0) };
        Ok(Finer { transform: Transform::new(finer)?, around: Fft::new(around), finer: Fft::new(4 * band), shift })
    }
    fn analysis(&self, coarse: &Transform, map: &[f64]) -> Result<Harmonics> {
        let (band, rings) = (coarse.grid.band(), coarse.grid.rings());
        let n = rings.first().map_or(1, |r| r.points);
        let along = Fft::new(n);
        // Orders of each ring.
        let mut lines: Vec<Vec<C>> = map.chunks(n).map(|r| r.iter().map(|v| C::new(*v, 0.0)).collect()).collect();
        lines.iter_mut().for_each(|l| along.forward(l));
        let count = self.around.len();
        let many = self.finer.len();
        let mut phases = vec![vec![C::default(); n]; 2 * band + 1];
        for m in 0..band.min(n) {
            // Behind the pole the map goes on half a turn away: with the sign (-1)^m.
            let sign = if m % 2 == 0 { 1.0 } else { -1.0 };
            let mut line: Vec<C> = (0..count)
                .map(|t| match t < lines.len() {
                    true => lines[t][m],
                    false => lines[if self.shift > 0.0 { count - 1 - t } else { count - t }][m] * sign,
                })
                .collect();
            self.around.forward(&mut line);
            let mut long = vec![C::default(); many];
            for k in 0..band {
                for negative in [false, true] {
                    if negative && k == 0 {
                        continue;
                    }
                    let (from, to) = if negative { (count - k, many - k) } else { (k, k) };
                    let angle = 2.0 * PI * k as f64 * self.shift / count as f64;
                    let back = C::new(libm::cos(angle), if negative { libm::sin(angle) } else { -libm::sin(angle) });
                    long[to] = line[from] * back / count as f64;
                }
            }
            self.finer.backward(&mut long);
            for (t, phases) in phases.iter_mut().enumerate() {
                phases[m] = long[t];
                if m > 0 {
                    phases[n - m] = long[t].conj();
                }
            }
        }
        let mut fine = Vec::with_capacity(phases.len() * n);
        for mut line in phases {
            along.backward(&mut line);
            fine.extend(line.iter().map(|v| v.re / n as f64));
        }
        self.transform.analysis(&fine)
    }
}

#[cfg(test)]
mod tests;
