//! Small matrices, and their products with the values of an element along each of its axes.

use super::Gll;
use crate::bits::{widest, Work};
use crate::error::Result;

/// A matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// All zeros.
    pub fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, values: vec![0.0; rows * columns] }
    }
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// An entry; 0 outside.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let inside = row < self.rows && column < self.columns;
        self.values.get(row * self.columns + column).copied().filter(|_| inside).unwrap_or(0.0)
    }
    /// Sets an entry; none outside.
    pub fn set(&mut self, row: usize, column: usize, value: f64) {
        if row < self.rows && column < self.columns {
            self.values[row * self.columns + column] = value;
        }
    }
    /// Rows become columns.
    pub fn transposed(&self) -> Matrix {
        let mut t = Matrix::zeros(self.columns, self.rows);
        for i in 0..self.rows {
            (0..self.columns).for_each(|j| t.set(j, i, self.at(i, j)));
        }
        t
    }
    /// Each column times its factor.
    pub fn scaled_columns(&self, factors: &[f64]) -> Matrix {
        let mut m = self.clone();
        for row in m.values.chunks_exact_mut(self.columns.max(1)) {
            row.iter_mut().zip(factors).for_each(|(v, f)| *v *= f);
        }
        m
    }
}

/// Square matrices of one size, made ready to be applied along the axes of elements.
#[derive(Clone, Debug)]
pub struct Tensor {
    n: usize,
    /// Transposed: column `j` of the matrix is row `j`.
    columns: Vec<f64>,
}

impl Tensor {
    /// Of a square matrix.
    pub fn new(matrix: &Matrix) -> Tensor {
        Tensor { n: matrix.rows(), columns: matrix.transposed().values }
    }
    /// Replaces the values of an element by the products along an axis, 0 being the fastest: the sum over `j` in rising order, from 0, of the
    /// matrix's `(i, j)` times value `j`. `scratch` is as long as the element.
    pub fn apply(&self, axis: usize, element: &mut [f64], scratch: &mut [f64]) {
        widest(Products { first: axis, tensors: &[self], element, scratch });
    }
    /// [`Tensor::apply`] of each along its axis, 0 first.
    pub fn apply_all(tensors: &[&Tensor], element: &mut [f64], scratch: &mut [f64]) {
        widest(Products { first: 0, tensors, element, scratch });
    }
    #[inline(always)]
    fn fixed<const N: usize>(&self, axis: usize, element: &mut [f64], scratch: &mut [f64]) {
        let columns: [[f64; N]; N] =
            std::array::from_fn(|j| std::array::from_fn(|i| self.columns.get(j * N + i).copied().unwrap_or(0.0)));
        match axis {
            0 => {
                for (row, out) in element.chunks_exact(N).zip(scratch.chunks_exact_mut(N)) {
                    let mut sums = [0.0; N];
                    for j in 0..N {
                        let u = row[j];
                        for i in 0..N {
                            sums[i] += columns[j][i] * u;
                        }
                    }
                    out.copy_from_slice(&sums);
                }
            }
            _ => {
                // The axes below lie side by side, in pieces of N.
                let below = N.pow(axis as u32);
                let planes = element.chunks_exact(below * N).zip(scratch.chunks_exact_mut(below * N));
                for (plane, out) in planes {
                    for piece in 0..below / N {
                        let at = piece * N;
                        let known: [[f64; N]; N] =
                            std::array::from_fn(|j| std::array::from_fn(|k| plane[j * below + at + k]));
                        for i in 0..N {
                            let mut sums = [0.0; N];
                            for j in 0..N {
                                let a = columns[j][i];
                                for k in 0..N {
                                    sums[k] += a * known[j][k];
                                }
                            }
                            out[i * below + at..i * below + at + N].copy_from_slice(&sums);
                        }
                    }
                }
            }
        }
        element.copy_from_slice(scratch);
    }
    fn any(&self, axis: usize, element: &mut [f64], scratch: &mut [f64]) {
        let (n, below) = (self.n, self.n.pow(axis as u32));
        for (plane, out) in element.chunks_exact(below * n).zip(scratch.chunks_exact_mut(below * n)) {
            for i in 0..n {
                for k in 0..below {
                    let sum = (0..n).fold(0.0, |s, j| s + self.columns[j * n + i] * plane[j * below + k]);
                    out[i * below + k] = sum;
                }
            }
        }
        element.copy_from_slice(scratch);
    }
}

/// Products along axes.
struct Products<'a> {
    first: usize,
    tensors: &'a [&'a Tensor],
    element: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl Work for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (axis, t) in (self.first..).zip(self.tensors) {
            match t.n {
                2 => t.fixed::<2>(axis, self.element, self.scratch),
                3 => t.fixed::<3>(axis, self.element, self.scratch),
                4 => t.fixed::<4>(axis, self.element, self.scratch),
                5 => t.fixed::<5>(axis, self.element, self.scratch),
                6 => t.fixed::<6>(axis, self.element, self.scratch),
                7 => t.fixed::<7>(axis, self.element, self.scratch),
                8 => t.fixed::<8>(axis, self.element, self.scratch),
                9 => t.fixed::<9>(axis, self.element, self.scratch),
                10 => t.fixed::<10>(axis, self.element, self.scratch),
                11 => t.fixed::<11>(axis, self.element, self.scratch),
                12 => t.fixed::<12>(axis, self.element, self.scratch),
                _ => t.any(axis, self.element, self.scratch),
            }
        }
    }
}

/// Values at `to` points along each axis of elements that have `from`: those of the same polynomials.
/// Errors: `InvalidArgument` for fewer than 2 or more than 32 points.
pub fn resample(values: &[f64], dimensions: usize, from: usize, to: usize) -> Result<Vec<f64>> {
    let matrix = Gll::new(from)?.interpolation(&Gll::new(to)?);
    let mut out = values.to_vec();
    // Axes below are resampled already.
    for axis in 0..dimensions {
        let below = to.pow(axis as u32);
        let mut next = Vec::with_capacity(out.len() / from * to);
        for plane in out.chunks_exact(below * from) {
            for i in 0..to {
                for k in 0..below {
                    next.push((0..from).fold(0.0, |s, j| s + matrix.at(i, j) * plane[j * below + k]));
                }
            }
        }
        out = next;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_along_axes_are_those_of_the_definition() {
        for n in [2, 3, 8, 12, 13] {
            let mut m = Matrix::zeros(n, n);
            (0..n * n).for_each(|k| m.set(k / n, k % n, ((k * 7919) % 101) as f64 / 50.0 - 1.0));
            let t = Tensor::new(&m);
            for axes in [2u32, 3] {
                let u: Vec<f64> = (0..n.pow(axes)).map(|k| ((k * 31) % 37) as f64 - 18.0).collect();
                for axis in 0..axes {
                    let (mut v, mut scratch) = (u.clone(), vec![0.0; u.len()]);
                    t.apply(axis as usize, &mut v, &mut scratch);
                    let below = n.pow(axis);
                    for (at, found) in v.iter().enumerate() {
                        let i = at / below % n;
                        let sum = (0..n).fold(0.0, |s, j| s + m.at(i, j) * u[at + j * below - i * below]);
                        assert_eq!(found.to_bits(), sum.to_bits(), "{n} {axis} {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn polynomials_are_the_same_at_other_points() {
        for (d, from, to) in [(2, 5usize, 8usize), (3, 6, 4), (3, 4, 9), (2, 7, 7)] {
            let at = |n: usize, i: usize, a: usize| Gll::new(n).unwrap().nodes()[i / n.pow(a as u32) % n];
            let f = |n: usize, i: usize| {
                let z = if d == 3 { at(n, i, 2) } else { 0.0 };
                1.0 + at(n, i, 0) * at(n, i, 1) * at(n, i, 1) - 2.0 * z * z * z + (i / n.pow(d)) as f64
            };
            let values: Vec<f64> = (0..3 * from.pow(d)).map(|i| f(from, i)).collect();
            let found = resample(&values, d as usize, from, to).unwrap();
            assert_eq!(found.len(), 3 * to.pow(d));
            assert!(found.iter().enumerate().all(|(i, v)| (v - f(to, i)).abs() < 1e-12), "{d} {from} {to}");
        }
        assert!(resample(&[0.0; 8], 3, 2, 1).is_err());
    }
}
