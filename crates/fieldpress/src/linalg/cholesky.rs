//! Square roots of positive definite matrices, and what is solved with them.

/// The lower triangle `L` of a symmetric positive definite matrix `a = L L^T`, `n` rows of `n` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Cholesky {
    lower: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// Reads the lower triangle of `a` alone. `None` unless the matrix has `n * n` values and is positive definite to rounding.
    pub fn new(a: &[f64], n: usize) -> Option<Cholesky> {
        if n.checked_mul(n) != Some(a.len()) {
            return None;
        }
        let mut lower = a.to_vec();
        for i in 0..n {
            for j in 0..=i {
                let sum = (0..j).fold(lower[i * n + j], |s, k| s - lower[i * n + k] * lower[j * n + k]);
                if i == j {
                    let positive = sum > f64::EPSILON * a[i * n + i] && sum >= f64::MIN_POSITIVE && sum.is_finite();
                    lower[i * n + i] = positive.then(|| sum.sqrt())?;
                } else {
                    lower[i * n + j] = sum / lower[j * n + j];
                }
            }
            lower[i * n + i + 1..(i + 1) * n].fill(0.0);
        }
        Some(Cholesky { lower, n })
    }
    /// `L` in rows.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }
    /// Makes `L^-1 b` of `b`, which has `n` values.
    pub fn solve_lower(&self, b: &mut [f64]) {
        let n = self.n;
        for i in 0..n.min(b.len()) {
            let sum = (0..i).fold(b[i], |s, k| s - self.lower[i * n + k] * b[k]);
            b[i] = sum / self.lower[i * n + i];
        }
    }
    /// Makes `a^-1 b` of `b`, which has `n` values.
    pub fn solve(&self, b: &mut [f64]) {
        self.solve_lower(b);
        let n = self.n;
        for i in (0..n.min(b.len())).rev() {
            let sum = (i + 1..n).fold(b[i], |s, k| s - self.lower[k * n + i] * b[k]);
            b[i] = sum / self.lower[i * n + i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solutions_solve() {
        for n in [0usize, 1, 2, 3, 9] {
            // 1 / (i + j + 1) and a little more on the diagonal.
            let a: Vec<f64> = (0..n * n)
                .map(|i| 1.0 / (i / n + i % n + 1) as f64 + if i / n == i % n { 0.01 } else { 0.0 })
                .collect();
            let root = Cholesky::new(&a, n).unwrap();
            let mut x: Vec<f64> = (0..n).map(|i| i as f64 - 1.5).collect();
            let b = x.clone();
            root.solve(&mut x);
            for i in 0..n {
                let row: f64 = (0..n).map(|j| a[i * n + j] * x[j]).sum();
                assert!((row - b[i]).abs() < 1e-11, "{n}: {row} {}", b[i]);
                for j in 0..n {
                    let product: f64 = (0..n).map(|k| root.lower()[i * n + k] * root.lower()[j * n + k]).sum();
                    assert!((product - a[i * n + j]).abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_root() {
        for a in
            [[1.0, 0.0, 2.0, 1.0], [0.0; 4], [1.0, 1.0, 1.0, 1.0], [f64::NAN, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 1.0]]
        {
            assert_eq!(Cholesky::new(&a, 2), None, "{a:?}");
        }
        assert_eq!(Cholesky::new(&[1.0], 2), None);
    }
}
