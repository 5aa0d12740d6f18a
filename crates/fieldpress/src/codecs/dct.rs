//! `dct`: cosine transform of small blocks, uniform quantisation, coefficients coded in contexts.
//!
//! Source: N. Ahmed, T. Natarajan, K. R. Rao, "Discrete cosine transform", 1974. Coefficients of one frequency from all
//! blocks form a field of their own, coded in the context of its neighbours and of the lower frequencies at the same place.
//! Block edges and quantisation step are chosen by trial on a part of the block.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 2 varints | only where high frequencies were dropped: 0, and how many were kept along each axis, from 1 |
//! | varint for each axis | edge of the transform's blocks, from 1; their product is at most 2^15 |
//! | rest | the coefficients, see [`Quantised`], regrouped by [`BlockDct::regroup`], in those of the bands of [`BlockDct::bands`] that were kept |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::transform::dct::{MAX_BANDS, MAX_EDGE};
use crate::transform::{trial, BlockDct, Coder, Precision, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "dct",
    doc: "Block cosine transform with context-coded coefficients.",
    params: &[
        ("block", "edge of the blocks along every axis; without it, the best of 4, 8, 16 and 32"),
        ("keep", "how many of the lowest frequencies are kept along each axis of a block, from 1; without it, all"),
        Precision::THRESHOLD,
        Precision::STEP,
        Precision::BITS,
        Precision::ABSOLUTE,
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Dct>("dct", v)?.checked()?)))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dct {
    /// Edge of the blocks along every axis, halved along the longest as long as a block has more than 2^15 values;
    /// `None` chooses edges for each axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
    /// How many of the lowest frequencies are kept along each axis of a block; `None` keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// As [`Precision::threshold`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub threshold: f64,
    /// As [`Precision::step`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// As [`Precision::bits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// As [`Precision::absolute`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absolute: bool,
    /// How coefficients are coded.
    #[serde(default)]
    pub coder: Coder,
}

fn is_zero(v: &f64) -> bool {
    *v == 0.0
}

impl Dct {
    /// Errors: `InvalidArgument` for nothing to keep; as [`Precision::check`].
    fn checked(self) -> Result<Dct> {
        if self.keep == Some(0) {
            return Err(Error::invalid("expected at least 1 frequency to keep, found 0"));
        }
        self.precision().check()?;
        Ok(self)
    }
    fn precision(&self) -> Precision {
        Precision { threshold: self.threshold, step: self.step, bits: self.bits, absolute: self.absolute }
    }
    /// The frequencies kept along each axis of blocks of `edges`; `None` where these are all.
    fn kept(&self, edges: &[usize]) -> Option<usize> {
        self.keep.filter(|&k| edges.iter().any(|&e| e > k))
    }
}

/// Edges tried.
const EDGES: [usize; 4] = [4, 8, 16, 32];

impl Model for Dct {
    const ID: &'static str = "dct";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let shape = block.shape.dims();
        let (sample, sample_shape) = trial::sample(x, shape, trial::step_sample_size(x.len()));
        let precision = self.precision();
        let edges = match self.block {
            Some(edge) => fitting(shape, edge)?,
            None if tolerance < f64::MAX => choose(&sample, &sample_shape, shape, trial::TRIAL_STEP * tolerance)?,
            None => {
                let step = precision.apply(&mut sample.clone(), tolerance).unwrap_or(0.0);
                choose(&sample, &sample_shape, shape, step.max(f64::MIN_POSITIVE))?
            }
        };
        let keep = self.kept(&edges);
        let transform = BlockDct::new(shape, &edges)?;
        let mut coefficients = forward(x, shape, &edges, keep)?;
        let step = match precision.apply(&mut coefficients, tolerance) {
            Some(step) => step,
            None => {
                let mut coefficients = forward(&sample, &sample_shape, &edges, keep)?;
                precision.apply(&mut coefficients, tolerance);
                let transform = BlockDct::new(&sample_shape, &edges)?;
                let bands = transform.bands(keep)?;
                let (mut bytes, mut regrouped) = (Vec::new(), vec![0.0; sample.len()]);
                trial::best_step(&sample, tolerance, |step, y| {
                    bytes.clear();
                    let quantised = Quantised::new(&coefficients, step);
                    quantised.values(&mut regrouped);
                    transform.regroup(&regrouped, y, true)?;
                    transform.inverse(y)?;
                    quantised.encode(&sample_shape, &bands, Coder::Classes, &mut bytes)?;
                    Ok(bytes.len())
                })?
            }
        };
        if let Some(keep) = keep {
            put_varint(out, 0);
            put_varint(out, keep as u64);
        }
        edges.iter().for_each(|&e| put_varint(out, e as u64));
        let bands = transform.bands(keep)?;
        let quantised = Quantised::new(&coefficients, step);
        quantised.values(&mut coefficients);
        quantised.encode(shape, &bands, self.coder, out)?;
        let mut decoded = vec![0.0; x.len()];
        transform.regroup(&coefficients, &mut decoded, true)?;
        transform.inverse(&mut decoded)?;
        Ok(Some(decoded))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let mut edges = (0..shape.rank().min(1)).map(|_| r.count(MAX_BANDS)).collect::<Result<Vec<usize>>>()?;
        let keep = match edges.first() {
            Some(0) => {
                edges.clear();
                Some(r.count(MAX_BANDS)?)
            }
            _ => None,
        };
        while edges.len() < shape.rank() {
            edges.push(r.count(MAX_BANDS)?);
        }
        let product = edges.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
        if !product.is_some_and(|n| (1..=MAX_BANDS).contains(&n)) || keep == Some(0) {
            return Err(Error::corrupt(format!(
                "expected block edges of a product up to {MAX_BANDS} and something kept of them, found {edges:?} and {keep:?}"
            )));
        }
        let transform = BlockDct::new(shape, &edges).map_err(|e| Error::corrupt(e.message()))?;
        let mut regrouped = Vec::new();
        regrouped
            .try_reserve_exact(out.len())
            .map_err(|_| Error::limit(format!("expected memory for {} values, found too little", out.len())))?;
        regrouped.resize(out.len(), 0.0);
        Quantised::decode(r.rest(), shape, &transform.bands(keep)?)?.values(&mut regrouped);
        transform.regroup(&regrouped, out, true)?;
        transform.inverse(out)
    }
}

/// Coefficients of `x`, regrouped; 0 for frequencies that are not kept.
fn forward(x: &[f64], shape: &[usize], edges: &[usize], keep: Option<usize>) -> Result<Vec<f64>> {
    let transform = BlockDct::new(shape, edges)?;
    let mut y = x.to_vec();
    transform.forward(&mut y)?;
    keep.map_or(Ok(()), |keep| transform.keep(&mut y, keep))?;
    let mut regrouped = vec![0.0; y.len()];
    transform.regroup(&y, &mut regrouped, false)?;
    Ok(regrouped)
}

/// `edge` along every axis, cut to the array and to what a block may hold.
/// Errors: `InvalidArgument` for an edge of 0.
fn fitting(shape: &[usize], edge: usize) -> Result<Vec<usize>> {
    if edge == 0 {
        return Err(Error::invalid("expected a block edge of at least 1, found 0"));
    }
    let mut edges: Vec<usize> = shape.iter().map(|&d| edge.min(d.max(1)).min(MAX_EDGE)).collect();
    while edges.iter().product::<usize>() > MAX_BANDS {
        let longest = edges.iter().copied().max().unwrap_or(1);
        if let Some(e) = edges.iter_mut().find(|e| **e == longest) {
            *e = longest.div_ceil(2);
        }
    }
    Ok(edges)
}

/// The edges that make the coefficients of `sample` cheapest: one edge for all axes, then for each axis none of it.
fn choose(sample: &[f64], sample_shape: &[usize], shape: &[usize], step: f64) -> Result<Vec<usize>> {
    let cost = |edges: &[usize]| {
        let mut y = sample.to_vec();
        BlockDct::new(sample_shape, edges)?.forward(&mut y)?;
        Ok::<_, Error>(trial::cost(&y, step))
    };
    let mut best = (f64::INFINITY, vec![1; shape.len()]);
    for edge in EDGES {
        let edges = fitting(shape, edge)?;
        let c = cost(&edges)?;
        if c < 0.995 * best.0 {
            best = (c, edges);
        }
    }
    for k in 0..shape.len() {
        let mut edges = best.1.clone();
        edges[k] = 1;
        let c = cost(&edges)?;
        if c < 0.995 * best.0 {
            best = (c, edges);
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::{Bound, Options};

    fn field(shape: &[usize]) -> Vec<f64> {
        let n: usize = shape.iter().product();
        let last = shape.last().copied().unwrap_or(1).max(1);
        (0..n)
            .map(|i| libm::sin((i / last) as f64 * 0.07) * 3.0 + libm::cos((i % last) as f64 * 0.05) * 2.0 + 50.0)
            .collect()
    }
    fn fit(dct: &Dct, x: &[f64], shape: &[usize], tolerance: f64) -> Vec<u8> {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        dct.fit(x, &block, tolerance, &mut out).unwrap();
        out
    }

    #[test]
    fn approximates_any_shape_with_any_edge() {
        let shapes: [&[usize]; 9] =
            [&[], &[0], &[1], &[3], &[200], &[40, 1, 33], &[70, 90], &[5, 24, 31], &[2, 3, 17, 40]];
        for shape in shapes {
            for block in [None, Some(1), Some(5), Some(8), Some(1000)] {
                for coder in [Coder::Mixed, Coder::Classes] {
                    let dct = Dct { block, coder, ..Dct::default() };
                    let x = field(shape);
                    let bytes = fit(&dct, &x, shape, 0.01);
                    let mut y = vec![0.0; x.len()];
                    dct.reconstruct(&bytes, &Shape::new(shape).unwrap(), &mut y).unwrap();
                    let far = x.iter().zip(&y).filter(|(a, b)| (*a - *b).abs() > 0.2).count();
                    assert!(far == 0, "{shape:?} {dct:?}: {far}");
                }
            }
        }
    }

    #[test]
    fn blocks_of_a_cosine_cost_one_coefficient_each() {
        let x: Vec<f64> = (0..128 * 128)
            .map(|i| libm::cos(std::f64::consts::PI * (2 * (i % 8) + 1) as f64 * 3.0 / 16.0) + 7.0)
            .collect();
        let bytes = fit(&Dct { block: Some(8), ..Dct::default() }, &x, &[128, 128], 1e-4);
        // Their leading bits are alike in all 256 blocks; 13 bits each are coded as they come.
        assert!(bytes.len() < 256 * 13 / 8 + 40, "{}", bytes.len());
    }

    /// What is kept of blocks of 4 and of the shorter ones at the ends, by the definition.
    #[test]
    fn without_a_bound_the_lowest_frequencies_are_kept() {
        let (shape, n) = ([6, 9], 54);
        let x: Vec<f64> = (0..n).map(|i| ((i * i) % 23) as f64 - 7.0).collect();
        let dct = Dct { block: Some(4), keep: Some(2), step: Some(1e-9), ..Dct::default() };
        let bytes = fit(&dct, &x, &shape, f64::MAX);
        let mut y = vec![0.0; n];
        Dct::default().reconstruct(&bytes, &Shape::new(&shape).unwrap(), &mut y).unwrap();
        let transform = BlockDct::new(&shape, &[4, 4]).unwrap();
        let (mut a, mut b) = (x.clone(), y);
        transform.forward(&mut a).unwrap();
        transform.forward(&mut b).unwrap();
        for i in 0..n {
            let kept = i / 9 % 4 < 2 && i % 9 % 4 < 2;
            assert!((b[i] - if kept { a[i] } else { 0.0 }).abs() < 1e-6, "{i}: {} {}", a[i], b[i]);
        }
        let all = fit(&Dct { keep: None, ..dct }, &x, &shape, f64::MAX);
        assert!(bytes.len() < all.len() && fit(&Dct { keep: Some(4), ..dct }, &x, &shape, f64::MAX) == all);
        let few = fit(&Dct { keep: None, step: None, bits: Some(6), ..dct }, &x, &shape, f64::MAX);
        let fewer = fit(&Dct { keep: None, step: None, threshold: 0.2, ..dct }, &x, &shape, f64::MAX);
        assert!(few.len() < all.len() && fewer.len() < few.len());
        // Nothing is said: 16 bits of the largest.
        let bytes = fit(&Dct::default(), &x, &shape, f64::MAX);
        let mut y = vec![0.0; n];
        Dct::default().reconstruct(&bytes, &Shape::new(&shape).unwrap(), &mut y).unwrap();
        assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 0.01));
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        let chains =
            ["dct", "dct:block=8,coder=classes", "dct:block=6", "dct:block=8,keep=4", "dct:threshold=1e-3,bits=12"];
        bounds_hold(&chains, &field(&shape), &shape);
        for bad in ["edge=8", "keep=0", "step=0", "bits=40", "bits=8,step=1"] {
            assert!(Options::new(Bound::Abs(1.0)).with_chain(&format!("dct:{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        for coder in [Coder::Mixed, Coder::Classes] {
            let dct = Dct { coder, ..Dct::default() };
            let few = Dct { keep: Some(2), block: Some(5), ..dct };
            survives_damage(&few, &fit(&few, &field(&shape), &shape, 0.05), &shape);
            survives_damage(&dct, &fit(&dct, &field(&shape), &shape, 0.01), &shape);
        }
    }
}
