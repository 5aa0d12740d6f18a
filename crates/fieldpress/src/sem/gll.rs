//! Gauss-Lobatto-Legendre points: where they are, their weights, and the Legendre polynomials there.
//!
//! Sources: M. O. Deville, P. F. Fischer, E. H. Mund, "High-Order Methods for Incompressible Fluid Flow", 2002, appendix B; the recurrences of
//! M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 1964, 22.7.
//!
//! # Format
//! All arithmetic is in `f64`, each operation rounded, products and sums from the left. The Legendre polynomials at `x` are `p_0 = 1`, `p_1 = x`,
//! `p_(j+1) = ((2 j + 1) x p_j - j p_(j-1)) / (j + 1)`. Of `n` points the last is 1; point `n - 1 - i` for `0 < i < floor(n / 2)` starts at
//! `cos(pi i / (n - 1))`, the cosine being that of the `libm` crate, and takes twelve times the step `x - (x p_(n-1) - p_(n-2)) / (n p_(n-1))`; point `i` is its
//! negative, and the middle of an odd number is 0. The weight of a point is `2 / ((n - 1) n p_(n-1) p_(n-1))`.

use super::Matrix;
use crate::error::{Error, Result};

/// The fewest points along an axis.
pub const MIN_POINTS: usize = 2;
/// The most points along an axis.
pub const MAX_POINTS: usize = 32;
/// Steps of Newton's method; six suffice.
const STEPS: usize = 12;

/// The points of an element along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Gll {
    nodes: Vec<f64>,
    weights: Vec<f64>,
    /// `values[i][j]` is the Legendre polynomial of degree `j` at point `i`.
    values: Matrix,
}

impl Gll {
    /// `n` points from -1 to 1: the ends and the zeros of the derivative of the Legendre polynomial of degree `n - 1`.
    /// Errors: `InvalidArgument` for fewer than 2 or more than 32.
    pub fn new(n: usize) -> Result<Gll> {
        if !(MIN_POINTS..=MAX_POINTS).contains(&n) {
            return Err(Error::invalid(format!(
                "expected {MIN_POINTS} to {MAX_POINTS} points of an element, found {n}"
            )));
        }
        let order = n - 1;
        let real = order as f64;
        let mut nodes = vec![0.0; n];
        // The right half by Newton's method, the left by symmetry; the middle of an odd number is 0.
        for i in 0..n / 2 {
            let mut x = libm::cos(std::f64::consts::PI * i as f64 / real);
            for _ in 0..STEPS {
                let p = legendre(x, order);
                let (last, before) = (p[order], p[order - 1]);
                x -= (x * last - before) / ((real + 1.0) * last);
            }
            let x = if i == 0 { 1.0 } else { x };
            (nodes[n - 1 - i], nodes[i]) = (x, -x);
        }
        let mut values = Matrix::zeros(n, n);
        let mut weights = vec![0.0; n];
        for (i, x) in nodes.iter().enumerate() {
            let p = legendre(*x, order);
            weights[i] = 2.0 / (real * (real + 1.0) * p[order] * p[order]);
            (0..n).for_each(|j| values.set(i, j, p[j]));
        }
        Ok(Gll { nodes, weights, values })
    }
    /// How many points.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
    /// Never: there are at least two.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// The points, rising.
    pub fn nodes(&self) -> &[f64] {
        &self.nodes
    }
    /// The weights of the quadrature, exact for polynomials of degree `2 n - 3`; they add up to 2.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }
    /// The Legendre polynomial of degree `j` at point `i` as row `i`, column `j`.
    pub fn legendre(&self) -> &Matrix {
        &self.values
    }
    /// The transform `T` from coefficients to values: Legendre polynomials that are orthonormal under the quadrature, `T^t W T = 1`. The
    /// factor of degree `j` is `sqrt((2 j + 1) / 2)`, but of the last one `sqrt((n - 1) / 2)`: there the quadrature is not exact.
    pub fn transform(&self) -> Matrix {
        let n = self.len();
        let mut t = self.values.clone();
        for j in 0..n {
            let square = if j + 1 == n { (n - 1) as f64 / 2.0 } else { (2 * j + 1) as f64 / 2.0 };
            (0..n).for_each(|i| t.set(i, j, t.at(i, j) * square.sqrt()));
        }
        t
    }
    /// The matrix that takes the values of a polynomial to those of its derivative.
    pub fn derivative(&self) -> Matrix {
        let n = self.len();
        let (x, last) = (&self.nodes, n - 1);
        let mut d = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                if i != j {
                    d.set(i, j, self.values.at(i, last) / self.values.at(j, last) / (x[i] - x[j]));
                }
            }
        }
        let end = (last * n) as f64 / 4.0;
        d.set(0, 0, -end);
        d.set(last, last, end);
        d
    }
    /// The matrix that takes the values of a polynomial to those at the points of `to`: interpolation, exact for polynomials of degree
    /// `n - 1`. By barycentric weights (J.-P. Berrut, L. N. Trefethen, "Barycentric Lagrange interpolation", 2004).
    pub fn interpolation(&self, to: &Gll) -> Matrix {
        let n = self.len();
        let barycentric: Vec<f64> = (0..n)
            .map(|j| (0..n).filter(|k| *k != j).fold(1.0, |p, k| p * 2.0 * (self.nodes[j] - self.nodes[k])).recip())
            .collect();
        let mut m = Matrix::zeros(to.len(), n);
        for (i, x) in to.nodes.iter().enumerate() {
            if let Some(same) = self.nodes.iter().position(|v| v == x) {
                m.set(i, same, 1.0);
                continue;
            }
            let part = |j: usize| barycentric[j] / (x - self.nodes[j]);
            let sum: f64 = (0..n).fold(0.0, |s, j| s + part(j));
            (0..n).for_each(|j| m.set(i, j, part(j) / sum));
        }
        m
    }
}

/// The Legendre polynomials of degree 0 to `order`, at least 1, at `x`.
fn legendre(x: f64, order: usize) -> Vec<f64> {
    let mut p = vec![1.0, x];
    for j in 1..order {
        let j_real = j as f64;
        p.push(((2.0 * j_real + 1.0) * x * p[j] - j_real * p[j - 1]) / (j_real + 1.0));
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Gll> {
        (MIN_POINTS..=MAX_POINTS).map(|n| Gll::new(n).unwrap())
    }

    #[test]
    fn points_and_weights_are_the_published_ones() {
        let g = Gll::new(8).unwrap();
        let expected = [
            (0.209_299_217_902_478_9, 0.412_458_794_658_703_9),
            (0.591_700_181_433_142_3, 0.341_122_692_483_504_4),
            (0.871_740_148_509_606_6, 0.210_704_227_143_506),
            (1.0, 1.0 / 28.0),
        ];
        for (k, (x, w)) in expected.iter().enumerate() {
            assert!((g.nodes()[4 + k] - x).abs() < 1e-15 && (g.nodes()[3 - k] + x).abs() < 1e-15, "{k}");
            assert!((g.weights()[4 + k] - w).abs() < 1e-15 && (g.weights()[3 - k] - w).abs() < 1e-15, "{k}");
        }
        assert!(Gll::new(1).is_err() && Gll::new(33).is_err());
    }

    #[test]
    fn quadrature_is_exact_for_the_degrees_it_should_be() {
        for g in all() {
            let n = g.len();
            for degree in 0..=2 * n - 3 {
                let sum: f64 = g.nodes().iter().zip(g.weights()).map(|(x, w)| w * libm::pow(*x, degree as f64)).sum();
                let exact = if degree % 2 == 0 { 2.0 / (degree + 1) as f64 } else { 0.0 };
                assert!((sum - exact).abs() < 1e-13, "{n} points, degree {degree}: {sum} {exact}");
            }
            let beyond: f64 =
                g.nodes().iter().zip(g.weights()).map(|(x, w)| w * libm::pow(*x, 2.0 * n as f64 - 2.0)).sum();
            assert!(n > 12 || (beyond - 2.0 / (2 * n - 1) as f64).abs() > 1e-9, "exact beyond its degree with {n}");
        }
    }

    #[test]
    fn the_transform_is_orthonormal_under_the_quadrature() {
        for g in all() {
            let (n, t) = (g.len(), g.transform());
            for j in 0..n {
                for k in 0..n {
                    let sum: f64 = (0..n).map(|i| g.weights()[i] * t.at(i, j) * t.at(i, k)).sum();
                    assert!((sum - f64::from(u8::from(j == k))).abs() < 1e-13, "{n} points, {j} {k}: {sum}");
                }
            }
        }
    }

    #[test]
    fn derivatives_and_interpolation_are_exact_for_polynomials() {
        for g in all() {
            let (n, d) = (g.len(), g.derivative());
            for degree in 0..n {
                let f = |x: f64| libm::pow(x, degree as f64);
                for i in 0..n {
                    let slope: f64 = (0..n).map(|j| d.at(i, j) * f(g.nodes()[j])).sum();
                    let exact = degree as f64 * libm::pow(g.nodes()[i], degree as f64 - 1.0);
                    let exact = if degree == 0 { 0.0 } else { exact };
                    assert!((slope - exact).abs() < 1e-10, "{n} points, degree {degree}: {slope} {exact}");
                }
                for to in [2, 5, n, 31].map(|m| Gll::new(m).unwrap()) {
                    let m = g.interpolation(&to);
                    for (i, x) in to.nodes().iter().enumerate() {
                        let value: f64 = (0..n).map(|j| m.at(i, j) * f(g.nodes()[j])).sum();
                        assert!((value - f(*x)).abs() < 1e-12, "{n} to {} points, degree {degree}", to.len());
                    }
                }
            }
        }
    }
}
