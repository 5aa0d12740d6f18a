//! `dwt`: wavelet transform of the whole block, uniform quantisation, coefficients coded in contexts.
//!
//! Sources: A. Cohen, I. Daubechies, J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992; X. Wu,
//! "High-order context modeling and embedded conditional entropy coding of wavelet coefficients for image compression",
//! 1997. How each axis is split, and the quantisation step, are chosen by trial on a part of the block: a step of
//! 1.6 to 4 tolerances leaves some points outside the bound, and costs less with their correction than a finer one.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | `step`, f64; a block of zeros if 0, and nothing follows |
//! | 1 | bit 0: CDF 5/3, else CDF 9/7; bit 1: coder `classes`, else `mixed`; other bits 0 |
//! | 1 | bit `k`: axis `k` is transformed alone (see [`Decomposition`]) |
//! | rank | levels of each axis |
//! | varint | `offset`, zigzag: added to the codes of the subband that is low-pass along all axes, modulo 2^32 |
//! | 3 | `r[1]`, `r[2]`, `r[3]`, i8 each: corrections of magnitudes 1, 2, and 3 and more |
//! | rest | the codes `q`, i32 (see [`encode_coefficients`]) |
//!
//! A coefficient is `step * (q + sign(q) * r[min(|q|, 3)] / 256)`, 0 for `q = 0`; the values are the inverse transform.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, unzigzag, zigzag, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::transform::wavelet::{default_levels, MAX_LEVELS};
use crate::transform::{decode_coefficients, encode_coefficients, Coder, Decomposition, Wavelet};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "dwt",
    doc: "Wavelet transform (CDF 9/7 or 5/3) with context-coded coefficients; the best of smooth fields.",
    params: &[
        ("wavelet", "cdf97, cdf53, or auto: the better of the two on a part of each block (default auto)"),
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
        ("levels", "levels along every axis; without it, what suits each axis of each block"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Dwt>("dwt", v)?)))),
    idempotent: false,
};

/// Which wavelet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaveletChoice {
    /// The better of the two, block by block.
    #[default]
    Auto,
    /// CDF 9/7.
    Cdf97,
    /// CDF 5/3.
    Cdf53,
}

/// How coefficients are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoderChoice {
    /// Mixed adaptive models.
    #[default]
    Mixed,
    /// Static rANS with context classes.
    Classes,
}

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dwt {
    /// Which wavelet.
    #[serde(default)]
    pub wavelet: WaveletChoice,
    /// How coefficients are coded.
    #[serde(default)]
    pub coder: CoderChoice,
    /// Levels along every axis, all split together; `None` chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
}

/// Values tried out on.
const SAMPLE: usize = 1 << 17;
/// Steps tried, in tolerances.
const STEPS: [f64; 5] = [1.6, 2.0, 2.5, 3.2, 4.0];
/// The step at which decompositions are compared.
const TRIAL_STEP: f64 = 2.0;
/// Magnitudes below `1 - ROUNDING` steps become zero: more than half a step, since zeros are cheap.
const ROUNDING: f64 = 0.4;
/// Largest magnitude of a code.
const MAX_CODE: f64 = (1u32 << 30) as f64;

impl Model for Dwt {
    const ID: &'static str = "dwt";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<()> {
        let shape = block.shape.dims();
        let (sample, sample_shape) = sample(x, shape);
        let decomposition = self.decompose(&sample, &sample_shape, shape, TRIAL_STEP * tolerance)?;
        let coder = match self.coder {
            CoderChoice::Mixed => Coder::Mixed,
            CoderChoice::Classes => Coder::Classes,
        };
        let step = best_step(&sample, &sample_shape, &decomposition, coder, tolerance)?;
        let mut coefficients = x.to_vec();
        decomposition.forward(&mut coefficients, shape)?;
        encode(&coefficients, shape, &decomposition, coder, step, out)
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        decode(bytes, shape.dims(), out)
    }
}

/// How an axis is split.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Split {
    Not,
    Together,
    Alone,
}

fn decomposition(wavelet: Wavelet, shape: &[usize], splits: &[Split]) -> Decomposition {
    // An axis that is short for a wavelet may still be worth one level of its own.
    let levels = |(&d, &s): (&usize, &Split)| if s == Split::Not { 0 } else { default_levels(d).max(1) };
    let alone = splits.iter().enumerate().filter(|(_, &s)| s == Split::Alone).fold(0, |m, (k, _)| m | 1 << k);
    Decomposition { wavelet, levels: shape.iter().zip(splits).map(levels).collect(), alone }
}

impl Dwt {
    /// The decomposition of blocks of `shape` that makes the coefficients of `sample` cheapest.
    fn decompose(&self, sample: &[f64], sample_shape: &[usize], shape: &[usize], step: f64) -> Result<Decomposition> {
        let first = if self.wavelet == WaveletChoice::Cdf53 { Wavelet::Cdf53 } else { Wavelet::Cdf97 };
        if let Some(levels) = self.levels {
            let levels = vec![levels.min(MAX_LEVELS); shape.len()];
            return Ok(Decomposition { wavelet: first, levels, alone: 0 });
        }
        let mut scratch = Vec::new();
        let mut cost = |wavelet: Wavelet, splits: &[Split]| {
            let d = decomposition(wavelet, sample_shape, splits);
            if decomposition(wavelet, shape, splits).subbands(shape).is_err() {
                return Ok(f64::INFINITY);
            }
            scratch.clear();
            scratch.extend_from_slice(sample);
            d.forward(&mut scratch, sample_shape)?;
            Ok::<_, Error>(cost(&scratch, step))
        };
        let mut splits: Vec<Split> =
            shape.iter().map(|&d| if default_levels(d) > 0 { Split::Together } else { Split::Not }).collect();
        let mut best = cost(first, &splits)?;
        // One axis after the other takes what suits it best while the others stay, twice around at most.
        for _ in 0..2 {
            let before = best;
            for k in (0..shape.len()).filter(|&k| sample_shape[k] > 1) {
                for split in [Split::Not, Split::Together, Split::Alone] {
                    let old = splits[k];
                    if split == old || (split == Split::Together && default_levels(shape[k]) == 0) {
                        continue;
                    }
                    splits[k] = split;
                    let c = cost(first, &splits)?;
                    if c < 0.995 * best {
                        best = c;
                    } else {
                        splits[k] = old;
                    }
                }
            }
            if best == before {
                break;
            }
        }
        let other = self.wavelet == WaveletChoice::Auto && cost(Wavelet::Cdf53, &splits)? < 0.97 * best;
        Ok(decomposition(if other { Wavelet::Cdf53 } else { first }, shape, &splits))
    }
}

/// About how many bits coefficients cost at `step`, up to a common factor.
fn cost(coefficients: &[f64], step: f64) -> f64 {
    let scale = 2.0 / step;
    let bits = |group: &[f64]| {
        // The logarithm of a product of eight factors that do not overflow.
        let product = group.iter().fold(1.0, |p, c| {
            let a = (c * scale).abs().min(1e18);
            p * (1.0 + a * a)
        });
        libm::log2(product)
    };
    coefficients.chunks(8).map(bits).sum()
}

/// A box from the middle of `x` of at most [`SAMPLE`] values, as cubic as can be.
fn sample(x: &[f64], shape: &[usize]) -> (Vec<f64>, Vec<usize>) {
    let mut extents = shape.to_vec();
    while extents.iter().product::<usize>() > SAMPLE {
        let longest = extents.iter().copied().max().unwrap_or(1);
        if let Some(e) = extents.iter_mut().find(|e| **e == longest) {
            *e = longest.div_ceil(2);
        }
    }
    let mut rows = vec![0];
    let mut step = x.len();
    for (&d, &e) in shape.iter().zip(&extents) {
        step /= d.max(1);
        let first = (d - e) / 2;
        if step == 1 {
            rows.iter_mut().for_each(|r| *r += first);
        } else {
            rows = rows.iter().flat_map(|r| (first..first + e).map(move |i| r + i * step)).collect();
        }
    }
    // Trailing axes of one value make rows of one value.
    let width =
        if step == 1 && shape.last().is_some_and(|&d| d > 1) { extents.last().copied().unwrap_or(1) } else { 1 };
    let values = rows.iter().flat_map(|&r| x.get(r..r + width).unwrap_or_default()).copied().collect();
    (values, extents)
}

/// The step that makes coefficients and corrections of `sample` smallest together.
fn best_step(
    sample: &[f64],
    shape: &[usize],
    decomposition: &Decomposition,
    coder: Coder,
    tolerance: f64,
) -> Result<f64> {
    let mut levels = decomposition.clone();
    levels.levels.iter_mut().zip(shape).for_each(|(l, &d)| *l = (*l).min(default_levels(d).max(1)));
    let mut coefficients = sample.to_vec();
    levels.forward(&mut coefficients, shape)?;
    let mut best = (f64::INFINITY, TRIAL_STEP * tolerance);
    let (mut bytes, mut y) = (Vec::new(), vec![0.0; sample.len()]);
    for factor in STEPS {
        let step = factor * tolerance;
        bytes.clear();
        encode(&coefficients, shape, &levels, coder, step, &mut bytes)?;
        decode(&bytes, shape, &mut y)?;
        let size = bytes.len() as f64 + correction_bytes(sample, &y, tolerance);
        if size < best.0 {
            best = (size, step);
        }
    }
    Ok(best.1)
}

/// About how many bytes it takes to correct `y` to within `tolerance` of `x`: the entropy of the multiples of two
/// tolerances between them.
fn correction_bytes(x: &[f64], y: &[f64], tolerance: f64) -> f64 {
    let mut counts = [0u32; 17];
    let scale = 0.5 / tolerance;
    for (x, y) in x.iter().zip(y) {
        // Saturates; a difference that is not a number counts as none.
        let q = ((x - y).abs() * scale + 0.5) as usize;
        counts[q.min(16)] += 1;
    }
    let n = x.len() as f64;
    let bits = |(q, &c): (usize, &u32)| {
        let extra = if q == 0 { 0.0 } else { 1.0 };
        f64::from(c) * (extra + libm::log2(n / f64::from(c.max(1))))
    };
    counts.iter().enumerate().map(bits).sum::<f64>() / 8.0
}

/// Appends coefficients, quantised with about `step`.
fn encode(
    coefficients: &[f64],
    shape: &[usize],
    decomposition: &Decomposition,
    coder: Coder,
    step: f64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let largest = coefficients.iter().fold(0.0, |m: f64, c| if c.abs() <= m { m } else { c.abs() });
    let step = step.max(largest / MAX_CODE);
    // Nothing is left of coefficients below half a step; nothing can be done for those that overflowed.
    if !step.is_finite() || step < f64::MIN_POSITIVE || largest < (1.0 - ROUNDING) * step {
        out.extend_from_slice(&0f64.to_le_bytes());
        return Ok(());
    }
    let scale = 1.0 / step;
    let mut codes: Vec<i32> = coefficients
        .iter()
        .map(|c| {
            let a = (c * scale).abs();
            let q = (a + if a < 1.5 { ROUNDING } else { 0.5 }) as i32;
            if *c < 0.0 {
                -q
            } else {
                q
            }
        })
        .collect();
    let (mut sums, mut counts) = ([0.0; 4], [0.0; 4]);
    for (c, &q) in coefficients.iter().zip(&codes) {
        let m = q.unsigned_abs();
        let class = m.min(3) as usize;
        sums[class] += (c * scale).abs() - f64::from(m);
        counts[class] += 1.0;
    }
    let offset = smooth_offset(&codes, shape, decomposition)?;
    shift_smooth(&mut codes, shape, decomposition, offset.wrapping_neg())?;

    out.extend_from_slice(&step.to_le_bytes());
    out.push(u8::from(decomposition.wavelet == Wavelet::Cdf53) | u8::from(coder == Coder::Classes) << 1);
    out.push(decomposition.alone);
    out.extend(decomposition.levels.iter().map(|&l| l as u8));
    put_varint(out, u64::from(zigzag(offset)));
    out.extend((1..4).map(|k| (256.0 * sums[k] / f64::max(counts[k], 1.0)).round() as i8 as u8));
    encode_coefficients(&mut codes, shape, decomposition, coder, out)
}

/// Fills `out` from what [`encode`] wrote.
fn decode(bytes: &[u8], shape: &[usize], out: &mut [f64]) -> Result<()> {
    let mut r = ByteReader::new(bytes);
    let step = r.f64()?;
    if step == 0.0 {
        out.fill(0.0);
        return r.end();
    }
    let flags = r.u8()?;
    let alone = r.u8()?;
    let levels: Vec<u32> = r.take(shape.len())?.iter().map(|&l| u32::from(l)).collect();
    if !step.is_finite() || flags > 3 || levels.iter().any(|&l| l > MAX_LEVELS) {
        return Err(Error::corrupt(format!("expected a step, flags and levels, found {step}, {flags}, {levels:?}")));
    }
    let wavelet = if flags & 1 == 0 { Wavelet::Cdf97 } else { Wavelet::Cdf53 };
    let coder = if flags & 2 == 0 { Coder::Mixed } else { Coder::Classes };
    let decomposition = Decomposition { wavelet, levels, alone };
    let offset = unzigzag(r.count(u32::MAX as usize)? as u32);
    let mut shifts = [0.0; 4];
    for (shift, &b) in shifts.iter_mut().skip(1).zip(r.take(3)?) {
        *shift = f64::from(b as i8) / 256.0;
    }
    let mut codes = Vec::new();
    codes
        .try_reserve_exact(out.len())
        .map_err(|_| Error::limit(format!("expected memory for {} codes, found too little", out.len())))?;
    codes.resize(out.len(), 0i32);
    let invalid =
        |e: Error| if e.kind() == crate::ErrorKind::InvalidArgument { Error::corrupt(e.message()) } else { e };
    decode_coefficients(r.rest(), shape, &decomposition, coder, &mut codes).map_err(invalid)?;
    shift_smooth(&mut codes, shape, &decomposition, offset).map_err(invalid)?;
    for (o, &q) in out.iter_mut().zip(&codes) {
        let shift = shifts[q.unsigned_abs().min(3) as usize];
        *o = step * (f64::from(q) + if q < 0 { -shift } else { shift });
    }
    decomposition.inverse(out, shape)
}

/// Calls `f` with each row of the subband that is low-pass along all axes.
fn for_each_smooth_row(
    codes: &mut [i32],
    shape: &[usize],
    decomposition: &Decomposition,
    mut f: impl FnMut(&mut [i32]),
) -> Result<()> {
    let low = |(&d, &l): (&usize, &u32)| (0..l).fold(d, |d, _| d.div_ceil(2));
    let extents: Vec<usize> = shape.iter().zip(&decomposition.levels).map(low).collect();
    let Some((&width, outer)) = extents.split_last() else {
        f(codes);
        return Ok(());
    };
    let mut starts = vec![0usize];
    let mut step = codes.len();
    for (&d, &e) in shape.iter().zip(outer) {
        step /= d.max(1);
        starts = starts.iter().flat_map(|s| (0..e).map(move |i| s + i * step)).collect();
    }
    starts.iter().for_each(|&s| f(codes.get_mut(s..s + width).unwrap_or_default()));
    Ok(())
}

/// The mean of the codes that are low-pass along all axes.
fn smooth_offset(codes: &[i32], shape: &[usize], decomposition: &Decomposition) -> Result<i32> {
    let (mut sum, mut n) = (0i64, 0i64);
    for_each_smooth_row(&mut codes.to_vec(), shape, decomposition, |row| {
        sum += row.iter().map(|&q| i64::from(q)).sum::<i64>();
        n += row.len() as i64;
    })?;
    Ok((sum / n.max(1)) as i32)
}

fn shift_smooth(codes: &mut [i32], shape: &[usize], decomposition: &Decomposition, by: i32) -> Result<()> {
    for_each_smooth_row(codes, shape, decomposition, |row| row.iter_mut().for_each(|q| *q = q.wrapping_add(by)))
}
