//! Bases of polynomials on the reference element along one axis, orthonormal in the norm in which errors are to count.
//!
//! Source: G. H. Golub, C. F. Van Loan, "Matrix Computations", 2013, section 5.2 (Gram and Schmidt).
//!
//! # Format
//! All arithmetic is in `f64`, each operation rounded. Polynomial `j` begins as the values at the points of the Legendre polynomial of degree `j`, times the
//! product of `1 + x` where it is to vanish at -1, else 1, and `1 - x` where at 1, else 1. Twice, from each polynomial `b` before in turn, it loses `a b` with
//! `a = sum(w (b v))`, the sum formed from 0 from the first point on; then it is divided by the root of `sum(w (v v))`. There are as many as points where they
//! need not vanish. A coefficient becomes values by a sum over the polynomials, along one axis after the other, formed from 0 in rising order for each point;
//! values become coefficients by the sums over points of the polynomial times the weight, times the value.

use super::{Gll, Matrix};

/// Where along an axis polynomials have to vanish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ends {
    /// At -1.
    pub low: bool,
    /// At 1.
    pub high: bool,
}

impl Ends {
    /// How many of the ends.
    pub fn count(self) -> usize {
        usize::from(self.low) + usize::from(self.high)
    }
}

/// Polynomials of rising degree, as many as there are points where they need not vanish.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// Coefficients to values: column `j` is polynomial `j` at the points, columns beyond the last polynomial are 0.
    pub synthesis: Matrix,
    /// Values to coefficients; rows beyond the last polynomial are 0. For values that vanish where the polynomials do, the inverse.
    pub analysis: Matrix,
    /// How many polynomials.
    pub len: usize,
}

impl Basis {
    /// Polynomials that vanish at `ends`, orthonormal under `weights`, one for each point: those of the quadrature for errors in the
    /// mean square over the element, all 1 for errors at the points. Without ends and with the weights of the quadrature they are the columns of
    /// [`Gll::transform`], but for rounding.
    pub fn new(gll: &Gll, weights: &[f64], ends: Ends) -> Basis {
        let n = gll.len();
        let len = n.saturating_sub(ends.count());
        let mut synthesis = Matrix::zeros(n, n);
        let factor = |x: f64| if ends.low { 1.0 + x } else { 1.0 } * if ends.high { 1.0 - x } else { 1.0 };
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(len);
        for j in 0..len {
            let mut v: Vec<f64> = (0..n).map(|i| factor(gll.nodes()[i]) * gll.legendre().at(i, j)).collect();
            // Gram and Schmidt, twice: what the first leaves is rounding.
            for _ in 0..2 {
                for known in &columns {
                    let along = dot(known, &v, weights);
                    v.iter_mut().zip(known).for_each(|(v, k)| *v -= along * k);
                }
            }
            let size = dot(&v, &v, weights).sqrt();
            v.iter_mut().for_each(|v| *v /= size);
            columns.push(v);
        }
        let mut analysis = Matrix::zeros(n, n);
        for (j, column) in columns.iter().enumerate() {
            for (i, v) in column.iter().enumerate() {
                synthesis.set(i, j, *v);
                analysis.set(j, i, v * weights.get(i).copied().unwrap_or(0.0));
            }
        }
        Basis { synthesis, analysis, len }
    }
}

fn dot(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    a.iter().zip(b).zip(weights).fold(0.0, |s, ((a, b), w)| s + w * (a * b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_orthonormal_vanish_and_are_complete() {
        for n in 2..=32 {
            let gll = Gll::new(n).unwrap();
            for weights in [gll.weights().to_vec(), vec![1.0; n]] {
                for (low, high) in [(false, false), (true, false), (false, true), (true, true)] {
                    let b = Basis::new(&gll, &weights, Ends { low, high });
                    assert_eq!(b.len, n - usize::from(low) - usize::from(high));
                    for j in 0..b.len {
                        for k in 0..b.len {
                            let sum: f64 = (0..n).map(|i| b.analysis.at(j, i) * b.synthesis.at(i, k)).sum();
                            assert!((sum - f64::from(u8::from(j == k))).abs() < 1e-12, "{n} {j} {k}: {sum}");
                        }
                        assert!(!low || b.synthesis.at(0, j).abs() < 1e-14);
                        assert!(!high || b.synthesis.at(n - 1, j).abs() < 1e-14);
                    }
                    // Any values that vanish there come back from their coefficients.
                    let mut v: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 5) as f64 - 1.5).collect();
                    v[0] = if low { 0.0 } else { v[0] };
                    v[n - 1] = if high { 0.0 } else { v[n - 1] };
                    let c: Vec<f64> = (0..n).map(|j| (0..n).map(|i| b.analysis.at(j, i) * v[i]).sum()).collect();
                    for (i, v) in v.iter().enumerate() {
                        let back: f64 = (0..n).map(|j| b.synthesis.at(i, j) * c[j]).sum();
                        assert!((back - v).abs() < 1e-11, "{n} {low} {high}: {back} {v}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_ends_it_is_the_transform_of_legendre() {
        for n in 2..=32 {
            let gll = Gll::new(n).unwrap();
            let (b, t) = (Basis::new(&gll, gll.weights(), Ends::default()), gll.transform());
            for k in 0..n * n {
                assert!((b.synthesis.at(k / n, k % n) - t.at(k / n, k % n)).abs() < 1e-12, "{n}");
            }
        }
    }
}
