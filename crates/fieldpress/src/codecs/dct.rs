//! `dct`: cosine transform of small blocks, uniform quantisation, coefficients coded in contexts.
//!
//! Source: N. Ahmed, T. Natarajan, K. R. Rao, "Discrete cosine transform", 1974. Coefficients of one frequency from all
//! blocks form a field of their own, coded in the context of its neighbours and of the lower frequencies at the same place.
//! Block edges and quantisation step are chosen by trial on a part of the block.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | varint for each axis | edge of the transform's blocks, from 1; their product is at most 2^15 |
//! | rest | the coefficients, see [`Quantised`], regrouped by [`BlockDct::regroup`], in the bands of [`BlockDct::bands`] |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::transform::dct::{MAX_BANDS, MAX_EDGE};
use crate::transform::{trial, BlockDct, Coder, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "dct",
    doc: "Block cosine transform with context-coded coefficients.",
    params: &[
        ("block", "edge of the blocks along every axis; without it, the best of 4, 8, 16 and 32"),
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Dct>("dct", v)?)))),
    idempotent: false,
    unbounded: false,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dct {
    /// Edge of the blocks along every axis, halved along the longest as long as a block has more than 2^15 values;
    /// `None` chooses edges for each axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
    /// How coefficients are coded.
    #[serde(default)]
    pub coder: Coder,
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
        let edges = match self.block {
            Some(edge) => fitting(shape, edge)?,
            None => choose(&sample, &sample_shape, shape, trial::TRIAL_STEP * tolerance)?,
        };
        let coefficients = forward(&sample, &sample_shape, &edges)?;
        let transform = BlockDct::new(&sample_shape, &edges)?;
        let bands = transform.bands()?;
        let (mut bytes, mut regrouped) = (Vec::new(), vec![0.0; sample.len()]);
        let step = trial::best_step(&sample, tolerance, |step, y| {
            bytes.clear();
            let quantised = Quantised::new(&coefficients, step);
            quantised.values(&mut regrouped);
            transform.regroup(&regrouped, y, true)?;
            transform.inverse(y)?;
            quantised.encode(&sample_shape, &bands, Coder::Classes, &mut bytes)?;
            Ok(bytes.len())
        })?;
        edges.iter().for_each(|&e| put_varint(out, e as u64));
        let transform = BlockDct::new(shape, &edges)?;
        let mut coefficients = forward(x, shape, &edges)?;
        let quantised = Quantised::new(&coefficients, step);
        quantised.values(&mut coefficients);
        quantised.encode(shape, &transform.bands()?, self.coder, out)?;
        let mut decoded = vec![0.0; x.len()];
        transform.regroup(&coefficients, &mut decoded, true)?;
        transform.inverse(&mut decoded)?;
        Ok(Some(decoded))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let edges = (0..shape.rank()).map(|_| r.count(MAX_BANDS)).collect::<Result<Vec<usize>>>()?;
        let product = edges.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
        if !product.is_some_and(|n| (1..=MAX_BANDS).contains(&n)) {
            return Err(Error::corrupt(format!(
                "expected block edges of a product up to {MAX_BANDS}, found {edges:?}"
            )));
        }
        let transform = BlockDct::new(shape, &edges).map_err(|e| Error::corrupt(e.message()))?;
        let mut regrouped = Vec::new();
        regrouped
            .try_reserve_exact(out.len())
            .map_err(|_| Error::limit(format!("expected memory for {} values, found too little", out.len())))?;
        regrouped.resize(out.len(), 0.0);
        Quantised::decode(r.rest(), shape, &transform.bands()?)?.values(&mut regrouped);
        transform.regroup(&regrouped, out, true)?;
        transform.inverse(out)
    }
}

/// Coefficients of `x`, regrouped.
fn forward(x: &[f64], shape: &[usize], edges: &[usize]) -> Result<Vec<f64>> {
    let transform = BlockDct::new(shape, edges)?;
    let mut y = x.to_vec();
    transform.forward(&mut y)?;
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
                    let dct = Dct { block, coder };
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

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        bounds_hold(&["dct", "dct:block=8,coder=classes", "dct:block=6"], &field(&shape), &shape);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("dct:edge=8").is_err());
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        for coder in [Coder::Mixed, Coder::Classes] {
            let dct = Dct { coder, ..Dct::default() };
            survives_damage(&dct, &fit(&dct, &field(&shape), &shape, 0.01), &shape);
        }
    }
}
