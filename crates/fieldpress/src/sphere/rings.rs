//! Between the phases of orders and the points of rings: groups of rings go through Fourier transforms together.

use std::collections::{BTreeMap, BTreeSet};

use rustfft::num_complex::Complex;

use super::fft::Place;
use super::legendre::Sums;
use super::recursion::{Places, LANES};
use super::{Fft, Grid, Ring};
use crate::bits::{widest, Work};

type C = Complex<f64>;

/// Rings at `theta` and `pi - theta` with points at the same longitudes, or one alone.
#[derive(Clone, Copy, Debug)]
struct Pair {
    north: Ring,
    south: Option<Ring>,
}

/// The rings of a grid, pair by pair from the pole, in groups.
#[derive(Clone, Debug)]
pub(super) struct Rings {
    groups: Vec<Vec<Pair>>,
    pub(super) places: Vec<Places>,
    ffts: BTreeMap<usize, Fft>,
}

/// A sum over even and one over odd degrees to the phases of the north and of the south.
#[inline(always)]
fn halves<const W: usize>(sums: &Sums, at: usize) -> [Place<W>; 2] {
    let of = |part: usize, sign: f64| std::array::from_fn(|l| sums[0][part][at + l] + sign * sums[1][part][at + l]);
    [[of(0, 1.0), of(1, 1.0)], [of(0, -1.0), of(1, -1.0)]]
}

#[inline(always)]
fn times<const W: usize>([re, im]: &Place<W>, [c, s]: [f64; 2]) -> Place<W> {
    [std::array::from_fn(|l| c * re[l] - s * im[l]), std::array::from_fn(|l| c * im[l] + s * re[l])]
}

#[inline(always)]
fn scaled<const W: usize>([re, im]: &Place<W>, [a, b]: [f64; 2]) -> Place<W> {
    [re.map(|v| a * v), im.map(|v| b * v)]
}

#[inline(always)]
fn add<const W: usize>(sum: &mut Place<W>, v: &Place<W>) {
    for part in 0..2 {
        for l in 0..W {
            sum[part][l] += v[part][l];
        }
    }
}

/// Steps around a ring: the places of the orders `m` and `-m`.
#[inline(always)]
fn around(m: usize, n: usize) -> [usize; 2] {
    let m = if m < n { m } else { m % n };
    [m, if m == 0 { 0 } else { n - m }]
}

/// Phases of one field to its rings. `at` is the lane of the first ring, of `W`; `phases(m)` are the sums of orders of both signs of the spin.
struct ToRings<'a, const W: usize, F> {
    fft: &'a Fft,
    at: usize,
    turns: &'a [[f64; 2]],
    spin: usize,
    phases: F,
}

impl<const W: usize, F: Fn(usize) -> [Sums; 2]> Work for ToRings<'_, W, F> {
    /// A spin of 0: one line, the north in the real part and the south in the imaginary; otherwise one line each.
    type Output = Vec<Vec<Place<W>>>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let n = self.fft.len();
        let blank = vec![[[0.0; W]; 2]; n];
        let mut lines = vec![blank.clone(); if self.spin == 0 { 1 } else { 2 }];
        for (m, turn) in self.turns.iter().enumerate() {
            let [a, b] = around(m, n);
            let [plus, minus] = (self.phases)(m);
            if self.spin == 0 {
                let [mut x, mut y] = halves::<W>(&plus, self.at);
                if *turn != [1.0, 0.0] {
                    (x, y) = (times(&x, *turn), times(&y, *turn));
                }
                // Both are real: the other orders are conjugates.
                if m == 0 {
                    add(&mut lines[0][0], &[x[0], y[0]]);
                    continue;
                }
                for l in 0..W {
                    lines[0][a][0][l] += x[0][l] - y[1][l];
                    lines[0][a][1][l] += x[1][l] + y[0][l];
                    lines[0][b][0][l] += x[0][l] + y[1][l];
                    lines[0][b][1][l] += y[0][l] - x[1][l];
                }
                continue;
            }
            let ([sum, difference], [sum_minus, difference_minus]) =
                (halves::<W>(&plus, self.at), halves::<W>(&minus, self.at));
            let (sigma, sign) = signs(m, self.spin);
            let back = [turn[0], -turn[1]];
            add(&mut lines[0][a], &times(&sum, *turn));
            add(&mut lines[1][a], &times(&scaled(&difference_minus, [sigma, sigma]), *turn));
            if m > 0 {
                add(&mut lines[0][b], &times(&scaled(&sum_minus, [sign, -sign]), back));
                add(&mut lines[1][b], &times(&scaled(&difference, [sign * sigma, -sign * sigma]), back));
            }
        }
        let mut out = blank;
        for line in &mut lines {
            self.fft.run(1.0, line, &mut out);
            std::mem::swap(line, &mut out);
        }
        lines
    }
}

/// `(-1)^(first + m)`, which the numbers of degrees differ by from `l + m`, and `(-1)^n`.
#[inline(always)]
pub(super) fn signs(m: usize, n: usize) -> (f64, f64) {
    let sign = |v: usize| if v.is_multiple_of(2) { 1.0 } else { -1.0 };
    (sign(m.max(n) + m), sign(n))
}

/// Rings of one field to what is to be summed over colatitudes, for each order, and for both signs of the spin: the transpose of [`ToRings`].
struct FromRings<'a, const W: usize> {
    fft: &'a Fft,
    turns: &'a [[f64; 2]],
    spin: usize,
    lines: Vec<Vec<Place<W>>>,
}

impl<const W: usize> Work for FromRings<'_, W> {
    /// For each order, for both signs: even and odd.
    type Output = Vec<[[Place<W>; 2]; 2]>;
    #[inline(always)]
    fn run(mut self) -> Self::Output {
        let n = self.fft.len();
        let mut out = vec![[[0.0; W]; 2]; n];
        for line in &mut self.lines {
            self.fft.run(-1.0, line, &mut out);
            std::mem::swap(line, &mut out);
        }
        let mut all = Vec::with_capacity(self.turns.len());
        for (m, turn) in self.turns.iter().enumerate() {
            let [a, b] = around(m, n);
            let back = [turn[0], -turn[1]];
            if self.spin == 0 {
                let (u, v) = (&self.lines[0][a], &self.lines[0][b]);
                let (mut x, mut y) = ([[0.0; W]; 2], [[0.0; W]; 2]);
                for l in 0..W {
                    (x[0][l], x[1][l]) = (0.5 * (u[0][l] + v[0][l]), 0.5 * (u[1][l] - v[1][l]));
                    (y[0][l], y[1][l]) = (0.5 * (u[1][l] + v[1][l]), 0.5 * (v[0][l] - u[0][l]));
                }
                if *turn != [1.0, 0.0] {
                    (x, y) = (times(&x, back), times(&y, back));
                }
                all.push([both(&x, &y), [[[0.0; W]; 2]; 2]]);
                continue;
            }
            let (sigma, sign) = signs(m, self.spin);
            let other = if m > 0 { sign } else { 0.0 };
            let (north, south) = (times(&self.lines[0][a], back), times(&self.lines[1][a], back));
            let north_back = scaled(&times(&self.lines[0][b], *turn), [other, -other]);
            let south_back = scaled(&times(&self.lines[1][b], *turn), [other * sigma, -other * sigma]);
            all.push([both(&north, &south_back), both(&north_back, &scaled(&south, [sigma, sigma]))]);
        }
        all
    }
}

/// Sum and difference.
#[inline(always)]
fn both<const W: usize>(x: &Place<W>, y: &Place<W>) -> [Place<W>; 2] {
    let (mut sum, mut difference) = (*x, *x);
    add(&mut sum, y);
    add(&mut difference, &scaled(y, [-1.0, -1.0]));
    [sum, difference]
}

impl Rings {
    pub(super) fn new(grid: &Grid) -> Rings {
        let rings = grid.rings();
        let mut pairs: Vec<Pair> = Vec::new();
        let mut taken = vec![false; rings.len()];
        for (t, ring) in rings.iter().enumerate() {
            if taken.get(t) == Some(&true) {
                continue;
            }
            let other = rings.len() - 1 - t;
            let south = rings.get(other).filter(|o| {
                other > t && (o.cos + ring.cos).abs() < 1e-15 && (o.points, o.phi) == (ring.points, ring.phi)
            });
            if south.is_some() {
                taken[other] = true;
            }
            pairs.push(Pair { north: *ring, south: south.copied() });
        }
        let ffts = rings.iter().map(|r| r.points).collect::<BTreeSet<_>>();
        let ffts = ffts.into_iter().map(|n| (n, Fft::new(n))).collect();
        let groups: Vec<Vec<Pair>> = pairs.chunks(LANES).map(<[Pair]>::to_vec).collect();
        let places = |pairs: &Vec<Pair>| {
            let of = |value: fn(&Ring) -> f64| {
                std::array::from_fn(|l| pairs.get(l).or(pairs.last()).map_or(0.0, |p| value(&p.north)))
            };
            Places { theta: of(|r| r.theta), cos: of(|r| r.cos), sin: of(|r| r.sin) }
        };
        Rings { places: groups.iter().map(places).collect(), groups, ffts }
    }
    /// Of how many groups.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
    /// The parts of a map that belong to each group: for each pair the north, then the south.
    pub(super) fn split<'a, T>(&self, mut map: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let mut order: Vec<(usize, usize, usize)> = Vec::new();
        for (g, pairs) in self.groups.iter().enumerate() {
            let rings = pairs.iter().flat_map(|p| [Some(p.north), p.south]).flatten();
            order.extend(rings.map(|r| (r.first, r.points, g)));
        }
        order.sort_unstable();
        let mut parts: Vec<BTreeMap<usize, &mut [T]>> = self.groups.iter().map(|_| BTreeMap::new()).collect();
        for (first, points, g) in order {
            let (part, rest) = std::mem::take(&mut map).split_at_mut(points);
            parts[g].insert(first, part);
            map = rest;
        }
        let sorted = |(pairs, mut parts): (&Vec<Pair>, BTreeMap<usize, &'a mut [T]>)| {
            let rings = pairs.iter().flat_map(|p| [Some(p.north), p.south]).flatten();
            rings.filter_map(|r| parts.remove(&r.first)).collect()
        };
        self.groups.iter().zip(parts).map(sorted).collect()
    }
    /// Whether the rings of a group can go together.
    fn together(pairs: &[Pair]) -> bool {
        pairs
            .first()
            .is_some_and(|f| pairs.iter().all(|p| (p.north.points, p.north.phi) == (f.north.points, f.north.phi)))
    }
    /// The values of a field of this spin on the rings of group `g`: `put(ring, point, value)`, the rings counted as by [`Rings::split`].
    pub(super) fn synthesis(
        &self,
        g: usize,
        spin: usize,
        band: usize,
        phases: impl Fn(usize) -> [Sums; 2],
        mut put: impl FnMut(usize, usize, C),
    ) {
        let Some(pairs) = self.groups.get(g) else { return };
        if Rings::together(pairs) {
            self.lanes_up::<LANES>(pairs, 0, 0, spin, band, &phases, &mut put);
            return;
        }
        let mut ring = 0;
        for (l, pair) in pairs.iter().enumerate() {
            self.lanes_up::<1>(std::slice::from_ref(pair), l, ring, spin, band, &phases, &mut put);
            ring += 1 + usize::from(pair.south.is_some());
        }
    }
    #[allow(clippy::too_many_arguments)]
    fn lanes_up<const W: usize>(
        &self,
        pairs: &[Pair],
        at: usize,
        ring: usize,
        spin: usize,
        band: usize,
        phases: &impl Fn(usize) -> [Sums; 2],
        put: &mut impl FnMut(usize, usize, C),
    ) {
        let Some(fft) = pairs.first().and_then(|p| self.ffts.get(&p.north.points)) else { return };
        let turns = turns(pairs[0].north.phi, band);
        let lines = widest(ToRings::<W, _> { fft, at, turns: &turns, spin, phases });
        let mut ring = ring;
        for (l, pair) in pairs.iter().enumerate() {
            for (half, there) in [true, pair.south.is_some()].into_iter().enumerate() {
                if !there {
                    continue;
                }
                match lines.as_slice() {
                    [line] => line.iter().enumerate().for_each(|(p, v)| put(ring, p, C::new(v[half][l], 0.0))),
                    lines => lines[half].iter().enumerate().for_each(|(p, v)| put(ring, p, C::new(v[0][l], v[1][l]))),
                }
                ring += 1;
            }
        }
    }
    /// The same where all rings have as many points, as they are transformed: for a spin of 0 the north in the real parts of one line and the south in the imaginary ones, otherwise a
    /// line each.
    pub(super) fn lines(
        &self,
        spin: usize,
        band: usize,
        phases: impl Fn(usize) -> [Sums; 2],
    ) -> Vec<Vec<Place<LANES>>> {
        let Some(fft) = self.ffts.values().next() else { return Vec::new() };
        widest(ToRings { fft, at: 0, turns: &vec![[1.0, 0.0]; band], spin, phases })
    }
    /// The transpose of [`Rings::lines`]: `sum of X e^(-i m phi)` for each order, as sums for both signs of the spin.
    pub(super) fn orders(&self, spin: usize, band: usize, lines: Vec<Vec<Place<LANES>>>) -> Vec<[Sums; 2]> {
        let Some(fft) = self.ffts.values().next() else { return Vec::new() };
        widest(FromRings { fft, turns: &vec![[1.0, 0.0]; band], spin, lines })
    }
    /// What the rings of group `g` give to the sums over colatitudes: `value` of a point of a map, and the ring it is on, times its weight. For both signs of the
    /// spin the sums of each order.
    pub(super) fn adjoint(
        &self,
        g: usize,
        spin: usize,
        band: usize,
        value: impl Fn(&Ring, usize) -> C,
    ) -> Vec<[Sums; 2]> {
        let zero: Sums = [[[0.0; LANES]; 2]; 2];
        let mut out = vec![[zero; 2]; band];
        let Some(pairs) = self.groups.get(g) else { return out };
        if Rings::together(pairs) {
            self.lanes_down::<LANES>(pairs, 0, spin, band, &value, &mut out);
        } else {
            for (l, pair) in pairs.iter().enumerate() {
                self.lanes_down::<1>(std::slice::from_ref(pair), l, spin, band, &value, &mut out);
            }
        }
        out
    }
    fn lanes_down<const W: usize>(
        &self,
        pairs: &[Pair],
        at: usize,
        spin: usize,
        band: usize,
        value: &impl Fn(&Ring, usize) -> C,
        out: &mut [[Sums; 2]],
    ) {
        let Some(fft) = pairs.first().and_then(|p| self.ffts.get(&p.north.points)) else { return };
        let n = fft.len();
        let mut lines = vec![vec![[[0.0; W]; 2]; n]; if spin == 0 { 1 } else { 2 }];
        for (l, pair) in pairs.iter().enumerate() {
            for (half, ring) in [Some(&pair.north), pair.south.as_ref()].into_iter().enumerate() {
                let Some(ring) = ring else { continue };
                match lines.as_mut_slice() {
                    [line] => line.iter_mut().enumerate().for_each(|(p, v)| v[half][l] = value(ring, p).re),
                    lines => lines[half].iter_mut().enumerate().for_each(|(p, v)| {
                        let z = value(ring, p);
                        (v[0][l], v[1][l]) = (z.re, z.im);
                    }),
                }
            }
        }
        let turns = turns(pairs[0].north.phi, band);
        let found = widest(FromRings::<W> { fft, turns: &turns, spin, lines });
        for (out, found) in out.iter_mut().zip(found) {
            for sign in 0..2 {
                for parity in 0..2 {
                    for part in 0..2 {
                        out[sign][parity][part][at..at + W].copy_from_slice(&found[sign][parity][part]);
                    }
                }
            }
        }
    }
}

/// `e^(i m phi)` for every order: products of a coarse and a fine step, both from the `libm` crate.
fn turns(phi: f64, band: usize) -> Vec<[f64; 2]> {
    if phi == 0.0 {
        return vec![[1.0, 0.0]; band];
    }
    const FINE: usize = 32;
    let turn = |m: usize| [libm::cos(m as f64 * phi), libm::sin(m as f64 * phi)];
    let fine: Vec<[f64; 2]> = (0..FINE.min(band)).map(turn).collect();
    let coarse: Vec<[f64; 2]> = (0..band.div_ceil(FINE)).map(|c| turn(c * FINE)).collect();
    (0..band)
        .map(|m| {
            let ([a, b], [c, d]) = (coarse[m / FINE], fine[m % FINE]);
            [a * c - b * d, a * d + b * c]
        })
        .collect()
}
