//! The statistics printed by the ASTERIX notebook of 2024 on compressing velocity distributions, to recognise its numbers.
//!
//! They differ from the moments of a distribution, for which see [`Comparison`](super::Comparison):
//! - the mean index along vx stands for all three components of the velocity;
//! - velocities count from the corner of the box, not from the bulk velocity, and in units of the mean index instead of
//!   the thermal speed;
//! - the grid of velocities has the axes vz and vy exchanged;
//! - the first version of the pressure is not a tensor but a matrix over the cells of vy and vx;
//! - the error in L2 is relative to the decoded distribution.

use super::compare::{ratio, same, square};
use super::dense::{Dense, Distribution};
use super::sum;
use crate::array::Element;
use crate::error::{Error, Result};

/// What the notebook prints of two distributions. Percentages are of the mean of both, but for [`l1`](Self::l1) and
/// [`l2`](Self::l2), which are shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedStatistics {
    /// The difference of the sums of all values, in percent.
    pub density: f64,
    /// The difference of the mean indices along vx, in percent of these.
    pub velocity: f64,
    /// The pressure as first published.
    pub pressure: PublishedPressure,
    /// The pressure as revised a few days later: a tensor of 3 x 3 elements.
    pub revised_pressure: PublishedPressure,
    /// `sum |d - f| / sum |f|`.
    pub l1: f64,
    /// `sqrt(sum (d - f)^2 / sum d^2)`.
    pub l2: f64,
}

/// How far two matrices of the notebook are from each other, in percent of the mean of their norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedPressure {
    /// The Euclidean norm of the diagonal.
    pub diagonal: f64,
    /// The Frobenius norm.
    pub frobenius: f64,
}

impl PublishedStatistics {
    /// Errors: `InvalidArgument` unless both are on one mesh with as many cells along each axis.
    pub fn between<T: Element>(original: &Dense<T>, decoded: &Dense<T>) -> Result<PublishedStatistics> {
        same(original, decoded)?;
        let cells = original.mesh().cells();
        let n = cells[0];
        if cells != [n; 3] {
            return Err(Error::invalid(format!("expected a cube of cells, found {cells:?}")));
        }
        let pairs = || original.values().iter().zip(decoded.values()).map(|(f, d)| (f.to_f64(), d.to_f64()));
        let (a, b) = (Summary::of(original, n), Summary::of(decoded, n));
        let l2 = ratio(sum(pairs().map(|(f, d)| square(d - f))), sum(pairs().map(|(_, d)| square(d)))).sqrt();
        Ok(PublishedStatistics {
            density: percent((a.density - b.density).abs(), a.density, b.density),
            velocity: percent((a.mean - b.mean).abs(), a.mean, b.mean),
            pressure: pressure(&a.matrix, &b.matrix, n),
            revised_pressure: pressure(&a.tensor, &b.tensor, 3),
            l1: ratio(sum(pairs().map(|(f, d)| (d - f).abs())), sum(pairs().map(|(f, _)| f.abs()))),
            l2,
        })
    }
}

/// What the notebook computes of one distribution.
struct Summary {
    density: f64,
    /// The mean index along vx.
    mean: f64,
    /// The "pressure" as first published, `n` rows of `n` values.
    matrix: Vec<f64>,
    /// The revised one, 3 rows of 3 values.
    tensor: Vec<f64>,
}

impl Summary {
    /// Of an array `f[a][b][c]` of `n^3` values. The grid is `w_0 = b - mean`, `w_1 = a - mean`, `w_2 = c - mean`.
    fn of<T: Element>(f: &Dense<T>, n: usize) -> Summary {
        let (mut density, mut first) = (0.0, 0.0);
        f.for_each_run(|_, run| {
            density += sum(run.iter().copied());
            first += sum(run.iter().enumerate().map(|(c, f)| f * c as f64));
        });
        let mean = first / density;
        let offset = |i: usize| i as f64 - mean;
        let total = sum((0..n).map(offset));
        let (mut matrix, mut tensor) = (vec![0.0; n * n], vec![0.0; 9]);
        f.for_each_run(|[_, second, first], run| {
            // sum_k (sum_a w_k[a, row, column]) (sum_b f[b, row, column] w_k[b, row, column]) with row and column the last two axes:
            // w_0 varies along the row, w_1 along what is summed over, w_2 along the column.
            for (c, f) in run.iter().enumerate() {
                let w = [offset(second), offset(first), offset(c)];
                let sums = [n as f64 * w[0], total, n as f64 * w[2]];
                if let Some(to) = matrix.get_mut(second * n + c) {
                    *to += f * (sums[0] * w[0] + sums[1] * w[1] + sums[2] * w[2]);
                }
                for (i, to) in tensor.iter_mut().enumerate() {
                    *to += f * w[i / 3] * w[i % 3];
                }
            }
        });
        Summary { density, mean, matrix, tensor }
    }
}

/// `100 difference / mean`.
fn percent(difference: f64, a: f64, b: f64) -> f64 {
    100.0 * ratio(difference, (a + b) / 2.0)
}

fn pressure(a: &[f64], b: &[f64], n: usize) -> PublishedPressure {
    let norm =
        |every: usize, value: &dyn Fn(usize) -> f64| sum((0..n * n).step_by(every).map(|i| square(value(i)))).sqrt();
    let (a, b) = (|i: usize| a.get(i).copied().unwrap_or(0.0), |i: usize| b.get(i).copied().unwrap_or(0.0));
    let of = |every| percent(norm(every, &|i| a(i) - b(i)), norm(every, &a), norm(every, &b));
    PublishedPressure { diagonal: of(n + 1), frobenius: of(1) }
}

#[cfg(test)]
mod tests {
    use super::super::Mesh;
    use super::*;

    fn cube(values: Vec<f64>) -> Dense<f64> {
        Dense::new(Mesh::unit([2; 3]).unwrap(), values).unwrap()
    }

    /// By hand: all of `a` in `[0][0][0]`, all of `b` in `[1][0][1]`.
    #[test]
    fn a_cube_of_two_by_hand() {
        let (mut a, mut b) = (vec![0.0; 8], vec![0.0; 8]);
        a[0] = 2.0;
        b[5] = 1.0;
        let s = PublishedStatistics::between(&cube(a), &cube(b)).unwrap();
        // Mean indices along vx 0 and 1.
        assert!((s.density - 200.0 / 3.0).abs() < 1e-12 && (s.velocity - 200.0).abs() < 1e-12);
        assert_eq!((s.l1, s.l2), (1.5, 5f64.sqrt()));
        // In the only cell of the first w = (0, 0, 0), so everything is 0. In that of the second w = (0 - 1, 1 - 1, 1 - 1) and
        // the sums are (-2, -1, 0), so that the matrix has a 2 in [0][1] and the tensor is diag(1, 0, 0).
        assert_eq!(s.pressure, PublishedPressure { diagonal: 0.0, frobenius: 200.0 });
        assert_eq!(s.revised_pressure, PublishedPressure { diagonal: 200.0, frobenius: 200.0 });
    }

    #[test]
    fn what_is_no_cube_is_refused() {
        let flat = Dense::new(Mesh::unit([4, 2, 1]).unwrap(), vec![1.0; 8]).unwrap();
        assert!(PublishedStatistics::between(&flat, &flat).is_err());
        assert!(PublishedStatistics::between(&flat, &cube(vec![1.0; 8])).is_err());
        let same = PublishedStatistics::between(&cube(vec![1.0; 8]), &cube(vec![1.0; 8])).unwrap();
        assert_eq!((same.density, same.velocity, same.pressure.frobenius, same.l2), (0.0, 0.0, 0.0, 0.0));
    }
}
