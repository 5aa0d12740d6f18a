//! The sums over degrees, and over colatitudes, of which transforms on the sphere are made: many columns of coefficients at a time.
//!
//! For a spin of 0 two degrees go at a time, see [`Twos`]; otherwise one. With the numbers of degrees counted from the first one, `d^l_mn(theta)` at the colatitudes of the northern half stands for the southern half as well, since
//! `d^l_mn(pi - theta) = (-1)^(l+m) d^l_(m,-n)(theta)`: sums over even and over odd numbers are kept apart.

use rustfft::num_complex::Complex;

use super::line::Line;
use super::recursion::{Lanes, Places, Recursion, Rows, Take, GROUPS, LANES, ROWS};
use super::twos::Twos;
use crate::bits::Work;

type C = Complex<f64>;

/// Sums over even and over odd numbers of degrees: real and imaginary parts at the colatitudes of a group.
pub(super) type Sums = [[Lanes; 2]; 2];

/// No sums yet.
pub(super) const ZERO: Sums = [[[0.0; LANES]; 2]; 2];

/// So many of them, where they are added to and read fastest: two places of a line each.
pub(super) fn aligned(count: usize) -> Line<LANES> {
    Line::zeros(2 * count)
}

/// The orders, the degrees below `band`, what each degree is weighted with, from degree 0 on.
#[derive(Clone, Copy)]
pub(super) struct Orders<'a> {
    pub(super) m: usize,
    pub(super) n: i64,
    pub(super) band: usize,
    pub(super) weights: &'a [f64],
}

impl Orders<'_> {
    /// The recursion and the weight of each degree from the first on.
    #[inline(always)]
    fn ready(&self) -> (Recursion, Vec<f64>) {
        let recursion = Recursion::new(self.m, self.n, self.band);
        let weights = self.weights.get(recursion.first()..).unwrap_or_default();
        let weights = recursion.scales().iter().zip(weights).map(|(s, w)| s * w).collect();
        (recursion, weights)
    }
}

/// Multiplies the sums over odd numbers of every column with the cosine.
#[inline(always)]
fn turn(sums: &mut [Sums], places: &[Places]) {
    for column in sums.chunks_exact_mut(places.len().max(1)) {
        for (sums, place) in column.iter_mut().zip(places) {
            for part in &mut sums[1] {
                part.iter_mut().zip(&place.cos).for_each(|(v, cos)| *v *= cos);
            }
        }
    }
}

/// Coefficients of an order to sums at every group of colatitudes.
pub(super) struct Up<'a> {
    pub(super) orders: Orders<'a>,
    pub(super) places: &'a [Places],
    /// From degree `m` on.
    pub(super) columns: &'a [&'a [C]],
    /// The groups of each column side by side, to be filled.
    pub(super) sums: &'a mut [Sums],
}

/// One degree at a time.
struct Rising<'a> {
    /// Of each column, real and imaginary parts.
    coefficients: &'a [Vec<[f64; 2]>],
    /// Before it all weights are 0.
    skip: usize,
    sums: &'a mut [Sums],
    /// Of each column, and of which those from `chunk` on are in work.
    groups: usize,
    chunk: usize,
    count: usize,
}

#[inline(always)]
fn add(sum: &mut Lanes, factor: f64, v: &Lanes) {
    for l in 0..LANES {
        sum[l] = factor.mul_add(v[l], sum[l]);
    }
}

impl Take for Rising<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, from: usize, rows: &Rows) {
        if number + ROWS <= self.skip {
            return;
        }
        for (column, sums) in self.coefficients.iter().zip(self.sums.chunks_exact_mut(self.groups)) {
            let Some(values) = column.get(number..number + ROWS) else { continue };
            let sums = &mut sums[self.chunk..self.chunk + self.count];
            let mut g = from;
            // Two groups at a time: eight sums that do not wait for each other.
            while g + 1 < self.count {
                let (mut one, mut two) = (sums[g], sums[g + 1]);
                for i in (0..ROWS).step_by(2) {
                    for odd in 0..2 {
                        let v = values[i + odd];
                        for part in 0..2 {
                            add(&mut one[odd][part], v[part], &rows[g][i + odd]);
                            add(&mut two[odd][part], v[part], &rows[g + 1][i + odd]);
                        }
                    }
                }
                (sums[g], sums[g + 1]) = (one, two);
                g += 2;
            }
            if g < self.count {
                let mut one = sums[g];
                for i in (0..ROWS).step_by(2) {
                    for odd in 0..2 {
                        for part in 0..2 {
                            add(&mut one[odd][part], values[i + odd][part], &rows[g][i + odd]);
                        }
                    }
                }
                sums[g] = one;
            }
        }
    }
}

/// Two degrees at a time.
struct RisingTwos<'a> {
    /// Of each column, real and imaginary part of what goes to the even numbers and to the odd.
    coefficients: &'a [Vec<[f64; 4]>],
    skip: usize,
    sums: &'a mut [Sums],
    groups: usize,
    chunk: usize,
    count: usize,
}

impl Take for RisingTwos<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, from: usize, rows: &Rows) {
        if number + ROWS <= self.skip {
            return;
        }
        for (column, sums) in self.coefficients.iter().zip(self.sums.chunks_exact_mut(self.groups)) {
            let Some(values) = column.get(number..number + ROWS) else { continue };
            let sums = &mut sums[self.chunk..self.chunk + self.count];
            let mut g = from;
            while g + 1 < self.count {
                let (mut one, mut two) = (sums[g], sums[g + 1]);
                for i in 0..ROWS {
                    let v = values[i];
                    for odd in 0..2 {
                        for part in 0..2 {
                            add(&mut one[odd][part], v[2 * odd + part], &rows[g][i]);
                            add(&mut two[odd][part], v[2 * odd + part], &rows[g + 1][i]);
                        }
                    }
                }
                (sums[g], sums[g + 1]) = (one, two);
                g += 2;
            }
            if g < self.count {
                let mut one = sums[g];
                for i in 0..ROWS {
                    for odd in 0..2 {
                        for part in 0..2 {
                            add(&mut one[odd][part], values[i][2 * odd + part], &rows[g][i]);
                        }
                    }
                }
                sums[g] = one;
            }
        }
    }
}

impl Up<'_> {
    #[inline(always)]
    fn ones(self) {
        let (recursion, weights) = self.orders.ready();
        let behind = recursion.first() - self.orders.m;
        let len = weights.len().next_multiple_of(ROWS);
        // Columns apart: many small pieces of memory are had sooner than a large one.
        let mut coefficients = vec![vec![[0.0; 2]; len]; self.columns.len()];
        for (column, out) in self.columns.iter().zip(&mut coefficients) {
            let values = column.get(behind..).unwrap_or_default();
            for (out, (v, w)) in out.iter_mut().zip(values.iter().zip(&weights)) {
                *out = [v.re * w, v.im * w];
            }
        }
        let skip = weights.iter().take_while(|w| **w == 0.0).count();
        let groups = self.places.len();
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let coefficients = &coefficients;
            recursion.walk(places, &mut Rising { coefficients, skip, sums: self.sums, groups, chunk, count });
        }
    }
    #[inline(always)]
    fn twos(self) {
        let Orders { m, band, weights, .. } = self.orders;
        let twos = Twos::new(m, band, weights);
        let [e, f, o] = twos.parts();
        let mut coefficients = vec![vec![[0.0; 4]; twos.len()]; self.columns.len()];
        for (column, out) in self.columns.iter().zip(&mut coefficients) {
            let parts = e.iter().zip(f.iter().skip(1)).zip(o).take(column.len().div_ceil(2));
            for (j, (out, ((e, f), o))) in out.iter_mut().zip(parts).enumerate() {
                let at = |i: usize| column.get(i).copied().unwrap_or_default();
                let (x, y, z) = (at(2 * j), at(2 * j + 1), at(2 * j + 2));
                *out = [e * x.re + f * z.re, e * x.im + f * z.im, o * y.re, o * y.im];
            }
        }
        let (skip, groups) = (twos.skip, self.places.len());
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let coefficients = &coefficients;
            let taker = &mut RisingTwos { coefficients, skip, sums: self.sums, groups, chunk, count };
            twos.recursion.walk(places, taker);
        }
        turn(self.sums, self.places);
    }
}

impl Work for Up<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // Written before it is read: memory that is read first is mapped twice.
        self.sums.fill(ZERO);
        if self.orders.n == 0 {
            self.twos();
        } else {
            self.ones();
        }
    }
}

/// Sums at every group of colatitudes to coefficients of an order: the transpose of [`Up`].
pub(super) struct Down<'a> {
    pub(super) orders: Orders<'a>,
    pub(super) places: &'a [Places],
    /// The groups of each column side by side; those over odd numbers may be changed.
    pub(super) sums: &'a mut [Sums],
    /// From degree `m` on. They are added to; degrees at the band-limit or beyond are left alone.
    pub(super) columns: &'a mut [&'a mut [C]],
}

/// One degree at a time.
struct Falling<'a> {
    /// Of each column, real and imaginary parts by number, the lanes apart: they are added up at the end.
    found: &'a mut [Line<LANES>],
    skip: usize,
    sums: &'a [Sums],
    groups: usize,
    chunk: usize,
    count: usize,
}

#[inline(always)]
fn fused(sum: &mut Lanes, a: &Lanes, b: &Lanes) {
    for l in 0..LANES {
        sum[l] = a[l].mul_add(b[l], sum[l]);
    }
}

/// In a fixed order.
#[inline(always)]
fn total(v: &Lanes) -> f64 {
    let half: [f64; 4] = std::array::from_fn(|i| v[i] + v[i + 4]);
    (half[0] + half[2]) + (half[1] + half[3])
}

impl Take for Falling<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, from: usize, rows: &Rows) {
        if number + ROWS <= self.skip {
            return;
        }
        for (column, sums) in self.found.iter_mut().zip(self.sums.chunks_exact(self.groups)) {
            let Some(values) = column.get_mut(number..number + ROWS) else { continue };
            let sums = &sums[self.chunk..self.chunk + self.count];
            for (i, v) in values.chunks_exact_mut(4).enumerate() {
                let i = 4 * i;
                let [mut a, mut b] = v[0];
                let [mut c, mut d] = v[1];
                let [mut e, mut f] = v[2];
                let [mut g, mut h] = v[3];
                for (sums, rows) in sums.iter().zip(rows).skip(from) {
                    let [[even_re, even_im], [odd_re, odd_im]] = sums;
                    fused(&mut a, even_re, &rows[i]);
                    fused(&mut b, even_im, &rows[i]);
                    fused(&mut c, odd_re, &rows[i + 1]);
                    fused(&mut d, odd_im, &rows[i + 1]);
                    fused(&mut e, even_re, &rows[i + 2]);
                    fused(&mut f, even_im, &rows[i + 2]);
                    fused(&mut g, odd_re, &rows[i + 3]);
                    fused(&mut h, odd_im, &rows[i + 3]);
                }
                (v[0], v[1], v[2], v[3]) = ([a, b], [c, d], [e, f], [g, h]);
            }
        }
    }
}

/// Two degrees at a time.
struct FallingTwos<'a> {
    /// Of each column, real and imaginary part of the even and the odd number.
    found: &'a mut [Line<LANES>],
    skip: usize,
    /// Those of odd numbers times the cosine.
    sums: &'a [Sums],
    groups: usize,
    chunk: usize,
    count: usize,
}

impl Take for FallingTwos<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, from: usize, rows: &Rows) {
        if number + ROWS <= self.skip {
            return;
        }
        for (column, sums) in self.found.iter_mut().zip(self.sums.chunks_exact(self.groups)) {
            let column: &mut [Sums] = column.as_chunks_mut().0;
            let Some(values) = column.get_mut(number..number + ROWS) else { continue };
            let sums = &sums[self.chunk..self.chunk + self.count];
            for (i, v) in values.chunks_exact_mut(2).enumerate() {
                let i = 2 * i;
                let [[mut a, mut b], [mut c, mut d]] = v[0];
                let [[mut e, mut f], [mut g, mut h]] = v[1];
                for (sums, rows) in sums.iter().zip(rows).skip(from) {
                    let [[even_re, even_im], [odd_re, odd_im]] = sums;
                    fused(&mut a, even_re, &rows[i]);
                    fused(&mut b, even_im, &rows[i]);
                    fused(&mut c, odd_re, &rows[i]);
                    fused(&mut d, odd_im, &rows[i]);
                    fused(&mut e, even_re, &rows[i + 1]);
                    fused(&mut f, even_im, &rows[i + 1]);
                    fused(&mut g, odd_re, &rows[i + 1]);
                    fused(&mut h, odd_im, &rows[i + 1]);
                }
                (v[0], v[1]) = ([[a, b], [c, d]], [[e, f], [g, h]]);
            }
        }
    }
}

impl Down<'_> {
    #[inline(always)]
    fn ones(self) {
        let (recursion, weights) = self.orders.ready();
        let len = weights.len().next_multiple_of(ROWS);
        let mut found: Vec<Line<LANES>> = self.columns.iter().map(|_| Line::zeros(len)).collect();
        let skip = weights.iter().take_while(|w| **w == 0.0).count();
        let groups = self.places.len();
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let found = &mut found;
            recursion.walk(places, &mut Falling { found, skip, sums: self.sums, groups, chunk, count });
        }
        let behind = recursion.first() - self.orders.m;
        for (column, found) in self.columns.iter_mut().zip(&found) {
            let values = column.get_mut(behind..).unwrap_or_default();
            for (v, (f, w)) in values.iter_mut().zip(found.iter().zip(&weights)) {
                *v += C::new(total(&f[0]) * w, total(&f[1]) * w);
            }
        }
    }
    #[inline(always)]
    fn twos(self) {
        let Orders { m, band, weights, .. } = self.orders;
        let twos = Twos::new(m, band, weights);
        let [e, f, o] = twos.parts();
        let mut found: Vec<Line<LANES>> = self.columns.iter().map(|_| aligned(twos.len())).collect();
        let (skip, groups) = (twos.skip, self.places.len());
        turn(self.sums, self.places);
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let taker = &mut FallingTwos { found: &mut found, skip, sums: self.sums, groups, chunk, count };
            twos.recursion.walk(places, taker);
        }
        for (column, found) in self.columns.iter_mut().zip(&found) {
            let found: &[Sums] = found.as_chunks().0;
            let mut before = [0.0; 2];
            for ((pair, found), ((e, f), o)) in column.chunks_mut(2).zip(found).zip(e.iter().zip(f).zip(o)) {
                let [[x, y], [u, v]] = found.map(|parts| parts.map(|lanes| total(&lanes)));
                pair[0] += C::new(e * x + f * before[0], e * y + f * before[1]);
                if let Some(second) = pair.get_mut(1) {
                    *second += C::new(o * u, o * v);
                }
                before = [x, y];
            }
        }
    }
}

impl Work for Down<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        if self.orders.n == 0 {
            self.twos();
        } else {
            self.ones();
        }
    }
}
