//! Products of an array with a matrix along one axis, and the matrices of products of an array with itself.

use super::lines::{check, Row, LANES};
use crate::bits::{widest, Work};
use crate::error::{Error, Result};

/// Rows multiplied at a time.
const ROWS: usize = 4;
/// Lines of which products are summed at a time.
const MANY: usize = 64;

/// What lies along an axis of an array: lines of `n` values, `inner` apart.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    n: usize,
    inner: usize,
}

impl Lines {
    /// Errors: `InvalidArgument` when there is no such axis, or another number of values.
    pub(super) fn new(shape: &[usize], axis: usize, len: usize) -> Result<Lines> {
        check(shape, len)?;
        match shape.get(axis) {
            Some(&n) => Ok(Lines { n, inner: shape[axis + 1..].iter().product() }),
            None => Err(Error::invalid(format!("expected an axis below {}, found {axis}", shape.len()))),
        }
    }
    /// Where line `i` begins.
    #[inline(always)]
    fn start(self, i: usize) -> usize {
        i / self.inner * (self.n * self.inner) + i % self.inner
    }
    /// Whether the lines from `first` on lie beside each other.
    #[inline(always)]
    fn are_together(self, first: usize, count: usize) -> bool {
        first % self.inner + count <= self.inner
    }
    /// Copies `count` lines from `first` on into the columns of `tile`.
    #[inline(always)]
    pub(super) fn load<const N: usize>(self, x: &[f64], first: usize, count: usize, tile: &mut [[f64; N]]) {
        if self.are_together(first, count) {
            for (row, part) in tile.iter_mut().zip(x[self.start(first)..].chunks(self.inner)) {
                row[..count].copy_from_slice(&part[..count]);
            }
            return;
        }
        for lane in 0..count {
            for (row, v) in tile.iter_mut().zip(x[self.start(first + lane)..].iter().step_by(self.inner)) {
                row[lane] = *v;
            }
        }
    }
    /// The inverse of [`Lines::load`].
    #[inline(always)]
    pub(super) fn store<const N: usize>(self, tile: &[[f64; N]], first: usize, count: usize, y: &mut [f64]) {
        if self.are_together(first, count) {
            for (row, part) in tile.iter().zip(y[self.start(first)..].chunks_mut(self.inner)) {
                part[..count].copy_from_slice(&row[..count]);
            }
            return;
        }
        for lane in 0..count {
            for (row, v) in tile.iter().zip(y[self.start(first + lane)..].iter_mut().step_by(self.inner)) {
                *v = row[lane];
            }
        }
    }
    /// The same lines with `n` values each.
    pub(super) fn with(self, n: usize) -> Lines {
        Lines { n, ..self }
    }
}

/// `n` zeros. Errors: `LimitExceeded` when the memory cannot be had.
pub fn zeros(n: usize) -> Result<Vec<f64>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for {n} values, found too little")))?;
    v.resize(n, 0.0);
    Ok(v)
}

/// Replaces the lines of `x`, an array of `shape` in C order, along `axis` by their products with the `rows` of a matrix, each as
/// long as the lines: as many values as there are rows. Each sum is formed from 0 in the order of the line.
/// Errors: `InvalidArgument` when the lengths disagree, `LimitExceeded`.
pub fn product(x: &[f64], shape: &[usize], axis: usize, rows: &[f64]) -> Result<Vec<f64>> {
    let from = Lines::new(shape, axis, x.len())?;
    if from.n == 0 || !rows.len().is_multiple_of(from.n) {
        return Err(Error::invalid(format!("expected rows of {} values, found {}", from.n, rows.len())));
    }
    let to = from.with(rows.len() / from.n);
    let lines = x.len() / from.n;
    let size = lines.checked_mul(to.n).ok_or_else(|| Error::limit("expected a size that fits the address space"))?;
    let mut y = zeros(size)?;
    widest(Product { x, from, rows, to, y: &mut y, lines });
    Ok(y)
}

struct Product<'a> {
    x: &'a [f64],
    from: Lines,
    rows: &'a [f64],
    to: Lines,
    y: &'a mut [f64],
    lines: usize,
}

impl Work for Product<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Product { x, from, rows, to, y, lines } = self;
        let mut tile: Vec<Row> = vec![[0.0; LANES]; from.n];
        for first in (0..lines).step_by(LANES) {
            let count = LANES.min(lines - first);
            from.load(x, first, count, &mut tile);
            // Several sums at a time: one would wait for each of its additions.
            let together = to.are_together(first, count);
            let mut put = |i: usize, sum: &Row| {
                let at = |lane: usize| to.start(first + lane) + i * to.inner;
                if together {
                    y[at(0)..at(0) + count].copy_from_slice(&sum[..count]);
                } else {
                    sum.iter().take(count).enumerate().for_each(|(lane, s)| y[at(lane)] = *s);
                }
            };
            let blocks = rows.chunks_exact(ROWS * from.n);
            for (i, row) in blocks.remainder().chunks_exact(from.n).enumerate() {
                put(to.n / ROWS * ROWS + i, &sums(&tile, [row])[0]);
            }
            for (i, block) in blocks.enumerate() {
                let mut each = block.chunks_exact(from.n);
                let four: [&[f64]; ROWS] = std::array::from_fn(|_| each.next().unwrap_or_default());
                for (k, sum) in sums(&tile, four).iter().enumerate() {
                    put(i * ROWS + k, sum);
                }
            }
        }
    }
}

/// The products of the lines of `tile` with several rows.
#[inline(always)]
fn sums<const N: usize>(tile: &[Row], rows: [&[f64]; N]) -> [Row; N] {
    let rows = rows.map(|r| &r[..tile.len()]);
    let mut sums = [[0.0; LANES]; N];
    for (j, t) in tile.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            let f = row[j];
            for lane in 0..LANES {
                sum[lane] += f * t[lane];
            }
        }
    }
    sums
}

/// The sums of products of every two positions along `axis` over all lines of `x`, an array of `shape`: a symmetric matrix whose
/// eigenvectors are the singular vectors of the array unfolded along that axis. Errors: as [`product`].
pub fn gram(x: &[f64], shape: &[usize], axis: usize) -> Result<Vec<f64>> {
    let lines = Lines::new(shape, axis, x.len())?;
    let mut sums = zeros(lines.n.saturating_mul(lines.n))?;
    if !x.is_empty() {
        widest(Gram { x, lines, sums: &mut sums });
    }
    for i in 0..lines.n {
        for j in 0..i {
            sums[j * lines.n + i] = sums[i * lines.n + j];
        }
    }
    Ok(sums)
}

struct Gram<'a> {
    x: &'a [f64],
    lines: Lines,
    sums: &'a mut [f64],
}

impl Work for Gram<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Gram { x, lines, sums } = self;
        let n = lines.n;
        let count = x.len() / n;
        let mut tile = vec![[0.0; MANY]; n];
        for first in (0..count).step_by(MANY) {
            let here = MANY.min(count - first);
            if here < MANY {
                tile.fill([0.0; MANY]);
            }
            lines.load(x, first, here, &mut tile);
            for (i, a) in tile.iter().enumerate() {
                for (s, b) in sums[i * n..=i * n + i].iter_mut().zip(&tile) {
                    let mut part = [0.0; LANES];
                    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
                        for lane in 0..LANES {
                            part[lane] += a[lane] * b[lane];
                        }
                    }
                    *s += part.iter().sum::<f64>();
                }
            }
        }
    }
}

/// The norms of what `x`, an array of `shape`, has at each position along `axis`.
pub fn norms(x: &[f64], shape: &[usize], axis: usize) -> Vec<f64> {
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut sums = vec![0.0; n];
    for (i, part) in x.chunks_exact(inner.max(1)).enumerate() {
        sums[i % n] += part.iter().map(|v| v * v).sum::<f64>();
    }
    sums.iter().map(|s| s.sqrt()).collect()
}

/// The first `to` positions along each axis of `x`, an array of `shape`.
pub fn corner(x: &[f64], shape: &[usize], to: &[usize]) -> Vec<f64> {
    let mut values = x.to_vec();
    for k in 0..shape.len() {
        let inner: usize = shape[k + 1..].iter().product();
        values = values.chunks_exact(shape[k] * inner).flat_map(|l| l[..to[k] * inner].iter().copied()).collect();
    }
    values
}

/// `rows`, `n` values each, as columns.
pub fn transposed(rows: &[f64], n: usize) -> Vec<f64> {
    let m = rows.len() / n.max(1);
    (0..n * m).map(|i| rows[i % m * n + i / m]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from((i * 7919 % 1009) as u32) / 1009.0 - 0.5).collect()
    }

    #[test]
    fn products_and_sums_of_products_are_those_of_the_definition() {
        for shape in [&[7, 5, 19][..], &[40, 3], &[1, 33], &[2, 3, 4, 5], &[6]] {
            let x = noise(shape.iter().product());
            for axis in 0..shape.len() {
                let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
                let rows = noise(n * 4);
                let y = product(&x, shape, axis, &rows).unwrap();
                assert_eq!(y.len(), x.len() / n * 4);
                for (at, v) in y.iter().enumerate() {
                    let (outer, i, column) = (at / (4 * inner), at / inner % 4, at % inner);
                    let line = |j: usize| x[(outer * n + j) * inner + column];
                    let expected = (0..n).fold(0.0, |s, j| s + rows[i * n + j] * line(j));
                    assert_eq!(*v, expected, "{shape:?} {axis} {at}");
                }
                let g = gram(&x, shape, axis).unwrap();
                for (at, v) in g.iter().enumerate() {
                    let value = |i: usize, l: usize| x[(l / inner * n + i) * inner + l % inner];
                    let expected: f64 = (0..x.len() / n).map(|l| value(at / n, l) * value(at % n, l)).sum();
                    assert!((v - expected).abs() < 1e-12 * x.len() as f64, "{shape:?} {axis} {at}");
                }
            }
        }
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        assert!(product(&[0.0; 6], &[2, 3], 1, &[0.0; 4]).is_err());
        assert!(product(&[0.0; 6], &[2, 3], 2, &[0.0; 3]).is_err());
        assert!(product(&[0.0; 5], &[2, 3], 0, &[0.0; 2]).is_err());
        assert!(product(&[], &[0, 3], 0, &[]).is_err());
        assert!(gram(&[0.0; 5], &[2, 3], 0).is_err());
    }
}
