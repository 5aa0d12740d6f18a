//! Eigenvectors of real symmetric matrices: reflections to tridiagonal form, then implicit QL steps.
//!
//! Sources: R. S. Martin, C. Reinsch, J. H. Wilkinson, "Householder's tridiagonalization of a symmetric matrix", 1968; A.
//! Dubrulle, R. S. Martin, J. H. Wilkinson, "The implicit QL algorithm", 1968. Loops run in a fixed order, so that the same
//! matrix always has the same vectors, bit for bit. About `9 n^3` operations: 0.6 s for `n` = 512.

use crate::bits::{widest, Work};
use crate::error::{Error, Result};

/// Steps per eigenvalue; two or three are usual. What has not converged then is orthonormal all the same.
const MAX_STEPS: usize = 40;

/// Orthonormal eigenvectors of the symmetric matrix `a`, `n` rows of `n` values: one a row, by falling eigenvalue.
/// Errors: `InvalidArgument` unless there are `n * n` finite values.
pub fn eigenvectors(a: &[f64], n: usize) -> Result<Vec<f64>> {
    if n.checked_mul(n) != Some(a.len()) || !a.iter().all(|v| v.is_finite()) {
        return Err(Error::invalid(format!("expected {n} rows of {n} finite values, found {} values", a.len())));
    }
    if n == 0 {
        return Ok(Vec::new());
    }
    let (diagonal, rows) = widest(Solve { a, n });
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]));
    Ok(order.iter().flat_map(|&i| rows[i * n..(i + 1) * n].iter().copied()).collect())
}

struct Solve<'a> {
    a: &'a [f64],
    n: usize,
}

impl Work for Solve<'_> {
    /// Eigenvalues, and eigenvectors as rows.
    type Output = (Vec<f64>, Vec<f64>);
    #[inline(always)]
    fn run(self) -> Self::Output {
        let (mut diagonal, mut beside, mut rows) = tridiagonal(self.a.to_vec(), self.n);
        ql(&mut diagonal, &mut beside, &mut rows, self.n);
        (diagonal, rows)
    }
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `to += f * v`
#[inline(always)]
fn add(to: &mut [f64], f: f64, v: &[f64]) {
    to.iter_mut().zip(v).for_each(|(t, v)| *t += f * v);
}

/// `T`, its diagonal and what is beside it, and the rows of `Q` with `a = Q^T T Q`.
#[inline(always)]
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut rows = vec![0.0; n * n];
    rows.iter_mut().step_by(n + 1).for_each(|v| *v = 1.0);
    let mut beside = vec![0.0; n];
    for k in 0..n.saturating_sub(1) {
        // The reflection I - v v^T turns column `k` below the diagonal into one value.
        let mut v = a[k * n + k + 1..(k + 1) * n].to_vec();
        let norm = dot(&v, &v).sqrt();
        let length = if v[0] > 0.0 { -norm } else { norm };
        beside[k] = length;
        if k + 2 == n || norm < f64::MIN_POSITIVE {
            beside[k] = v[0];
            continue;
        }
        v[0] -= length;
        let scale = (2.0 / dot(&v, &v)).sqrt();
        if !scale.is_finite() {
            beside[k] = 0.0;
            continue;
        }
        v.iter_mut().for_each(|v| *v *= scale);
        // Both sides at once: a - v w^T - w v^T with w = a v - (v^T a v / 2) v.
        let part = |i: usize| (k + 1 + i) * n + k + 1..(k + 2 + i) * n;
        let mut w = vec![0.0; v.len()];
        for (i, v) in v.iter().enumerate() {
            add(&mut w, *v, &a[part(i)]);
        }
        let half = dot(&v, &w) / 2.0;
        add(&mut w, -half, &v);
        for i in 0..v.len() {
            let row = part(i);
            add(&mut a[row.clone()], -v[i], &w);
            add(&mut a[row], -w[i], &v);
        }
        // Q grows on the left.
        let mut sums = vec![0.0; n];
        for (row, v) in rows[(k + 1) * n..].chunks_exact(n).zip(&v) {
            add(&mut sums, *v, row);
        }
        for (row, v) in rows[(k + 1) * n..].chunks_exact_mut(n).zip(&v) {
            add(row, -v, &sums);
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), beside, rows)
}

/// Makes `beside` vanish by rotations of neighbouring `rows`; the diagonal becomes the eigenvalues.
#[inline(always)]
fn ql(diagonal: &mut [f64], beside: &mut [f64], rows: &mut [f64], n: usize) {
    for l in 0..n {
        for _ in 0..MAX_STEPS {
            // The block that begins at `l` ends where the next value beside the diagonal is negligible.
            let small = |&m: &usize| beside[m].abs() <= f64::EPSILON * (diagonal[m].abs() + diagonal[m + 1].abs());
            let end = (l..n - 1).find(small).unwrap_or(n - 1);
            if end == l {
                break;
            }
            // The shift is the eigenvalue of the leading two rows that is closer to the first.
            let g = (diagonal[l + 1] - diagonal[l]) / (2.0 * beside[l]);
            let r = (g * g + 1.0).sqrt();
            let mut g = diagonal[end] - diagonal[l] + beside[l] / (g + if g < 0.0 { -r } else { r });
            let (mut sine, mut cosine, mut taken) = (1.0, 1.0, 0.0);
            let mut early = false;
            for i in (l..end).rev() {
                let (f, b) = (sine * beside[i], cosine * beside[i]);
                let r = (f * f + g * g).sqrt();
                beside[i + 1] = r;
                if r == 0.0 {
                    diagonal[i + 1] -= taken;
                    beside[end] = 0.0;
                    early = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                g = diagonal[i + 1] - taken;
                let r = (diagonal[i] - g) * sine + 2.0 * cosine * b;
                taken = sine * r;
                diagonal[i + 1] = g + taken;
                g = cosine * r - b;
                let (upper, lower) = rows[i * n..(i + 2) * n].split_at_mut(n);
                for (u, l) in upper.iter_mut().zip(lower) {
                    (*u, *l) = (cosine * *u - sine * *l, sine * *u + cosine * *l);
                }
            }
            if !early {
                diagonal[l] -= taken;
                beside[l] = g;
                beside[end] = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eigenvalues that belong to `rows`, after checking that these are orthonormal eigenvectors by falling eigenvalue.
    fn values(a: &[f64], n: usize) -> Vec<f64> {
        let rows = eigenvectors(a, n).unwrap();
        let scale = a.iter().fold(0.0, |m: f64, v| m.max(v.abs())).max(f64::MIN_POSITIVE) * n as f64;
        let mut found: Vec<f64> = Vec::new();
        for i in 0..n {
            let u = &rows[i * n..(i + 1) * n];
            for j in 0..n {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(u, &rows[j * n..(j + 1) * n]) - expected).abs() < 1e-12, "{i} {j}");
            }
            let image: Vec<f64> = (0..n).map(|k| dot(&a[k * n..(k + 1) * n], u)).collect();
            let value = dot(&image, u);
            assert!(image.iter().zip(u).all(|(b, u)| (b - value * u).abs() < 1e-12 * scale), "{n}: vector {i}");
            assert!(found.last().is_none_or(|l| *l >= value - 1e-12 * scale), "{n}: {i}");
            found.push(value);
        }
        found
    }

    /// The matrix with 2 on the diagonal and -1 beside it: `2 - 2 cos(pi k / (n + 1))`.
    #[test]
    fn the_second_difference_has_sines() {
        for n in [1usize, 2, 3, 10, 65] {
            let a: Vec<f64> = (0..n * n)
                .map(|i: usize| match (i / n).abs_diff(i % n) {
                    0 => 2.0,
                    1 => -1.0,
                    _ => 0.0,
                })
                .collect();
            for (k, v) in values(&a, n).iter().rev().enumerate() {
                let expected = 2.0 - 2.0 * libm::cos(std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64);
                assert!((v - expected).abs() < 1e-12, "{n} {k}: {v} {expected}");
            }
        }
    }

    /// All ones: `n`, and zero `n - 1` times over.
    #[test]
    fn repeated_eigenvalues_have_orthonormal_vectors() {
        let v = values(&[1.0; 31 * 31], 31);
        assert!((v[0] - 31.0).abs() < 1e-12 && v[1..].iter().all(|v| v.abs() < 1e-12));
        assert_eq!(values(&[0.0; 25], 5), [0.0; 5]);
        let mut unit = [0.0; 36];
        unit.iter_mut().step_by(7).for_each(|v| *v = 3.0);
        assert_eq!(values(&unit, 6), [3.0; 6]);
    }

    /// `1 / (i + j + 1)`: positive definite with eigenvalues over many orders; their sum is the trace.
    #[test]
    fn a_full_matrix_of_many_scales() {
        let n = 40;
        let a: Vec<f64> = (0..n * n).map(|i| 1.0 / (i / n + i % n + 1) as f64).collect();
        for scale in [1.0, 1e100, 1e-100] {
            let a: Vec<f64> = a.iter().map(|v| v * scale).collect();
            let trace: f64 = a.iter().step_by(n + 1).sum();
            assert!((values(&a, n).iter().sum::<f64>() - trace).abs() < 1e-12 * trace);
        }
    }

    #[test]
    fn what_is_not_a_matrix_is_refused() {
        assert!(eigenvectors(&[1.0; 5], 2).is_err());
        assert!(eigenvectors(&[1.0, f64::NAN, f64::NAN, 1.0], 2).is_err());
        assert!(eigenvectors(&[], 0).unwrap().is_empty());
    }
}
