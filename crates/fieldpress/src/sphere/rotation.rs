//! Rotated coefficients.
//!
//! Source: D. A. Varshalovich, A. N. Moskalev, V. K. Khersonskii, "Quantum theory of angular momentum", 1988, sections 4.1, 4.3 and 4.4.

use std::f64::consts::PI;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::recursion::{Lanes, Places, Recursion, Rows, Take, LANES};
use super::Harmonics;
use crate::bits::{widest, Work};
use crate::error::{Error, Result};

type C = Complex<f64>;

impl Harmonics {
    /// The coefficients of the map turned by `gamma` about the axis z, then by `beta` about y, then by `alpha` about z, all in radians and by the right-hand rule:
    /// `f'_lm = sum_n D^l_mn f_ln` with `D^l_mn = e^(-i m alpha) d^l_mn(beta) e^(-i n gamma)`. What was at the north pole is then at colatitude `beta`, longitude
    /// `alpha`; turning by `-gamma`, `-beta`, `-alpha` undoes it. Takes `O(L^3)`. Errors: `InvalidArgument` for angles that are not finite.
    pub fn rotated(&self, alpha: f64, beta: f64, gamma: f64) -> Result<Harmonics> {
        if ![alpha, beta, gamma].iter().all(|a| a.is_finite()) {
            return Err(Error::invalid(format!("expected finite angles, found {alpha}, {beta}, {gamma}")));
        }
        // Between the poles: beyond the southern one it is the other way round, from the other side.
        let turn = beta.rem_euclid(2.0 * PI);
        let (beta, half) = if turn > PI { (2.0 * PI - turn, PI) } else { (turn, 0.0) };
        let (alpha, gamma) = (alpha + half, gamma + half);
        let band = self.band();
        let turned: Vec<Vec<C>> = (0..band).map(|n| times(self.order(n), phase(n, gamma))).collect();
        let orders: Vec<Vec<C>> =
            (0..band).into_par_iter().map(|m| widest(Order { m, beta, turned: &turned })).collect();
        let mut all = Harmonics::zeros(band)?;
        for (m, order) in orders.iter().enumerate() {
            all.order_mut(m).copy_from_slice(&times(order, phase(m, alpha)));
        }
        all.order_mut(0).iter_mut().for_each(|v| v.im = 0.0);
        Ok(all)
    }
}

fn times(values: &[C], factor: C) -> Vec<C> {
    values.iter().map(|v| v * factor).collect()
}

/// `e^(-i m angle)`.
fn phase(m: usize, angle: f64) -> C {
    let turn = m as f64 * angle;
    C::new(libm::cos(turn), -libm::sin(turn))
}

/// `sum_n d^l_mn(beta) f_ln` for one `m`, from degree `m` on.
struct Order<'a> {
    m: usize,
    beta: f64,
    turned: &'a [Vec<C>],
}

/// Adds what the orders `n` and `-n` give together, since `f_(l,-n) = (-1)^n conj(f_ln)`.
struct Both<'a> {
    n: usize,
    /// The lesser of the two orders.
    lesser: usize,
    scales: &'a [f64],
    /// From the first degree of the recursion on.
    from: &'a [C],
    to: &'a mut [C],
}

impl Take for Both<'_> {
    #[inline(always)]
    fn take(&mut self, number: usize, _from: usize, rows: &Rows) {
        let degrees = self.scales.iter().zip(self.from).zip(self.to.iter_mut()).skip(number);
        for (i, (row, ((s, v), sum))) in rows[0].iter().zip(degrees).enumerate() {
            // At pi - beta there is (-1)^(l+m) d^l_(m,-n)(beta).
            let other = if (self.lesser + i).is_multiple_of(2) { row[1] } else { -row[1] };
            let (plus, minus) = (s * (row[0] + other), s * (row[0] - other));
            if self.n == 0 {
                *sum += v * (s * row[0]);
            } else {
                *sum += C::new(v.re * plus, v.im * minus);
            }
        }
    }
}

impl Work for Order<'_> {
    type Output = Vec<C>;
    #[inline(always)]
    fn run(self) -> Vec<C> {
        let band = self.turned.len();
        let mut to = vec![C::default(); band - self.m];
        let south = PI - self.beta;
        let mut theta: Lanes = [self.beta; LANES];
        theta[1] = south;
        let (cos, sin) = (libm::cos(self.beta), libm::sin(self.beta));
        let mut cosines = [cos; LANES];
        cosines[1] = -cos;
        let places = [Places { theta, cos: cosines, sin: [sin; LANES], double: [libm::cos(2.0 * self.beta); LANES] }];
        for (n, values) in self.turned.iter().enumerate() {
            let recursion = Recursion::new(self.m, n as i64, band);
            let first = recursion.first();
            let (Some(from), Some(to)) = (values.get(first - n..), to.get_mut(first - self.m..)) else { continue };
            recursion.walk(&places, &mut Both { n, lesser: n.min(self.m), scales: recursion.scales(), from, to });
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grid, Sampling, Transform};
    use super::*;

    fn noise(band: usize) -> Harmonics {
        super::super::testing::noise(band, |_| 1.0)
    }

    fn apart(a: &Harmonics, b: &Harmonics) -> f64 {
        a.values().iter().zip(b.values()).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max)
    }

    const ANGLES: [[f64; 3]; 7] = [
        [0.3, 0.7, -1.2],
        [2.0, 1.5, 0.4],
        [-0.9, 3.0, 5.0],
        [0.1, -0.6, 0.2],
        [1.0, 4.0, 7.0],
        [0.5, 0.0, 0.25],
        [0.5, PI, 0.25],
    ];

    /// `sum_lm f_lm Y_lm`, with associated Legendre functions by the recursion in the degree.
    fn value(h: &Harmonics, [x, y, z]: [f64; 3]) -> f64 {
        let (sin, phi) = ((x * x + y * y).sqrt(), libm::atan2(y, x));
        let (mut sum, mut start) = (0.0, (0.25 / PI).sqrt());
        for m in 0..h.band() {
            if m > 0 {
                start *= -sin * ((2 * m + 1) as f64 / (2 * m) as f64).sqrt();
            }
            let root = |l: usize| ((4 * l * l - 1) as f64 / (l * l - m * m) as f64).sqrt();
            let (mut before, mut now) = (0.0, start);
            let turn = C::new(libm::cos(m as f64 * phi), libm::sin(m as f64 * phi));
            for l in m..h.band() {
                sum += if m == 0 { 1.0 } else { 2.0 } * (h.at(l, m) * turn).re * now;
                let back = if l > m { before / root(l) } else { 0.0 };
                (before, now) = (now, root(l + 1) * (z * now - back));
            }
        }
        sum
    }

    fn about_y([x, y, z]: [f64; 3], b: f64) -> [f64; 3] {
        [libm::cos(b) * x + libm::sin(b) * z, y, libm::cos(b) * z - libm::sin(b) * x]
    }

    fn about_z([x, y, z]: [f64; 3], a: f64) -> [f64; 3] {
        [libm::cos(a) * x - libm::sin(a) * y, libm::sin(a) * x + libm::cos(a) * y, z]
    }

    #[test]
    fn the_spectrum_stays_and_the_inverse_undoes() {
        for band in [1, 2, 3, 17, 64] {
            let h = noise(band);
            for [a, b, g] in ANGLES {
                let turned = h.rotated(a, b, g).unwrap();
                for (x, y) in h.spectrum().iter().zip(turned.spectrum()) {
                    assert!((x - y).abs() < 1e-12, "{band} {a} {b} {g}: {x} {y}");
                }
                let error = apart(&turned.rotated(-g, -b, -a).unwrap(), &h);
                assert!(error < 1e-12, "{band} {a} {b} {g}: {error}");
            }
        }
    }

    #[test]
    fn a_dipole_follows_its_axis() {
        let mut h = Harmonics::zeros(2).unwrap();
        h.order_mut(0)[1].re = 1.0;
        let (a, b) = (0.8, 0.6);
        let turned = h.rotated(a, b, 0.3).unwrap();
        assert!((turned.at(1, 0).re - libm::cos(b)).abs() < 1e-15);
        let expected = C::new(libm::cos(a), -libm::sin(a)) * -libm::sin(b) / 2f64.sqrt();
        assert!((turned.at(1, 1) - expected).norm() < 1e-15);
        assert_eq!(h.rotated(0.0, 0.0, 0.0).unwrap(), h);
        assert!(h.rotated(f64::NAN, 0.0, 0.0).is_err() && h.rotated(0.0, f64::INFINITY, 0.0).is_err());
    }

    #[test]
    fn the_map_is_turned() {
        let h = noise(12);
        let transform = Transform::new(Grid::new(Sampling::Mw, 12).unwrap()).unwrap();
        for [a, b, g] in ANGLES {
            let map = transform.synthesis(&h.rotated(a, b, g).unwrap()).unwrap();
            for ring in transform.grid().rings() {
                for p in (0..ring.points).step_by(5) {
                    let phi = ring.phi + 2.0 * PI * p as f64 / ring.points as f64;
                    let here = [ring.sin * libm::cos(phi), ring.sin * libm::sin(phi), ring.cos];
                    // Where it was before.
                    let there = about_z(about_y(about_z(here, -a), -b), -g);
                    let (found, expected) = (map[ring.first + p], value(&h, there));
                    assert!((found - expected).abs() < 1e-11, "{a} {b} {g} {phi}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn many_degrees_lose_little() {
        let h = noise(256);
        let back = h.rotated(0.3, 0.02, 1.0).unwrap().rotated(-1.0, -0.02, -0.3).unwrap();
        assert!(apart(&back, &h) < 1e-11);
        let back = h.rotated(0.3, 2.0, 1.0).unwrap().rotated(-1.0, -2.0, -0.3).unwrap();
        assert!(apart(&back, &h) < 1e-11);
    }
}
