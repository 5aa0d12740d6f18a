//! Linear systems of a few unknowns.

/// Solves `a x = b` for a symmetric positive definite matrix `a` of `n` rows, by Cholesky's decomposition; `b` becomes `x`. Rows and columns
/// are scaled to a diagonal of ones first, and what is left of a dependent one counts as 0. Only the lower triangle is read.
pub fn solve_definite(a: &[f64], b: &mut [f64], n: usize) {
    let scale: Vec<f64> = (0..n).map(|i| if a[i * n + i] > 0.0 { 1.0 / a[i * n + i].sqrt() } else { 0.0 }).collect();
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let before: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let left = a[i * n + j] * scale[i] * scale[j] - before;
            l[i * n + j] = match (i == j, left > DEPENDENT) {
                (true, true) => left.sqrt(),
                (true, false) => f64::INFINITY,
                _ => left / l[j * n + j],
            };
        }
    }
    b.iter_mut().zip(&scale).for_each(|(b, s)| *b *= s);
    for i in 0..n {
        let before: f64 = (0..i).map(|k| l[i * n + k] * b[k]).sum();
        b[i] = (b[i] - before) / l[i * n + i];
    }
    for i in (0..n).rev() {
        let after: f64 = (i + 1..n).map(|k| l[k * n + i] * b[k]).sum();
        b[i] = (b[i] - after) / l[i * n + i];
    }
    b.iter_mut().zip(&scale).for_each(|(b, s)| *b *= s);
}

/// What is left of a diagonal of one when its row depends on those before, but for rounding.
const DEPENDENT: f64 = 1e-13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved_whatever_their_scale() {
        let n = 5;
        // A Vandermonde matrix times its transpose, scaled by up to 1e12.
        let power = |j: usize| libm::pow(1e3, j as f64);
        let v = |i: usize, j: usize| libm::pow(0.3 + 0.2 * i as f64, j as f64) * power(j);
        let a: Vec<f64> = (0..n * n).map(|k| (0..9).map(|i| v(i, k / n) * v(i, k % n)).sum()).collect();
        let x = [3.0, -1.0, 4.0, 1.0, -5.0];
        let x: Vec<f64> = x.iter().enumerate().map(|(j, x)| x / power(j)).collect();
        let mut b: Vec<f64> = (0..n).map(|i| (0..n).map(|j| a[i * n + j] * x[j]).sum()).collect();
        solve_definite(&a, &mut b, n);
        assert!(b.iter().zip(&x).all(|(b, x)| (b / x - 1.0).abs() < 1e-6), "{b:?}");
    }

    #[test]
    fn dependent_rows_count_as_nothing() {
        let a = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0];
        let mut b = [6.0, 6.0, 0.0];
        solve_definite(&a, &mut b, 3);
        assert!((b[0] - 3.0).abs() < 1e-12 && b[1..] == [0.0, 0.0], "{b:?}");
    }
}
