//! Orthonormal bases of an axis, learned from data, as quantised reflections.
//!
//! Sources: A. S. Householder, "Unitary triangularization of a nonsymmetric matrix", 1958; R. Ballester-Ripoll, P. Lindstrom,
//! R. Pajarola, "TTHRESH: tensor compression for multidimensional visual data", 2019 (vectors of little weight need few bits).
//! Each reflection carries what the vectors before leave open, half of the numbers, and whatever is lost to quantisation the
//! basis stays orthonormal: the encoder projects on what the decoder will have, and nothing but compaction suffers.
//!
//! # Format
//!
//! A basis of `r` vectors of `n` values is `r` columns of integers. Column `j` has a precision `p[j]`, 0 to 30, and the integers
//! `q[j..n]`. Let `w = q / 2^p[j]` with `2^p[j]` taken off the first integer, `w / |w|` in its place, or -1 followed by zeros if `w`
//! is 0; let `u = w`, its first value less 1, and `v = u sqrt(2 / (u u))`: the reflection `R_j` makes `x - v (v x)` of the values
//! from `j` (nothing where `u u` is 0). Vector `j` is `R_0 ( R_1 ( ... R_j e_j))`, its values being the coefficients of the orthonormal cosine
//! transform of `n` values. Sums are formed from 0 in the order of the index.
//!
//! Bases follow each other in one range-coded stream with one integer model of [`crate::entropy::mixing`]. For each column: what
//! its precision is below that before (below 30 for the first), in unary, a model of one bit shared by all: true for each one
//! below, then false, unless the precision is 0; then the integers in order. For index `i` in the column, counted from 0 in the
//! whole vector, let `a`, `b` be the magnitudes, at most 2^20, at `i - 1` and `i - 2`, `c`, `d`, `e` those of the column before at
//! `i`, `i - 1`, `i + 1`, `f` that of the column before that at `i`, and `s` the sum over the six last ones in this column; what is
//! not there is 0. With `L(v)` as for [coefficients](crate::transform::encode_coefficients) the contexts are
//! `32 L(g) + L(i - j)` with `g = 2 a + b + 2 c + d + e` (both at most 31), `2 L(s + f)` plus 1 for the first of the column (at most
//! 31), `32 L(a + b) + L(c + f)` (31), `16 L(i) + L(j)` (15), and the selector `L(g)` (at most 15).

use super::coefficients::log;
use super::dct::cosine_rows;
use super::product::{product, transposed};
use crate::bits::{widest, Work};
use crate::entropy::{BinaryDecoder, BinaryEncoder, Bit, Decisions, MixedModel};
use crate::error::Result;

/// Longest axis that is learned: its basis is a matrix of that many rows, found in cubic time.
pub const MAX_LEARNED: usize = 512;
/// Finest precision, in bits.
const FINEST: u32 = 30;
const MAX_MAGNITUDE: u32 = 1 << 20;
/// How much of what belongs to one vector its quantisation may leave to another, in steps of the coefficients: finer vectors cost
/// more than they save.
const SPILL: f64 = 1.5;

/// A basis as integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    n: usize,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    precision: u32,
    codes: Vec<i32>,
}

impl Column {
    /// The normal of the reflection, its square being 2.
    fn normal(&self) -> Vec<f64> {
        let scale = 1.0 / f64::from(1u32 << self.precision);
        let mut v: Vec<f64> = self.codes.iter().map(|&q| f64::from(q) * scale).collect();
        let Some(first) = v.first_mut() else { return v };
        *first -= 1.0;
        let norm = square(&v).sqrt();
        if norm > 0.0 {
            v.iter_mut().for_each(|x| *x /= norm);
        } else {
            v[0] = -1.0;
        }
        v[0] -= 1.0;
        let f = (2.0 / square(&v)).sqrt();
        // The two unit vectors may have met.
        v.iter_mut().for_each(|x| *x = if f.is_finite() { *x * f } else { 0.0 });
        v
    }
}

fn square(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |s, x| s + x * x)
}

/// Reflects the last `v.len()` values of each of the columns from `first` of a matrix with rows of `r` values, `v`, of square 2,
/// being the normal of the mirror.
struct Reflect<'a> {
    matrix: &'a mut [f64],
    r: usize,
    first: usize,
    v: &'a [f64],
}

impl Work for Reflect<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Reflect { matrix, r, first, v } = self;
        let skip = matrix.len() - v.len() * r;
        let rows = &mut matrix[skip..];
        let mut sums = vec![0.0; r - first];
        for (row, v) in rows.chunks_exact(r).zip(v) {
            sums.iter_mut().zip(&row[first..]).for_each(|(s, x)| *s += x * v);
        }
        for (row, v) in rows.chunks_exact_mut(r).zip(v) {
            row[first..].iter_mut().zip(&sums).for_each(|(x, s)| *x -= v * s);
        }
    }
}

impl Basis {
    /// The first `r` of the orthonormal `vectors` of `n` values, one a row, in the precision that suits coefficients of the norms
    /// `norms` quantised with `step`; norms fall. Errors: those of [`product`].
    pub fn fit(vectors: &[f64], norms: &[f64], r: usize, step: f64) -> Result<Basis> {
        let n = norms.len();
        let r = r.min(n);
        let mut rest = transposed(&product(&vectors[..r * n], &[r, n], 1, &cosine_rows(n, n))?, n);
        let mut columns = Vec::with_capacity(r);
        let mut precision = FINEST;
        for (j, norm) in norms.iter().enumerate().take(r) {
            let column = || rest.iter().skip(j * r + j).step_by(r);
            // Casts saturate.
            precision = precision.min(libm::ceil(libm::log2(norm / (SPILL * step))) as u32);
            // Of the two directions the one whose mirror is farther away, lest its normal vanish.
            let scale = f64::from(1u32 << precision) * if rest[j * r + j] > 0.0 { -1.0 } else { 1.0 };
            let mut codes: Vec<i32> = column().map(|v| libm::round(v * scale) as i32).collect();
            codes[0] += 1 << precision;
            let column = Column { precision, codes };
            widest(Reflect { matrix: &mut rest, r, first: j, v: &column.normal() });
            columns.push(column);
        }
        Ok(Basis { n, columns })
    }

    /// The vectors, `n` values a row. Errors: those of [`product`].
    pub fn rows(&self) -> Result<Vec<f64>> {
        let (n, r) = (self.n, self.columns.len());
        let mut matrix = vec![0.0; n * r];
        matrix.iter_mut().step_by(r + 1).take(r).for_each(|v| *v = 1.0);
        for (j, column) in self.columns.iter().enumerate().rev() {
            widest(Reflect { matrix: &mut matrix, r, first: j, v: &column.normal() });
        }
        Ok(transposed(&product(&matrix, &[n, r], 0, &transposed(&cosine_rows(n, n), n))?, r))
    }

    /// The basis of the first `r` vectors.
    pub fn cut(mut self, r: usize) -> Basis {
        self.columns.truncate(r);
        self
    }

    fn code<C: Decisions>(&mut self, coder: &mut Coder<C>) {
        let n = self.n;
        let mut before = FINEST;
        // The magnitudes of this column and the two before, with room for two values before the first and one after the last.
        let mut known = [vec![0u32; n + 3], vec![0u32; n + 3], vec![0u32; n + 3]];
        for (j, column) in self.columns.iter_mut().enumerate() {
            while before > 0 && coder.io.learn(&mut coder.below, column.precision < before) {
                before -= 1;
            }
            column.precision = before;
            known.rotate_right(1);
            let [here, last, older] = &mut known;
            here.fill(0);
            let mut recent = [0; 6];
            for (i, code) in (j..n).zip(&mut column.codes) {
                let (a, b, c, f) = (here[i + 1], here[i], last[i + 2], older[i + 2]);
                let g = log(2 * a + b + 2 * c + last[i + 1] + last[i + 3]).min(31);
                let s: u32 = recent.iter().sum();
                let contexts = [
                    g * 32 + log((i - j) as u32).min(31),
                    log(s + f).min(31) * 2 + usize::from(i == j),
                    log(a + b).min(31) * 32 + log(c + f).min(31),
                    log(i as u32).min(15) * 16 + log(j as u32).min(15),
                ];
                *code = coder.model.code(&mut coder.io, *code, contexts, g.min(15));
                here[i + 2] = code.unsigned_abs().min(MAX_MAGNITUDE);
                recent[i % 6] = here[i + 2];
            }
        }
    }
}

struct Coder<C> {
    io: C,
    model: MixedModel,
    below: Bit,
}

impl<C> Coder<C> {
    fn new(io: C) -> Result<Self> {
        Ok(Coder { io, model: MixedModel::new([32 * 32, 64, 32 * 32, 16 * 16], 16)?, below: Bit::new() })
    }
}

/// The bytes of `bases`, in order. Errors: `LimitExceeded`.
pub fn encode_bases(bases: &[Basis]) -> Result<Vec<u8>> {
    let mut coder = Coder::new(BinaryEncoder::new())?;
    for basis in bases {
        basis.clone().code(&mut coder);
    }
    Ok(coder.io.finish())
}

/// The inverse of [`encode_bases`] for bases of so many values and vectors; all of `bytes` is read. Total on hostile bytes; the
/// caller answers for the sizes. Errors: `Corrupt`, `Truncated`, `LimitExceeded`.
pub fn decode_bases(bytes: &[u8], sizes: &[(usize, usize)]) -> Result<Vec<Basis>> {
    let mut coder = Coder::new(BinaryDecoder::new(bytes))?;
    let mut bases = Vec::new();
    for &(n, r) in sizes {
        let columns = (0..r.min(n)).map(|j| Column { precision: 0, codes: vec![0; n - j] }).collect();
        let mut basis = Basis { n, columns };
        basis.code(&mut coder);
        bases.push(basis);
    }
    coder.io.finish()?;
    Ok(bases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::linalg::eigenvectors;

    /// Orthonormal vectors, one a row.
    fn vectors(n: usize) -> Vec<f64> {
        let a: Vec<f64> = (0..n * n).map(|i| libm::sin((i / n + 1) as f64 * (i % n + 1) as f64)).collect();
        let symmetric: Vec<f64> = (0..n * n).map(|i| a[i] + a[i % n * n + i / n]).collect();
        eigenvectors(&symmetric, n).unwrap()
    }
    fn norms(n: usize) -> Vec<f64> {
        (0..n).map(|j| 1000.0 / (1u64 << (j / 3).min(40)) as f64).collect()
    }

    #[test]
    fn bases_stay_orthonormal_whatever_is_lost() {
        for n in [1usize, 2, 5, 40] {
            for step in [1e-4, 0.1, 10.0, 1e4] {
                for r in [1, n.div_ceil(2), n] {
                    let basis = Basis::fit(&vectors(n), &norms(n), r, step).unwrap();
                    let rows = basis.rows().unwrap();
                    assert_eq!(rows.len(), n * r);
                    for (i, a) in rows.chunks_exact(n).enumerate() {
                        for (j, b) in rows.chunks_exact(n).enumerate() {
                            let expected = if i == j { 1.0 } else { 0.0 };
                            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                            assert!((product - expected).abs() < 1e-13, "{n} {step} {r}: {i} {j}");
                        }
                    }
                    assert_eq!(basis.clone().cut(1).rows().unwrap(), rows[..n]);
                }
            }
        }
    }

    /// What is lost of each vector goes with its norm.
    #[test]
    fn vectors_are_as_precise_as_their_norms_ask() {
        let (n, step) = (40, 0.1);
        let (vectors, norms) = (vectors(n), norms(n));
        let rows = Basis::fit(&vectors, &norms, n, step).unwrap().rows().unwrap();
        for ((u, v), norm) in rows.chunks_exact(n).zip(vectors.chunks_exact(n)).zip(&norms) {
            let along: f64 = u.iter().zip(v).map(|(u, v)| u * v).sum();
            let lost = (1.0 - along * along).max(0.0).sqrt() * norm;
            assert!(lost < 2.0 * SPILL * step * (n as f64).sqrt(), "{norm}: {lost}");
        }
    }

    #[test]
    fn bases_round_trip_and_damage_never_panics() {
        let bases: Vec<Basis> = [(1, 1), (7, 3), (20, 20), (30, 8)]
            .iter()
            .map(|&(n, r)| Basis::fit(&vectors(n), &norms(n), r, 0.01).unwrap())
            .collect();
        let sizes: Vec<(usize, usize)> = bases.iter().map(|b| (b.n, b.columns.len())).collect();
        let bytes = encode_bases(&bases).unwrap();
        assert_eq!(decode_bases(&bytes, &sizes).unwrap(), bases);
        for cut in 0..bytes.len() {
            assert_eq!(decode_bases(&bytes[..cut], &sizes).unwrap_err().kind(), ErrorKind::Truncated);
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            if let Ok(other) = decode_bases(&bad, &sizes) {
                assert!(other != bases);
                assert!(other.iter().all(|b| b.rows().unwrap().iter().all(|v| v.is_finite())));
            }
        }
        assert_eq!(decode_bases(&[], &[]).unwrap(), []);
        assert!(decode_bases(&[1], &[]).is_err());
        for codes in [vec![0; 4], vec![1, 0, 0, 0], vec![2, 0, 0, 0], vec![i32::MIN; 4]] {
            let basis = Basis { n: 4, columns: vec![Column { precision: 0, codes }] };
            let row = basis.rows().unwrap();
            assert!((square(&row) - 1.0).abs() < 1e-14, "{basis:?}: {row:?}");
        }
    }
}
