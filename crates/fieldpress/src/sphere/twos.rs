//! Reduced rotation matrices `d^l_m0(theta)`, associated Legendre functions but for their norm, two degrees at a time.
//!
//! Source: K. Ishioka, "A new recurrence formula for efficient computation of spherical harmonic transform", 2018; here in variables that are small where they stand, and with
//! scales that change little from one step to the next.

use super::recursion::{split, Recursion, Steps, ROWS};
use crate::bits::two_sum;

/// Steps beyond the band-limit from which scales are followed downwards.
const BEYOND: usize = 16;

/// With `q_j` of the recursion: `d^(m+2j) = e_j q_j + f_j q_(j-1)` and `d^(m+2j+1) = o_j cos(theta) q_j`, each times the weight of its degree.
pub(super) struct Twos {
    pub(super) recursion: Recursion,
    /// `e_j`, `f_j` and `o_j` side by side, [`Twos::len`] of each; zeros behind the last.
    parts: Vec<f64>,
    /// As many rows at the beginning stand for nothing: weights there, and of what the next row has of them, are 0.
    pub(super) skip: usize,
}

/// Numbers, and what they lack.
#[derive(Clone, Copy)]
struct Fine<'a>(&'a [f64], &'a [f64]);

/// `r_l^2 = (l^2 - m^2) / (4 l^2 - 1)` for every second degree from `m + from` on: `cos p_l = r_(l+1) p_(l+1) + r_l p_(l-1)` for `p_l = sqrt(2l + 1) d^l`.
#[inline(always)]
fn squares(m: usize, from: usize, all: &mut [f64], rests: &mut [f64]) {
    let m = m as f64;
    for (j, (r, rest)) in all.iter_mut().zip(rests).enumerate() {
        let l = m + (from + 2 * j) as f64;
        let (above, below) = ((l - m) * (l + m), (2.0 * l - 1.0) * (2.0 * l + 1.0));
        *r = above / below;
        *rest = (-*r).mul_add(below, above) / below;
    }
}

/// `t_j = r_(m+2j) r_(m+2j+1)`.
#[inline(always)]
fn pairs(even: Fine, odd: Fine, all: &mut [f64], rests: &mut [f64]) {
    let (even, odd) = (even.0.iter().zip(even.1), odd.0.iter().zip(odd.1));
    for ((t, rest), ((x, dx), (y, dy))) in all.iter_mut().zip(&mut *rests).zip(even.zip(odd)) {
        let square = x * y;
        let lack = x.mul_add(*y, -square) + (x * dy + dx * y);
        *t = square.sqrt();
        *rest = ((-*t).mul_add(*t, square) + lack) / (2.0 * *t);
    }
    // The first even root is that of 0.
    (all[0], rests[0]) = (0.0, 0.0);
}

/// 0, then the scales `s_j`: `p_(m+2j+1) = s_j cos q_j`, with `s_j s_(j+1) = 1 / t_(j+1)`.
#[inline(always)]
fn scales(pairs: &[f64], ratios: &mut [f64], scales: &mut [f64]) {
    let n = pairs.len() - 1;
    for (ratio, (t, next)) in ratios.iter_mut().zip(pairs[1..n].iter().zip(&pairs[2..])) {
        *ratio = next / t;
    }
    scales[n] = 1.0 / (pairs[n - 1] * pairs[n]).sqrt().sqrt();
    scales[n + 1] = 1.0 / (scales[n] * pairs[n]);
    let (mut one, mut two) = (scales[n + 1], scales[n]);
    for (s, ratio) in scales[1..n].iter_mut().zip(&*ratios).rev() {
        *s = one * ratio;
        (one, two) = (two, *s);
    }
}

/// `q_(j+1) = a (cos^2 - r_(m+2j+1)^2 - r_(m+2j+2)^2) q_j - (1 + e) q_(j-1)`, of which `e` is what rounding left in the scales: near the pole `q_(j-1)` is almost `q_j`, near the equator almost `-q_j`.
#[inline(always)]
fn steps(count: usize, even: Fine, odd: Fine, pairs: Fine, scales: &[f64]) -> Steps {
    let mut steps = Steps::zeros(count);
    let [a, near, middle, far] = steps.parts(count);
    let (t, dt, up, dup) = (&pairs.0[..count], &pairs.1[..count], &pairs.0[1..=count], &pairs.1[1..=count]);
    let (before, now, next) = (&scales[..count], &scales[1..=count], &scales[2..count + 2]);
    let (x, dx, y, dy) = (&odd.0[..count], &odd.1[..count], &even.0[1..=count], &even.1[1..=count]);
    for j in 0..count {
        let (under, under_rest) = product(next[j], up[j], dup[j]);
        let (back, back_rest) = product(before[j], t[j], dt[j]);
        a[j] = now[j] / under;
        let a_rest = ((-a[j]).mul_add(under, now[j]) - a[j] * under_rest) / under;
        let e = ((back - under) + (back_rest - under_rest)) / under;
        let e = if before[j] == 0.0 { 0.0 } else { e };
        let (square, rest) = two_sum(x[j], y[j]);
        let rest = rest + (dx[j] + dy[j]);
        let times = |from: f64| {
            let (v, dv) = two_sum(from, -square);
            let b = a[j] * v;
            (b, a[j].mul_add(v, -b) + (a[j] * (dv - rest) + a_rest * v))
        };
        let ((b, rest), (c, c_rest), (d, d_rest)) = (times(1.0), times(0.5), times(0.0));
        (near[j], middle[j], far[j]) = (b + (rest - e), c + c_rest, d + (d_rest + e));
    }
    steps
}

/// A number times one and what that lacks.
#[inline(always)]
fn product(v: f64, x: f64, rest: f64) -> (f64, f64) {
    let all = v * x;
    (all, v.mul_add(x, -all) + v * rest)
}

impl Twos {
    /// For an order and the degrees below `band`; weights from degree 0 on.
    #[inline(always)]
    pub(super) fn new(m: usize, band: usize, weights: &[f64]) -> Twos {
        let len = band - m.min(band);
        let count = len.div_ceil(2);
        let all = count + BEYOND + 1;
        let mut work = vec![0.0; 10 * (all + 1)];
        let [even, even_rests, odd, odd_rests, t, t_rests, ratios, s, halves, odd_halves] = split(&mut work, all + 1);
        let (even, even_rests) = (&mut even[..all], &mut even_rests[..all]);
        squares(m, 0, even, even_rests);
        let (odd, odd_rests) = (&mut odd[..all], &mut odd_rests[..all]);
        squares(m, 1, odd, odd_rests);
        let (even, odd) = (Fine(even, even_rests), Fine(odd, odd_rests));
        let (t, t_rests) = (&mut t[..all], &mut t_rests[..all]);
        pairs(even, odd, t, t_rests);
        scales(t, ratios, s);
        let steps = steps(count, even, odd, Fine(t, t_rests), s);
        // Weights over sqrt(2l + 1), of even and odd numbers.
        let weights = weights.get(m..band.min(weights.len())).unwrap_or_default();
        for (half, out) in [&mut *halves, &mut *odd_halves].into_iter().enumerate() {
            for (j, (out, w)) in out.iter_mut().zip(weights.iter().skip(half).step_by(2)).enumerate() {
                *out = w / ((2 * (m + half + 2 * j) + 1) as f64).sqrt();
            }
        }
        let rows = count.next_multiple_of(ROWS) + 1;
        let mut parts = vec![0.0; 3 * rows];
        let [e, f, o] = split(&mut parts, rows);
        let (before, now) = (&s[..count], &s[1..=count]);
        let (halves, odd_halves, roots, odd_roots) =
            (&halves[..count], &odd_halves[..count], &even.0[..count], &odd.0[..count]);
        let (es, fs, os) = (&mut e[..count], &mut f[..count], &mut o[..count]);
        for j in 0..count {
            es[j] = odd_roots[j].sqrt() * now[j] * halves[j];
            fs[j] = roots[j].sqrt() * before[j] * halves[j];
            os[j] = now[j] * odd_halves[j];
        }
        let skip = (0..rows).take_while(|j| e[*j] == 0.0 && f[*j] == 0.0 && o[*j] == 0.0).count().saturating_sub(1);
        // d^m = q_0 / factor.
        let factor = ((2 * m + 1) as f64).sqrt() / (odd.0[0].sqrt() * s[1]);
        Twos { recursion: Recursion::in_twos(m, band, steps, factor), parts, skip }
    }
    /// Rows of each part.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.parts.len() / 3
    }
    /// `e_j`, `f_j` and `o_j`.
    #[inline(always)]
    pub(super) fn parts(&self) -> [&[f64]; 3] {
        let len = self.len();
        [0, 1, 2].map(|part| &self.parts[part * len..][..len])
    }
}

#[cfg(test)]
mod tests {
    use super::super::recursion::{Places, Rows, Take, LANES};
    use super::*;

    /// Rows of the first group.
    struct Each {
        values: Vec<[f64; LANES]>,
    }

    impl Take for Each {
        fn take(&mut self, number: usize, from: usize, rows: &Rows) {
            assert_eq!(from, 0);
            for (out, row) in self.values.iter_mut().skip(number).zip(&rows[0][..ROWS]) {
                *out = *row;
            }
        }
    }

    #[test]
    fn two_at_a_time_are_what_one_at_a_time_gives() {
        // All three forms of the variable, and groups that straddle two of them.
        for (from, step) in [(1e-3, 0.01), (0.4, 0.03), (0.6, 0.04), (1.0, 0.05), (1.3, 0.035)] {
            let theta: [f64; LANES] = std::array::from_fn(|l| from + step * l as f64);
            let (cos, sin) = (theta.map(libm::cos), theta.map(libm::sin));
            let places = [Places { theta, cos, sin, double: theta.map(|t| libm::cos(2.0 * t)) }];
            for band in [1, 2, 9, 40] {
                for m in 0..band {
                    let twos = Twos::new(m, band, &vec![1.0; band]);
                    let ones = Recursion::new(m, 0, band);
                    let mut found = Each { values: vec![[0.0; LANES]; (band - m).div_ceil(2)] };
                    twos.recursion.walk(&places, &mut found);
                    let mut expected = Each { values: vec![[0.0; LANES]; band - m] };
                    ones.walk(&places, &mut expected);
                    let [e, f, o] = twos.parts();
                    for (i, (expected, scale)) in expected.values.iter().zip(ones.scales()).enumerate() {
                        let j = i / 2;
                        for l in 0..LANES {
                            let before = if j > 0 { found.values[j - 1][l] } else { 0.0 };
                            let now = found.values[j][l];
                            let value = if i % 2 == 0 { e[j] * now + f[j] * before } else { o[j] * cos[l] * now };
                            assert!((value - scale * expected[l]).abs() < 2e-15 * band as f64, "{from} {band} {m} {i}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_rows_that_stand_for_nothing_are_skipped() {
        for band in [7, 40] {
            for first in 0..band {
                let weights: Vec<f64> = (0..band).map(|l| if l < first { 0.0 } else { 1.0 }).collect();
                for m in 0..band {
                    let twos = Twos::new(m, band, &weights);
                    let [e, f, o] = twos.parts();
                    for j in 0..twos.skip {
                        assert_eq!([e[j], f[j], o[j], f[j + 1]], [0.0; 4], "{band} {first} {m}");
                    }
                    assert!(twos.skip + 2 >= first.saturating_sub(m) / 2, "{band} {first} {m}");
                }
            }
        }
    }
}
