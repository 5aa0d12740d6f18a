//! `tucker`: every axis in a basis of its own, learned from the data or cosines, and the core quantised in contexts.
//!
//! Sources: L. R. Tucker, "Some mathematical notes on three-mode factor analysis", 1966; L. De Lathauwer, B. De Moor, J.
//! Vandewalle, "A multilinear singular value decomposition", 2000; R. Ballester-Ripoll, P. Lindstrom, R. Pajarola, "TTHRESH: tensor
//! compression for multidimensional visual data", 2019. A learned basis holds the singular vectors of the array unfolded along
//! its axis, quantised so that it stays orthonormal. The core is what the array is in these bases: it falls off along
//! every axis, and is cut where nothing is left. Which axes are worth a basis of their own, and the quantisation step, are
//! chosen by trial.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 for each axis | 0: left alone; 1: cosines; 2: a learned basis |
//! | varint for each axis | extent of the core, from 1 to that of the array; all of it where the axis is left alone, at most 1024 for cosines, 512 and the product of the other axes for a learned basis |
//! | section | the learned bases, axis after axis, see [`basis`](crate::transform::basis); empty if there are none |
//! | rest | the core, see [`Quantised`], in two bands: an empty one, and all of it at level 0 |
//!
//! Axis after axis, the first first, lines of the core become sums of the vectors of the axis' basis: the value at `i` is the sum,
//! from 0, of coefficient times value `i` of the vector, in the order of the vectors. Those of cosines are
//! `s cos(pi (2i + 1) k / 2n)` for the frequencies `k` = 0, 1, ..., with `s = sqrt(1/n)`, times `sqrt(2)` for `k > 0`, and `(2i + 1) k`
//! taken modulo `4n`. Arrays have two axes at least, and values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_section, put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::linalg::eigenvectors;
use crate::transform::basis::{decode_bases, encode_bases, MAX_LEARNED};
use crate::transform::dct::{cosine_rows, MAX_EDGE};
use crate::transform::product::{corner, gram, norms, product, transposed, zeros};
use crate::transform::{trial, Band, Basis, Coder, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "tucker",
    doc: "Tucker decomposition with bases learned for each axis; the best of fields of low rank.",
    params: &[
        ("basis", "cosine, learned, or auto: for each axis the better of the two, or none (default auto)"),
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Tucker>("tucker", v)?)))),
    idempotent: false,
    unbounded: false,
};

/// Which bases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BasisChoice {
    /// For each axis of each block what is best.
    #[default]
    Auto,
    /// Cosines.
    Cosine,
    /// Learned bases for all axes that are short enough.
    Learned,
}

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tucker {
    /// Which bases.
    #[serde(default)]
    pub basis: BasisChoice,
    /// How the core is coded.
    #[serde(default)]
    pub coder: Coder,
}

/// What is done along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain = 0,
    Cosine = 1,
    Learned = 2,
}

/// Bytes for a unit of [`trial::cost`]: measured.
const BYTES: f64 = 0.094;
/// Coefficients below this part of a step become zero.
const DEAD: f64 = 0.6;

/// The singular vectors along an axis, one a row, and the norms of what has them as factors, which fall.
struct Spectrum {
    vectors: Vec<f64>,
    norms: Vec<f64>,
    /// More vectors than lines there cannot be.
    most: usize,
}

impl Spectrum {
    fn new(x: &[f64], shape: &[usize], axis: usize) -> Result<Spectrum> {
        let n = shape[axis];
        let largest = x.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
        let scaled: Vec<f64> = x.iter().map(|v| v / largest).collect();
        let vectors = eigenvectors(&gram(&scaled, shape, axis)?, n)?;
        // The roots of small eigenvalues are noise: the norms are measured.
        let norms = norms(&product(x, shape, axis, &vectors)?, shape, axis);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
        let vectors = order.iter().flat_map(|&i| vectors[i * n..(i + 1) * n].iter().copied()).collect();
        Ok(Spectrum { vectors, norms: order.iter().map(|&i| norms[i]).collect(), most: x.len() / n })
    }
    /// The basis that suits `step`.
    fn basis(&self, step: f64) -> Result<Basis> {
        let r = self.norms.iter().take_while(|&&n| n > DEAD * step).count().clamp(1, self.most);
        Basis::fit(&self.vectors, &self.norms, r, step)
    }
}

/// The array whose core is `core`. `rows` has the vectors of each axis, one a row; none where it is left alone.
fn expand(core: Vec<f64>, extents: &[usize], shape: &[usize], rows: &[Option<Vec<f64>>]) -> Result<Vec<f64>> {
    let (mut y, mut extents) = (core, extents.to_vec());
    for (k, rows) in rows.iter().enumerate() {
        if let Some(rows) = rows {
            y = product(&y, &extents, k, &transposed(rows, shape[k]))?;
            extents[k] = shape[k];
        }
    }
    Ok(y)
}

/// What one encoding came to.
struct Made {
    bytes: Vec<u8>,
    /// What will be decoded.
    values: Vec<f64>,
}

impl Tucker {
    /// The forms of all axes that make the core of `x` and its bases smallest together when quantised with `step`.
    fn choose(&self, x: &[f64], shape: &[usize], spectra: &[Option<Spectrum>], step: f64) -> Result<Vec<Form>> {
        let short = |n: usize| n > 1 && n <= MAX_EDGE;
        let first = |(&n, s): (&usize, &Option<Spectrum>)| match s {
            Some(_) if self.basis == BasisChoice::Learned => Form::Learned,
            _ if short(n) => Form::Cosine,
            _ => Form::Plain,
        };
        let mut forms: Vec<Form> = shape.iter().zip(spectra).map(first).collect();
        if self.basis != BasisChoice::Auto {
            return Ok(forms);
        }
        let (mut y, mut extents) = (x.to_vec(), shape.to_vec());
        for k in (0..shape.len()).filter(|&k| short(shape[k])) {
            y = product(&y, &extents, k, &cosine_rows(shape[k], shape[k]))?;
        }
        let mut best = BYTES * trial::cost(&y, step);
        for k in (0..shape.len()).filter(|&k| short(shape[k])) {
            let n = shape[k];
            let plain = product(&y, &extents, k, &transposed(&cosine_rows(n, n), n))?;
            if let Some(s) = &spectra[k] {
                let basis = s.basis(step)?;
                let rows = basis.rows()?;
                let learned = product(&plain, &extents, k, &rows)?;
                let size = BYTES * trial::cost(&learned, step) + encode_bases(&[basis])?.len() as f64;
                if size < best {
                    (best, forms[k], y) = (size, Form::Learned, learned);
                    extents[k] = rows.len() / n;
                }
            }
            let size = BYTES * trial::cost(&plain, step);
            if size < best {
                (best, forms[k], y) = (size, Form::Plain, plain);
                extents[k] = n;
            }
        }
        Ok(forms)
    }

    fn encode(
        &self,
        x: &[f64],
        shape: &[usize],
        forms: &[Form],
        spectra: &[Option<Spectrum>],
        step: f64,
    ) -> Result<Made> {
        let basis = |(form, spectrum): (&Form, &Option<Spectrum>)| match spectrum {
            Some(s) if *form == Form::Learned => s.basis(step).map(Some),
            _ => Ok(None),
        };
        let bases = forms.iter().zip(spectra).map(basis).collect::<Result<Vec<_>>>()?;
        let vectors = |k: usize| match &bases[k] {
            Some(b) => b.rows().map(Some),
            None => Ok((forms[k] == Form::Cosine).then(|| cosine_rows(shape[k], shape[k]))),
        };
        let mut rows = (0..shape.len()).map(vectors).collect::<Result<Vec<_>>>()?;
        let (mut y, mut extents) = (x.to_vec(), shape.to_vec());
        for (k, rows) in rows.iter().enumerate() {
            if let Some(rows) = rows {
                y = product(&y, &extents, k, rows)?;
                extents[k] = rows.len() / shape[k];
            }
        }
        let mut values = vec![0.0; y.len()];
        Quantised::new(&y, step).values(&mut values);
        let reach = |k: usize| match rows[k] {
            Some(_) => norms(&values, &extents, k).iter().rposition(|&n| n > 0.0).map_or(1, |last| last + 1),
            None => shape[k],
        };
        let ranks: Vec<usize> = (0..shape.len()).map(reach).collect();
        let core = Quantised::new(&corner(&y, &extents, &ranks), step);
        let mut bytes: Vec<u8> = forms.iter().map(|&f| f as u8).collect();
        ranks.iter().for_each(|&r| put_varint(&mut bytes, r as u64));
        let bases: Vec<Basis> = bases.into_iter().zip(&ranks).filter_map(|(b, &r)| Some(b?.cut(r))).collect();
        put_section(&mut bytes, &encode_bases(&bases)?);
        for (k, rows) in rows.iter_mut().enumerate() {
            if let Some(rows) = rows {
                rows.truncate(ranks[k] * shape[k]);
            }
        }
        let mut values = vec![0.0; ranks.iter().product()];
        core.values(&mut values);
        core.encode(&ranks, &Band::core(&ranks), self.coder, &mut bytes)?;
        Ok(Made { bytes, values: expand(values, &ranks, shape, &rows)? })
    }
}

impl Model for Tucker {
    const ID: &'static str = "tucker";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let shape = block.shape.dims();
        if shape.len() < 2 || x.is_empty() || !shape.iter().any(|n| (2..=MAX_EDGE).contains(n)) {
            return Err(Error::invalid(format!(
                "expected two axes or more, one of them of 2 to {MAX_EDGE} values, found the shape {shape:?}"
            )));
        }
        let spectrum = |k: usize| match shape[k] {
            2..=MAX_LEARNED if self.basis != BasisChoice::Cosine => Spectrum::new(x, shape, k).map(Some),
            _ => Ok(None),
        };
        let spectra = (0..shape.len()).map(spectrum).collect::<Result<Vec<_>>>()?;
        let forms = self.choose(x, shape, &spectra, trial::FIRST_STEP * tolerance)?;
        let mut best: Option<(f64, Made)> = None;
        trial::downhill(tolerance, |step| {
            let made = self.encode(x, shape, &forms, &spectra, step)?;
            let size = made.bytes.len() as f64 + trial::correction_bytes(x, &made.values, tolerance);
            if best.as_ref().is_none_or(|b| size < b.0) {
                best = Some((size, made));
            }
            Ok(size)
        })?;
        Ok(best.map(|(_, made)| {
            out.extend(made.bytes);
            made.values
        }))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let dims = shape.dims();
        if dims.len() < 2 {
            return Err(Error::corrupt(format!("expected two axes or more, found the shape {dims:?}")));
        }
        let mut r = ByteReader::new(bytes);
        let forms = r.take(dims.len())?;
        let ranks = dims.iter().map(|&n| r.count(n)).collect::<Result<Vec<usize>>>()?;
        for ((&n, &rank), &form) in dims.iter().zip(&ranks).zip(forms) {
            let most = match form {
                0 if rank == n => n,
                1 => n.min(MAX_EDGE),
                2 if n <= MAX_LEARNED => n.min(out.len() / n.max(1)),
                _ => 0,
            };
            if rank == 0 || rank > most || form == 1 && n > MAX_EDGE {
                return Err(Error::corrupt(format!(
                    "expected extents of a core of {dims:?}, found {ranks:?} for the axes {forms:?}"
                )));
            }
        }
        let learned: Vec<(usize, usize)> =
            (0..dims.len()).filter(|&k| forms[k] == 2).map(|k| (dims[k], ranks[k])).collect();
        let mut bases = decode_bases(r.section()?, &learned)?.into_iter();
        let mut values = zeros(ranks.iter().product())?;
        Quantised::decode(r.rest(), &ranks, &Band::core(&ranks))?.values(&mut values);
        if values.iter().all(|&v| v == 0.0) {
            out.fill(0.0);
            return Ok(());
        }
        let mut rows = Vec::new();
        for (k, &form) in forms.iter().enumerate() {
            rows.push(match form {
                0 => None,
                1 => Some(cosine_rows(dims[k], ranks[k])),
                _ => bases.next().map(|b| b.rows()).transpose()?,
            });
        }
        let y = expand(values, &ranks, dims, &rows)?;
        out.iter_mut().zip(&y).for_each(|(o, y)| *o = *y);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::error::ErrorKind;
    use crate::{Bound, Options};

    /// A sum of `terms` products of wild functions of one index each.
    fn separable(shape: &[usize], terms: usize) -> Vec<f64> {
        let factor = |axis: usize, term: usize, i: usize| {
            libm::sin(((i * i + 3) * (axis + 2)) as f64 * (0.7 + 0.31 * term as f64)) + 0.2 * term as f64
        };
        let value = |at: usize| {
            (0..terms).fold(0.0, |sum, term| {
                let mut rest = at;
                sum + (0..shape.len()).rev().fold(1.0, |p, k| {
                    let i = rest % shape[k];
                    rest /= shape[k];
                    p * factor(k, term, i)
                })
            })
        };
        (0..shape.iter().product()).map(value).collect()
    }
    fn noise(n: usize) -> Vec<f64> {
        let mut s = 88172645463325252u64;
        (0..n)
            .map(|_| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
            })
            .collect()
    }
    fn fit(tucker: &Tucker, x: &[f64], shape: &[usize], tolerance: f64) -> Result<Vec<u8>> {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        tucker.fit(x, &block, tolerance, &mut out).map(|_| out)
    }
    fn reconstruct(bytes: &[u8], shape: &[usize]) -> Result<Vec<f64>> {
        let mut y = vec![0.0; shape.iter().product()];
        Tucker::default().reconstruct(bytes, &Shape::new(shape).unwrap(), &mut y).map(|()| y)
    }
    fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()))
    }

    #[test]
    fn fields_of_low_rank_cost_little_more_than_their_factors() {
        for (shape, terms) in [(&[60, 50][..], 2), (&[40, 33, 48], 3), (&[12, 9, 31, 20], 2)] {
            let x = separable(shape, terms);
            let bytes = fit(&Tucker::default(), &x, shape, 1e-3).unwrap();
            // The largest terms need some 14 bits a value.
            let factors = terms * shape.iter().sum::<usize>() * 14 / 8;
            assert!(bytes.len() < factors + 100, "{shape:?}: {} against {factors}", bytes.len());
            let y = reconstruct(&bytes, shape).unwrap();
            assert!(largest_difference(&x, &y) < 0.02, "{shape:?}: {}", largest_difference(&x, &y));
            let cosines = fit(&Tucker { basis: BasisChoice::Cosine, ..Tucker::default() }, &x, shape, 1e-3).unwrap();
            assert!(cosines.len() > 2 * bytes.len(), "{shape:?}: {} {}", cosines.len(), bytes.len());
        }
    }

    #[test]
    fn any_data_any_choice() {
        for shape in [&[1, 2][..], &[5, 1, 3], &[30, 7], &[200, 2], &[3, 5, 8, 6], &[2, 1030], &[600, 3]] {
            let x: Vec<f64> =
                separable(shape, 1).iter().zip(noise(shape.iter().product())).map(|(a, b)| a + 0.3 * b).collect();
            for basis in [BasisChoice::Auto, BasisChoice::Cosine, BasisChoice::Learned] {
                for coder in [Coder::Mixed, Coder::Classes] {
                    for tolerance in [1e-14, 1e-6, 0.01, 100.0] {
                        let tucker = Tucker { basis, coder };
                        let bytes = fit(&tucker, &x, shape, tolerance).unwrap();
                        let y = reconstruct(&bytes, shape).unwrap();
                        let d = largest_difference(&x, &y);
                        // Codes have 31 bits.
                        assert!(d < 40.0 * tolerance + 1e-8, "{shape:?} {tucker:?} {tolerance}: {d}");
                        assert_eq!(bytes, fit(&tucker, &x, shape, tolerance).unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn shapes_it_is_not_for_are_refused() {
        for shape in [&[][..], &[50], &[0, 4], &[1, 1], &[1, 1025]] {
            let e = fit(&Tucker::default(), &vec![1.0; shape.iter().product()], shape, 0.1).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{shape:?}");
            assert!(reconstruct(&[1; 40], shape).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        let chains = ["tucker", "tucker:basis=learned,coder=classes", "tucker:basis=cosine"];
        bounds_hold(&chains, &separable(&shape, 2), &shape);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("tucker:rank=8").is_err());
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        let x = separable(&shape, 2);
        for basis in [BasisChoice::Learned, BasisChoice::Cosine] {
            let bytes = fit(&Tucker { basis, ..Tucker::default() }, &x, &shape, 0.01).unwrap();
            survives_damage(&Tucker::default(), &bytes, &shape);
        }
        // No more vectors than there are lines, some extent of the core, and all of an axis that is left alone.
        let tall =
            fit(&Tucker { basis: BasisChoice::Learned, ..Tucker::default() }, &separable(&[30, 4], 4), &[30, 4], 1e-6);
        let tall = tall.unwrap();
        assert_eq!(tall[..4], [2, 2, 4, 4]);
        for (at, value) in [(2, 5), (2, 0), (0, 0), (0, 3)] {
            let mut bad = tall.clone();
            bad[at] = value;
            let e = reconstruct(&bad, &[30, 4]).unwrap_err();
            assert!(e.kind() == ErrorKind::Corrupt && e.message().contains("extents of a core"), "{at} {value}: {e}");
        }
        assert!(reconstruct(&[2, 2, 2, 3, 0], &[2, 3]).is_err());
    }
}
