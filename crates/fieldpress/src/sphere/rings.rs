//! Between the phases of orders and the points of rings: groups of rings go through Fourier transforms together.

use std::collections::{BTreeMap, BTreeSet};

use super::legendre::{Sums, ZERO};
use super::line::{Line, Place};
use super::recursion::{Places, LANES};
use super::{Fft, Grid, Ring};
use crate::bits::{widest, Work};

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

/// What groups are worked on in, kept from one to the next.
#[derive(Default)]
pub(super) struct Scratch {
    wide: Lines<LANES>,
    narrow: Lines<1>,
}

/// Rings of a field, for a spin of 0 in the first line alone: the north in the real parts, the south in the imaginary; and as long a line.
#[derive(Default)]
struct Lines<const W: usize> {
    lines: [Line<W>; 2],
    spare: Line<W>,
}

impl<const W: usize> Lines<W> {
    /// Of `n` zeros.
    #[inline(always)]
    fn clear(&mut self, spin: usize, n: usize) {
        for line in &mut self.lines[..if spin == 0 { 1 } else { 2 }] {
            line.clear(n);
        }
        self.spare.fit(n);
    }
    #[inline(always)]
    fn transform(&mut self, fft: &Fft, spin: usize, sign: f64) {
        for line in &mut self.lines[..if spin == 0 { 1 } else { 2 }] {
            fft.run(sign, line, &mut self.spare);
            std::mem::swap(line, &mut self.spare);
        }
    }
}

/// Points of rings that are handed on together.
const BLOCK: usize = 32;

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
    lines: &'a mut Lines<W>,
}

impl<const W: usize, F: Fn(usize) -> [Sums; 2]> Work for ToRings<'_, W, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.fft.len();
        self.lines.clear(self.spin, n);
        let lines = &mut self.lines.lines;
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
        self.lines.transform(self.fft, self.spin, 1.0);
    }
}

/// `(-1)^(first + m)`, which the numbers of degrees differ by from `l + m`, and `(-1)^n`.
#[inline(always)]
pub(super) fn signs(m: usize, n: usize) -> (f64, f64) {
    let sign = |v: usize| if v.is_multiple_of(2) { 1.0 } else { -1.0 };
    (sign(m.max(n) + m), sign(n))
}

/// Rings of one field to what is to be summed over colatitudes, for each order, and for both signs of the spin: the transpose of [`ToRings`].
struct FromRings<'a, const W: usize, F> {
    fft: &'a Fft,
    turns: &'a [[f64; 2]],
    spin: usize,
    lines: &'a mut Lines<W>,
    /// Takes the even and the odd sum of an order, of the one sign of the spin and, but where it is 0, of the other.
    put: F,
}

impl<const W: usize, F: FnMut(usize, usize, [Place<W>; 2])> Work for FromRings<'_, W, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let n = self.fft.len();
        self.lines.transform(self.fft, self.spin, -1.0);
        let lines = &self.lines.lines;
        for (m, turn) in self.turns.iter().enumerate() {
            let [a, b] = around(m, n);
            let back = [turn[0], -turn[1]];
            if self.spin == 0 {
                let (u, v) = (&lines[0][a], &lines[0][b]);
                let (mut x, mut y) = ([[0.0; W]; 2], [[0.0; W]; 2]);
                for l in 0..W {
                    (x[0][l], x[1][l]) = (0.5 * (u[0][l] + v[0][l]), 0.5 * (u[1][l] - v[1][l]));
                    (y[0][l], y[1][l]) = (0.5 * (u[1][l] + v[1][l]), 0.5 * (v[0][l] - u[0][l]));
                }
                if *turn != [1.0, 0.0] {
                    (x, y) = (times(&x, back), times(&y, back));
                }
                (self.put)(m, 0, both(&x, &y));
                continue;
            }
            let (sigma, sign) = signs(m, self.spin);
            let other = if m > 0 { sign } else { 0.0 };
            let (north, south) = (times(&lines[0][a], back), times(&lines[1][a], back));
            let north_back = scaled(&times(&lines[0][b], *turn), [other, -other]);
            let south_back = scaled(&times(&lines[1][b], *turn), [other * sigma, -other * sigma]);
            (self.put)(m, 0, both(&north, &south_back));
            (self.put)(m, 1, both(&north_back, &scaled(&south, [sigma, sigma])));
        }
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
            Places { theta: of(|r| r.theta), cos: of(|r| r.cos), sin: of(|r| r.sin), double: of(|r| r.double) }
        };
        Rings { places: groups.iter().map(places).collect(), groups, ffts }
    }
    /// Of how many groups.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
    /// What `of` says of the rings of each pair of a group, north and south.
    pub(super) fn pairs<T>(&self, g: usize, of: impl Fn(&Ring) -> T) -> Vec<[Option<T>; 2]> {
        let pairs = self.groups.get(g).map(Vec::as_slice).unwrap_or_default();
        pairs.iter().map(|p| [Some(of(&p.north)), p.south.as_ref().map(&of)]).collect()
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
    /// The values of a field of this spin on the rings of group `g`: `put(ring, point, real, imaginary)`, the rings counted as by [`Rings::split`], takes points that follow each other;
    /// for a spin of 0 there are no imaginary parts.
    pub(super) fn synthesis(
        &self,
        g: usize,
        spin: usize,
        band: usize,
        scratch: &mut Scratch,
        phases: impl Fn(usize) -> [Sums; 2],
        mut put: impl FnMut(usize, usize, &[f64], &[f64]),
    ) {
        let Some(pairs) = self.groups.get(g) else { return };
        let one = Part { pairs, at: 0, ring: 0, spin, band };
        if Rings::together(pairs) {
            return self.lanes_up(one, &mut scratch.wide, &phases, &mut put);
        }
        let mut ring = 0;
        for (at, pair) in pairs.iter().enumerate() {
            let pairs = std::slice::from_ref(pair);
            self.lanes_up(Part { pairs, at, ring, ..one }, &mut scratch.narrow, &phases, &mut put);
            ring += 1 + usize::from(pair.south.is_some());
        }
    }
    fn lanes_up<const W: usize>(
        &self,
        Part { pairs, at, ring, spin, band }: Part,
        lines: &mut Lines<W>,
        phases: &impl Fn(usize) -> [Sums; 2],
        put: &mut impl FnMut(usize, usize, &[f64], &[f64]),
    ) {
        let Some(fft) = pairs.first().and_then(|p| self.ffts.get(&p.north.points)) else { return };
        let turns = turns(pairs[0].north.phi, band);
        widest(ToRings::<W, _> { fft, at, turns: &turns, spin, phases, lines });
        let lines = &lines.lines;
        let (mut re, mut im) = ([0.0; BLOCK], [0.0; BLOCK]);
        for first in (0..fft.len()).step_by(BLOCK) {
            let len = BLOCK.min(fft.len() - first);
            let mut ring = ring;
            for (l, pair) in pairs.iter().enumerate() {
                for half in 0..1 + usize::from(pair.south.is_some()) {
                    if spin == 0 {
                        re.iter_mut().zip(&lines[0][first..first + len]).for_each(|(r, v)| *r = v[half][l]);
                        put(ring, first, &re[..len], &[]);
                    } else {
                        let line = &lines[half][first..first + len];
                        re.iter_mut().zip(line).for_each(|(r, v)| *r = v[0][l]);
                        im.iter_mut().zip(line).for_each(|(i, v)| *i = v[1][l]);
                        put(ring, first, &re[..len], &im[..len]);
                    }
                    ring += 1;
                }
            }
        }
    }
    /// The same where all rings have as many points, as they are transformed: for a spin of 0 the north in the real parts of one line and the south in the imaginary ones, otherwise a
    /// line each.
    pub(super) fn lines(&self, spin: usize, band: usize, phases: impl Fn(usize) -> [Sums; 2]) -> Vec<Line<LANES>> {
        let Some(fft) = self.ffts.values().next() else { return Vec::new() };
        let mut lines = Lines::default();
        widest(ToRings { fft, at: 0, turns: &vec![[1.0, 0.0]; band], spin, phases, lines: &mut lines });
        let [one, two] = lines.lines;
        if spin == 0 {
            vec![one]
        } else {
            vec![one, two]
        }
    }
    /// The transpose of [`Rings::lines`]: `sum of X e^(-i m phi)` for each order, as sums; for a spin other than 0 then those for its negative.
    pub(super) fn orders(&self, spin: usize, band: usize, lines: Vec<Line<LANES>>) -> Vec<Sums> {
        let mut out = zeros(spin, band);
        let Some(fft) = self.ffts.values().next() else { return out };
        let mut lines = lines.into_iter();
        let mut next = || lines.next().unwrap_or_default();
        let mut lines = Lines { lines: [next(), next()], spare: Line::zeros(fft.len()) };
        let put = |m: usize, sign: usize, sums: [Place<LANES>; 2]| out[sign * band + m] = sums;
        widest(FromRings { fft, turns: &vec![[1.0, 0.0]; band], spin, lines: &mut lines, put });
        out
    }
    /// What the rings of group `g` give to the sums over colatitudes: `get(ring, point, real, imaginary)` fills in points that follow each other, times their weights; for a spin of 0 there are no
    /// imaginary parts. The sums of each order; for a spin other than 0 then those for its negative.
    pub(super) fn adjoint(
        &self,
        g: usize,
        spin: usize,
        band: usize,
        scratch: &mut Scratch,
        get: impl Fn(&Ring, usize, &mut [f64], &mut [f64]),
    ) -> Vec<Sums> {
        let mut out = zeros(spin, band);
        let Some(pairs) = self.groups.get(g) else { return out };
        let one = Part { pairs, at: 0, ring: 0, spin, band };
        if Rings::together(pairs) {
            self.lanes_down(one, &mut scratch.wide, &get, &mut out);
        } else {
            for (at, pair) in pairs.iter().enumerate() {
                let pairs = std::slice::from_ref(pair);
                self.lanes_down(Part { pairs, at, ..one }, &mut scratch.narrow, &get, &mut out);
            }
        }
        out
    }
    fn lanes_down<const W: usize>(
        &self,
        Part { pairs, at, spin, band, .. }: Part,
        lines: &mut Lines<W>,
        get: &impl Fn(&Ring, usize, &mut [f64], &mut [f64]),
        out: &mut [Sums],
    ) {
        let Some(fft) = pairs.first().and_then(|p| self.ffts.get(&p.north.points)) else { return };
        lines.clear(spin, fft.len());
        let (mut re, mut im) = ([0.0; BLOCK], [0.0; BLOCK]);
        for first in (0..fft.len()).step_by(BLOCK) {
            let len = BLOCK.min(fft.len() - first);
            for (l, pair) in pairs.iter().enumerate() {
                for (half, ring) in [Some(&pair.north), pair.south.as_ref()].into_iter().enumerate() {
                    let Some(ring) = ring else { continue };
                    if spin == 0 {
                        get(ring, first, &mut re[..len], &mut []);
                        lines.lines[0][first..].iter_mut().zip(&re[..len]).for_each(|(v, r)| v[half][l] = *r);
                    } else {
                        get(ring, first, &mut re[..len], &mut im[..len]);
                        let line = &mut lines.lines[half][first..first + len];
                        line.iter_mut().zip(re.iter().zip(&im)).for_each(|(v, (r, i))| (v[0][l], v[1][l]) = (*r, *i));
                    }
                }
            }
        }
        let turns = turns(pairs[0].north.phi, band);
        let put = |m: usize, sign: usize, found: [Place<W>; 2]| {
            let out = &mut out[sign * band + m];
            for parity in 0..2 {
                for part in 0..2 {
                    out[parity][part][at..at + W].copy_from_slice(&found[parity][part]);
                }
            }
        };
        widest(FromRings::<W, _> { fft, turns: &turns, spin, lines, put });
    }
}

/// Pairs of rings that go together: the lane and the number of the first.
#[derive(Clone, Copy)]
struct Part<'a> {
    pairs: &'a [Pair],
    at: usize,
    ring: usize,
    spin: usize,
    band: usize,
}

fn zeros(spin: usize, band: usize) -> Vec<Sums> {
    vec![ZERO; if spin == 0 { band } else { 2 * band }]
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
