//! Polynomials that are orthonormal on evenly spaced points: Gram's, the discrete counterpart of Legendre's.
//!
//! Source: F. B. Hildebrand, "Introduction to Numerical Analysis", 2nd edition, 1974, section 7.13 (Gram approximation); the recurrence
//! with the coefficients of the monic polynomials, `b_k = k^2 (n^2 - k^2) / (4 (4 k^2 - 1))`.

/// The polynomials of degree 0 to `count - 1` at `n` points, one a row. Sums of products of two rows are 1 for equal and 0 for
/// different degrees. At most `n` rows come back. The rounding error grows with the degree beyond about `2 sqrt(n)`.
pub fn gram_polynomials(n: usize, count: usize) -> Vec<f64> {
    let size = n as f64;
    let root = |k: usize| {
        let k = (k * k) as f64;
        (k * (size * size - k) / (4.0 * (4.0 * k - 1.0))).sqrt()
    };
    let middle = (size - 1.0) / 2.0;
    let mut rows: Vec<f64> = Vec::with_capacity(n * count.min(n));
    for k in 0..count.min(n) {
        for i in 0..n {
            let t = i as f64 - middle;
            let back = |d: usize| rows.get((k - d) * n + i).copied().unwrap_or(0.0);
            rows.push(match k {
                0 => 1.0 / size.sqrt(),
                1 => t * back(1) / root(1),
                _ => (t * back(1) - root(k - 1) * back(2)) / root(k),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal_and_of_their_degree() {
        for n in [1, 2, 3, 5, 8, 17, 64, 500] {
            let count = n.min(8);
            let rows = gram_polynomials(n, 8);
            assert_eq!(rows.len(), count * n);
            for (j, a) in rows.chunks_exact(n).enumerate() {
                for (k, b) in rows.chunks_exact(n).enumerate() {
                    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    assert!((product - f64::from(j == k)).abs() < 1e-12, "{n} {j} {k}: {product}");
                }
                // The leading coefficient is positive: so is the difference of order j.
                let mut d = a.to_vec();
                for _ in 0..j {
                    d = d.windows(2).map(|w| w[1] - w[0]).collect();
                }
                let (low, high) = d.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
                assert!(low > 0.0 && high - low < 1e-9 * high.max(1e-3), "{n} {j}: {low} {high}");
            }
        }
    }
}
