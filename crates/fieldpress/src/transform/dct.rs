//! Orthonormal cosine transforms of blocks: DCT-II forward, DCT-III back, any block edge.
//!
//! Source: N. Ahmed, T. Natarajan, K. R. Rao, "Discrete cosine transform", 1974. The `n` coefficients of a line are
//! `X[k] = s[k] * sum x[i] cos(pi (2i + 1) k / 2n)` with `s[0] = sqrt(1/n)` and `s[k] = sqrt(2/n)`, so that the sum of
//! squares is kept and the inverse is the transpose. Lines are folded about their middle as long as their length is
//! even: even coefficients are the transform of the folded half, odd ones a dense product with the antisymmetric half
//! (W. H. Chen, C. H. Smith, S. C. Fralick, 1977), about `n / 3` multiplications a value for powers of two.

use super::bands::Band;
use super::lines::{check, load, runs, store, strides, Row, LANES};
use crate::array::MAX_RANK;
use crate::error::{Error, Result};

/// Longest line: the tables of a longer one would outgrow any cache.
pub const MAX_EDGE: usize = 1024;

/// Most frequencies of a block.
pub const MAX_BANDS: usize = 1 << 15;

/// The transform of lines of one length.
#[derive(Clone, Debug)]
struct Line {
    n: usize,
    /// For each folding: the matrix of the odd coefficients, `h` rows of `h` values.
    odd: Vec<Vec<f64>>,
    /// The matrix of what remains after all foldings, `m` rows of `m` values.
    rest: Vec<f64>,
}

/// `scale * cos(pi (2i + 1) k / 2n)` for `i < columns` and each `k`, row by row; angles are reduced exactly.
fn cosines(n: usize, k: impl Iterator<Item = usize>, columns: usize, scale: f64) -> Vec<f64> {
    k.flat_map(|k| {
        let s = if k == 0 { scale } else { scale * std::f64::consts::SQRT_2 };
        (0..columns).map(move |i| {
            let turns = (2 * i + 1) * k % (4 * n);
            s * libm::cos(std::f64::consts::PI * turns as f64 / (2 * n) as f64)
        })
    })
    .collect()
}

/// The first `r` rows of the transform of lines of `n` values: the cosines of the lowest frequencies.
pub fn cosine_rows(n: usize, r: usize) -> Vec<f64> {
    let scale = (1.0 / n as f64).sqrt();
    // All angles are among these.
    let table: Vec<f64> =
        (0..4 * n).map(|turns| libm::cos(std::f64::consts::PI * turns as f64 / (2 * n) as f64)).collect();
    let row = |k: usize| {
        let s = if k == 0 { scale } else { scale * std::f64::consts::SQRT_2 };
        let table = &table;
        (0..n).map(move |i| s * table[(2 * i + 1) * k % (4 * n)])
    };
    (0..r).flat_map(row).collect()
}

impl Line {
    fn new(n: usize) -> Line {
        let scale = (1.0 / n as f64).sqrt();
        let (mut m, mut odd) = (n, Vec::new());
        while m >= 2 && m % 2 == 0 {
            odd.push(cosines(m, (1..m).step_by(2), m / 2, scale));
            m /= 2;
        }
        Line { n, odd, rest: cosines(m, 0..m, m, scale) }
    }

    /// Coefficients of each lane of `x` into `y`; `x` is used up. Both have `n` rows.
    #[inline(always)]
    fn forward(&self, x: &mut [Row], y: &mut [Row]) {
        let (mut m, mut step) = (self.n, 1);
        for odd in &self.odd {
            let h = m / 2;
            let (a, b) = x[..m].split_at_mut(h);
            for (a, b) in a.iter_mut().zip(b.iter_mut().rev()) {
                for j in 0..LANES {
                    (a[j], b[j]) = (a[j] + b[j], a[j] - b[j]);
                }
            }
            // The antisymmetric half lies in `b`, last first.
            for (k, row) in odd.chunks_exact(h).enumerate() {
                y[(2 * k + 1) * step] = dot(row.iter().zip(b.iter().rev()));
            }
            (m, step) = (h, step * 2);
        }
        for (k, row) in self.rest.chunks_exact(m).enumerate() {
            y[k * step] = dot(row.iter().zip(&x[..m]));
        }
    }

    /// Values of each lane of the coefficients `y` into `x`. Both have `n` rows.
    #[inline(always)]
    fn inverse(&self, y: &[Row], x: &mut [Row]) {
        let mut step = 1 << self.odd.len();
        let mut m = self.n >> self.odd.len();
        for (i, x) in x.iter_mut().enumerate().take(m) {
            *x = dot(self.rest[i..].iter().step_by(m).zip(y.iter().step_by(step)));
        }
        for odd in self.odd.iter().rev() {
            step /= 2;
            let h = m;
            m *= 2;
            let (a, b) = x[..m].split_at_mut(h);
            for (i, (a, b)) in a.iter_mut().zip(b.iter_mut().rev()).enumerate() {
                let v = dot(odd[i..].iter().step_by(h).zip(y[step..].iter().step_by(2 * step)));
                for j in 0..LANES {
                    (a[j], b[j]) = (a[j] + v[j], a[j] - v[j]);
                }
            }
        }
    }
}

/// The sum of `factor * row`, lane by lane, in order.
#[inline(always)]
fn dot<'a>(terms: impl Iterator<Item = (&'a f64, &'a Row)>) -> Row {
    let mut sum = [0.0; LANES];
    for (f, row) in terms {
        for j in 0..LANES {
            sum[j] += f * row[j];
        }
    }
    sum
}

/// Runs `f` on the contiguous lines that begin at `starts`.
#[inline(always)]
fn apply_contiguous(
    data: &mut [f64],
    mut starts: impl Iterator<Item = usize>,
    line: &Line,
    x: &mut [Row],
    y: &mut [Row],
    f: &impl Fn(&Line, &mut [Row], &mut [Row]),
) {
    let (x, y) = (&mut x[..line.n], &mut y[..line.n]);
    loop {
        let (mut at, mut lanes) = ([0; LANES], 0);
        for (slot, start) in at.iter_mut().zip(starts.by_ref()) {
            *slot = start;
            lanes += 1;
        }
        if lanes == 0 {
            return;
        }
        for (j, &at) in at[..lanes].iter().enumerate() {
            for (row, v) in x.iter_mut().zip(&data[at..at + line.n]) {
                row[j] = *v;
            }
        }
        f(line, x, y);
        for (j, &at) in at[..lanes].iter().enumerate() {
            for (row, v) in y.iter().zip(&mut data[at..at + line.n]) {
                *v = row[j];
            }
        }
    }
}

/// A separable cosine transform of the blocks of an array, in place: each block's coefficients replace its values,
/// the lowest frequency at the block's first corner.
#[derive(Clone, Debug)]
pub struct BlockDct {
    shape: Vec<usize>,
    /// For each axis: the block edge, its transform, and that of the shorter block at the far end, if any.
    axes: Vec<(usize, Line, Option<Line>)>,
}

impl BlockDct {
    /// A transform of arrays of `shape`, cut from index 0 into blocks of `edges`; blocks at the far ends are as short
    /// as they come. An edge of 1 leaves an axis alone; one longer than the axis makes one block of it.
    /// Errors: `InvalidArgument` unless there is an edge for each axis, none 0, and no block is longer than [`MAX_EDGE`].
    pub fn new(shape: &[usize], edges: &[usize]) -> Result<BlockDct> {
        let fits = |(&d, &e): (&usize, &usize)| e > 0 && e.min(d) <= MAX_EDGE;
        if shape.len() > MAX_RANK || edges.len() != shape.len() || !shape.iter().zip(edges).all(fits) {
            return Err(Error::invalid(format!(
                "expected {} block edges from 1 to {MAX_EDGE}, found {edges:?}",
                shape.len()
            )));
        }
        let axes = shape.iter().zip(edges).map(|(&d, &e)| {
            let edge = e.min(d.max(1));
            let short = d % edge;
            (edge, Line::new(edge), (short > 0).then(|| Line::new(short)))
        });
        Ok(BlockDct { shape: shape.to_vec(), axes: axes.collect() })
    }

    /// The bands of the coefficients after [`BlockDct::regroup`]: one for each frequency, the lowest first, by their sum;
    /// extents are numbers of blocks. The parents of a frequency are those lower by one and by two along each axis. With `keep`, those below
    /// it along every axis alone. Errors: `InvalidArgument` for more than [`MAX_BANDS`].
    pub fn bands(&self, keep: Option<usize>) -> Result<Vec<Band>> {
        let rank = self.shape.len();
        let edges: Vec<usize> = self.axes.iter().map(|a| a.0).collect();
        let count = edges.iter().try_fold(1usize, |n, &e| n.checked_mul(e)).filter(|&n| n <= MAX_BANDS);
        let count = count.ok_or_else(|| Error::invalid(format!("expected at most {MAX_BANDS} values a block")))?;
        let mut frequencies: Vec<[usize; MAX_RANK]> = Vec::with_capacity(count);
        for i in 0..count {
            let (mut f, mut rest) = ([0; MAX_RANK], i);
            for k in (0..rank).rev() {
                f[k] = rest % edges[k];
                rest /= edges[k];
            }
            if keep.is_none_or(|keep| f.iter().all(|&f| f < keep)) {
                frequencies.push(f);
            }
        }
        frequencies.sort_by_key(|f| f.iter().sum::<usize>());
        let place = |f: &[usize; MAX_RANK]| (0..rank).fold(0, |n, k| n * edges[k] + f[k]);
        let mut order = vec![0; count];
        let mut bands: Vec<Band> = Vec::with_capacity(count);
        for f in &frequencies {
            let mut band = Band {
                origin: [0; MAX_RANK],
                extents: [1; MAX_RANK],
                parents: Vec::new(),
                follows: false,
                level: match f.iter().sum() {
                    0 => 7,
                    1 => 6,
                    2 => 5,
                    3 => 4,
                    4 | 5 => 3,
                    6 | 7 => 2,
                    8..=11 => 1,
                    _ => 0,
                },
            };
            for k in 0..rank {
                (band.origin[k], band.extents[k]) = self.frequency(k, f[k]);
                for lower in 1..=f[k].min(2) {
                    let mut g = *f;
                    g[k] -= lower;
                    band.parents.push((order[place(&g)], [0; MAX_RANK]));
                }
            }
            if !band.extents[..rank].contains(&0) {
                order[place(f)] = bands.len();
                bands.push(band);
            }
        }
        Ok(bands)
    }

    /// Where the coefficients of frequency `f` along `axis` lie after regrouping, and how many there are.
    fn frequency(&self, axis: usize, f: usize) -> (usize, usize) {
        let (edge, n) = (self.axes[axis].0, self.shape[axis]);
        let (whole, short) = (n / edge, n % edge);
        (f * whole + f.min(short), whole + usize::from(f < short))
    }

    /// Sets the coefficients in `data`, in the order of blocks, to 0 that are not below frequency `keep` along every axis.
    /// Errors: as [`BlockDct::forward`].
    pub fn keep(&self, data: &mut [f64], keep: usize) -> Result<()> {
        check(&self.shape, data.len())?;
        let step = strides(&self.shape);
        for (i, v) in data.iter_mut().enumerate() {
            let is_high =
                |(k, axis): (usize, &(usize, Line, Option<Line>))| i / step[k] % self.shape[k] % axis.0 >= keep;
            if self.axes.iter().enumerate().any(is_high) {
                *v = 0.0;
            }
        }
        Ok(())
    }

    /// Brings coefficients of the same frequency together (`from` in the order of blocks, `to` in that of
    /// [`BlockDct::bands`]), or back. Errors: as [`BlockDct::forward`].
    pub fn regroup<T: Copy>(&self, from: &[T], to: &mut [T], back: bool) -> Result<()> {
        check(&self.shape, from.len())?;
        check(&self.shape, to.len())?;
        let step = strides(&self.shape);
        let targets: Vec<Vec<usize>> = (0..self.shape.len())
            .map(|k| {
                let edge = self.axes[k].0;
                (0..self.shape[k]).map(|i| (self.frequency(k, i % edge).0 + i / edge) * step[k]).collect()
            })
            .collect();
        let Some((last, outer)) = targets.split_last() else {
            to.copy_from_slice(from);
            return Ok(());
        };
        let mut bases = vec![0];
        for axis in outer {
            bases = bases.iter().flat_map(|b| axis.iter().map(move |t| b + t)).collect();
        }
        let width = last.len().max(1);
        for (i, base) in bases.iter().enumerate() {
            for (j, t) in last.iter().enumerate() {
                let (a, b) = (i * width + j, base + t);
                if back {
                    to[a] = from[b];
                } else {
                    to[b] = from[a];
                }
            }
        }
        Ok(())
    }

    /// Values to coefficients. Errors: `InvalidArgument` when `data` has not as many values as the shape.
    pub fn forward(&self, data: &mut [f64]) -> Result<()> {
        self.apply(data, |line, x, y| line.forward(x, y))
    }

    /// Coefficients to values. Errors: as [`BlockDct::forward`].
    pub fn inverse(&self, data: &mut [f64]) -> Result<()> {
        self.apply(data, |line, x, y| line.inverse(x, y))
    }

    /// Runs `f` on all lines of all blocks along each axis in turn.
    #[inline(always)]
    fn apply(&self, data: &mut [f64], f: impl Fn(&Line, &mut [Row], &mut [Row])) -> Result<()> {
        check(&self.shape, data.len())?;
        let longest = self.axes.iter().map(|a| a.0).max().unwrap_or(0);
        let (mut x, mut y) = (vec![[0.0; LANES]; longest], vec![[0.0; LANES]; longest]);
        for (axis, (edge, line, short)) in self.axes.iter().enumerate().rev() {
            if *edge < 2 {
                continue;
            }
            let (n, step) = (self.shape[axis], strides(&self.shape)[axis]);
            let whole = n - n % edge;
            if axis + 1 == self.shape.len() {
                // Lines are contiguous: several blocks at a time, of one line or of many, are transposed on the way.
                let starts = (0..data.len()).step_by(n.max(1));
                let full = starts.clone().flat_map(|s| (s..s + whole).step_by(*edge));
                apply_contiguous(data, full, line, &mut x, &mut y, &f);
                if let Some(line) = short {
                    apply_contiguous(data, starts.map(|s| s + whole), line, &mut x, &mut y, &f);
                }
                continue;
            }
            let parts = (0..whole).step_by(*edge).map(|at| (at, line)).chain(short.iter().map(|line| (whole, line)));
            let (run, starts) = runs(&self.shape, &self.shape, axis);
            for start in starts {
                for (at, line) in parts.clone() {
                    let (x, y) = (&mut x[..line.n], &mut y[..line.n]);
                    for column in (0..run).step_by(LANES) {
                        let (at, lanes) = (start + at * step + column, LANES.min(run - column));
                        load(data, at, step, lanes, x.iter_mut());
                        f(line, x, y);
                        store(data, at, step, lanes, y.iter());
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        let mut s = 77u64;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
            })
            .collect()
    }

    /// The definition, term by term.
    fn direct(x: &[f64]) -> Vec<f64> {
        let n = x.len() as f64;
        (0..x.len())
            .map(|k| {
                let s = if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
                let term = |(i, v): (usize, &f64)| {
                    v * libm::cos(std::f64::consts::PI * (2 * i + 1) as f64 * k as f64 / (2.0 * n))
                };
                s * x.iter().enumerate().map(term).sum::<f64>()
            })
            .collect()
    }

    #[test]
    fn lines_of_every_length_match_the_definition() {
        for n in 1..=70 {
            let x = noise(n);
            let mut y = x.clone();
            BlockDct::new(&[n], &[n]).unwrap().forward(&mut y).unwrap();
            for (a, b) in y.iter().zip(direct(&x)) {
                assert!((a - b).abs() < 1e-12, "{n}: {a} {b}");
            }
        }
    }

    #[test]
    fn reconstructs_and_keeps_energy_for_any_shape_and_edge() {
        let cases: [(&[usize], &[usize]); 10] = [
            (&[], &[]),
            (&[0], &[4]),
            (&[1], &[8]),
            (&[37], &[8]),
            (&[5, 0], &[4, 4]),
            (&[33, 18], &[8, 5]),
            (&[9, 40], &[1, 16]),
            (&[7, 20, 35], &[4, 64, 6]),
            (&[3, 11, 8, 10], &[3, 4, 8, 7]),
            (&[2, 100, 1], &[8, 100, 8]),
        ];
        for (shape, edges) in cases {
            let x = noise(shape.iter().product());
            let t = BlockDct::new(shape, edges).unwrap();
            let mut y = x.clone();
            t.forward(&mut y).unwrap();
            let energy = |a: &[f64]| a.iter().map(|v| v * v).sum::<f64>();
            assert!((energy(&x) - energy(&y)).abs() <= 1e-12 * energy(&x), "{shape:?}");
            t.inverse(&mut y).unwrap();
            assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12), "{shape:?} {edges:?}");
        }
    }

    #[test]
    fn a_constant_and_a_cosine_are_one_coefficient() {
        let t = BlockDct::new(&[8, 12], &[8, 6]).unwrap();
        let mut x = vec![2.0; 96];
        t.forward(&mut x).unwrap();
        for (i, v) in x.iter().enumerate() {
            let want = if i / 12 == 0 && i % 6 == 0 { 2.0 * 48f64.sqrt() } else { 0.0 };
            assert!((v - want).abs() < 1e-12, "{i}: {v}");
        }
        let mut x: Vec<f64> =
            (0..96).map(|i| libm::cos(std::f64::consts::PI * (2 * (i / 12) + 1) as f64 * 3.0 / 16.0)).collect();
        t.forward(&mut x).unwrap();
        for (i, v) in x.iter().enumerate() {
            let want = if i / 12 == 3 && i % 6 == 0 { 24f64.sqrt() } else { 0.0 };
            assert!((v - want).abs() < 1e-12, "{i}: {v}");
        }
    }

    #[test]
    fn regrouping_puts_each_frequency_into_its_band() {
        let cases: [(&[usize], &[usize]); 6] = [
            (&[], &[]),
            (&[13], &[4]),
            (&[9, 10], &[4, 3]),
            (&[2, 7, 5], &[1, 4, 8]),
            (&[6, 0], &[4, 4]),
            (&[3], &[8]),
        ];
        for (shape, edges) in cases {
            let t = BlockDct::new(shape, edges).unwrap();
            let n = shape.iter().product();
            let x: Vec<usize> = (0..n).collect();
            let (mut y, mut z) = (vec![0; n], vec![0; n]);
            t.regroup(&x, &mut y, false).unwrap();
            t.regroup(&y, &mut z, true).unwrap();
            assert_eq!(x, z);
            let step = strides(shape);
            let mut seen = 0;
            let bands = t.bands(None).unwrap();
            for band in &bands {
                let m: usize = band.extents[..shape.len()].iter().product();
                let mut common = None;
                for i in 0..m {
                    let (mut at, mut rest) = (0, i);
                    for k in (0..shape.len()).rev() {
                        at += (band.origin[k] + rest % band.extents[k]) * step[k];
                        rest /= band.extents[k];
                    }
                    let frequency: Vec<usize> =
                        (0..shape.len()).map(|k| y[at] / step[k] % shape[k] % edges[k].min(shape[k])).collect();
                    assert_eq!(common.get_or_insert(frequency.clone()), &frequency);
                    seen += 1;
                }
            }
            assert_eq!(seen, n);
            assert!(bands.iter().enumerate().all(|(i, b)| b.parents.iter().all(|p| p.0 < i)));
        }
        assert!(BlockDct::new(&[64, 64, 64], &[64, 64, 64]).unwrap().bands(None).is_err());
    }

    #[test]
    fn bad_arguments_are_refused() {
        assert!(BlockDct::new(&[4, 4], &[4]).is_err() && BlockDct::new(&[4], &[0]).is_err());
        assert!(BlockDct::new(&[10_000], &[5000]).is_err() && BlockDct::new(&[10], &[5000]).is_ok());
        assert!(BlockDct::new(&[4], &[4]).unwrap().forward(&mut [0.0; 3]).is_err());
    }
}
