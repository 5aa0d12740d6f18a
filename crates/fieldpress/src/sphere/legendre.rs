//! The sums over degrees, and over colatitudes, of which transforms on the sphere are made: many columns of coefficients at a time.
//!
//! With the numbers of degrees counted from the first one, `d^l_mn(theta)` at the colatitudes of the northern half stands for the southern half as well, since
//! `d^l_mn(pi - theta) = (-1)^(l+m) d^l_(m,-n)(theta)`: sums over even and over odd numbers are kept apart.

use rustfft::num_complex::Complex;

use super::recursion::{Lanes, Places, Recursion, Rows, Take, GROUPS, LANES, ROWS};
use crate::bits::Work;

type C = Complex<f64>;

/// Sums over even and over odd numbers of degrees: real and imaginary parts at the colatitudes of a group.
pub(super) type Sums = [[Lanes; 2]; 2];

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

/// Coefficients of an order to sums at every group of colatitudes.
pub(super) struct Up<'a> {
    pub(super) orders: Orders<'a>,
    pub(super) places: &'a [Places],
    /// From degree `m` on.
    pub(super) columns: &'a [&'a [C]],
    /// The groups of each column side by side. They are added to.
    pub(super) sums: &'a mut [Sums],
}

struct Rising<'a> {
    coefficients: &'a [Vec<[f64; 2]>],
    /// Before it all weights are 0.
    skip: usize,
    sums: &'a mut [Sums],
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
                        let (v, row) = (values[i + odd], &rows[i + odd]);
                        for part in 0..2 {
                            add(&mut one[odd][part], v[part], &row[g]);
                            add(&mut two[odd][part], v[part], &row[g + 1]);
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
                            add(&mut one[odd][part], values[i + odd][part], &rows[i + odd][g]);
                        }
                    }
                }
                sums[g] = one;
            }
        }
    }
}

impl Work for Up<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (recursion, weights) = self.orders.ready();
        let behind = recursion.first() - self.orders.m;
        let scaled = |column: &&[C]| -> Vec<[f64; 2]> {
            let values = column.get(behind..).unwrap_or_default();
            let mut out: Vec<[f64; 2]> = values.iter().zip(&weights).map(|(v, w)| [v.re * w, v.im * w]).collect();
            out.resize(weights.len().next_multiple_of(ROWS), [0.0; 2]);
            out
        };
        let coefficients: Vec<Vec<[f64; 2]>> = self.columns.iter().map(scaled).collect();
        let groups = self.places.len();
        let skip = weights.iter().take_while(|w| **w == 0.0).count();
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let mut rising = Rising { coefficients: &coefficients, skip, sums: self.sums, groups, chunk, count };
            recursion.walk(places, &mut rising);
        }
    }
}

/// Sums at every group of colatitudes to coefficients of an order: the transpose of [`Up`].
pub(super) struct Down<'a> {
    pub(super) orders: Orders<'a>,
    pub(super) places: &'a [Places],
    /// The groups of each column side by side.
    pub(super) sums: &'a [Sums],
    /// From degree `m` on. They are added to; degrees at the band-limit or beyond are left alone.
    pub(super) columns: &'a mut [&'a mut [C]],
}

struct Falling<'a> {
    /// Real and imaginary parts by number, the lanes apart: they are added up at the end.
    found: &'a mut [Vec<[Lanes; 2]>],
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
                let mut all = [v[0][0], v[0][1], v[1][0], v[1][1], v[2][0], v[2][1], v[3][0], v[3][1]];
                for (g, sums) in sums.iter().enumerate().skip(from) {
                    let [r0, r1, r2, r3] = [&rows[i][g], &rows[i + 1][g], &rows[i + 2][g], &rows[i + 3][g]];
                    let [[even_re, even_im], [odd_re, odd_im]] = sums;
                    fused(&mut all[0], even_re, r0);
                    fused(&mut all[1], even_im, r0);
                    fused(&mut all[2], odd_re, r1);
                    fused(&mut all[3], odd_im, r1);
                    fused(&mut all[4], even_re, r2);
                    fused(&mut all[5], even_im, r2);
                    fused(&mut all[6], odd_re, r3);
                    fused(&mut all[7], odd_im, r3);
                }
                for (v, all) in v.iter_mut().zip(all.chunks_exact(2)) {
                    *v = [all[0], all[1]];
                }
            }
        }
    }
}

impl Work for Down<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (recursion, weights) = self.orders.ready();
        let len = weights.len().next_multiple_of(ROWS);
        let mut found = vec![vec![[[0.0; LANES]; 2]; len]; self.columns.len()];
        let groups = self.places.len();
        let skip = weights.iter().take_while(|w| **w == 0.0).count();
        for (c, places) in self.places.chunks(GROUPS).enumerate() {
            let (chunk, count) = (c * GROUPS, places.len());
            let mut falling = Falling { found: &mut found, skip, sums: self.sums, groups, chunk, count };
            recursion.walk(places, &mut falling);
        }
        let behind = recursion.first() - self.orders.m;
        for (column, found) in self.columns.iter_mut().zip(&found) {
            let values = column.get_mut(behind..).unwrap_or_default();
            for (v, (f, w)) in values.iter_mut().zip(found.iter().zip(&weights)) {
                *v += C::new(total(&f[0]) * w, total(&f[1]) * w);
            }
        }
    }
}
