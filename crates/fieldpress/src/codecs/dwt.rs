//! `dwt`: wavelet transform of the whole block, uniform quantisation, coefficients coded in contexts.
//!
//! Sources: A. Cohen, I. Daubechies, J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992; X. Wu,
//! "High-order context modeling and embedded conditional entropy coding of wavelet coefficients for image compression",
//! 1997. How each axis is split, and the quantisation step, are chosen by trial on a part of the block: a step
//! well above the tolerance leaves points outside the bound, and costs less with their correction than a finer one.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | bit 0: CDF 5/3, else CDF 9/7; other bits 0 |
//! | 1 | bit `k`: axis `k` is transformed alone (see [`Decomposition`]) |
//! | rank | levels of each axis |
//! | rest | the coefficients, see [`Quantised`], in the bands of [`Decomposition::bands`] |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{every, Element, Shape, Slice};
use crate::bits::ByteReader;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Levels, Model, ModelCodec};
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};
use crate::transform::wavelet::{default_levels, MAX_LEVELS};
use crate::transform::{trial, Coder, Decomposition, Quantised, Wavelet};

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
    unbounded: false,
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

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dwt {
    /// Which wavelet.
    #[serde(default)]
    pub wavelet: WaveletChoice,
    /// How coefficients are coded.
    #[serde(default)]
    pub coder: Coder,
    /// Levels along every axis, all split together; `None` chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
}

impl Model for Dwt {
    const ID: &'static str = "dwt";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let shape = block.shape.dims();
        let decomposition = self.decompose(x, shape, trial::TRIAL_STEP * tolerance)?;
        let step = best_step(x, shape, &decomposition, tolerance)?;
        out.push(u8::from(decomposition.wavelet == Wavelet::Cdf53));
        out.push(decomposition.alone);
        out.extend(decomposition.levels.iter().map(|&l| l as u8));
        let mut values = x.to_vec();
        decomposition.forward(&mut values, shape)?;
        let quantised = Quantised::new(&values, step);
        quantised.values(&mut values);
        quantised.encode(shape, &decomposition.bands(shape)?, self.coder, out)?;
        decomposition.inverse(&mut values, shape)?;
        Ok(Some(values))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let decomposition = read(&mut r, shape)?;
        let bands = decomposition.bands(shape).map_err(|e| Error::corrupt(e.message()))?;
        Quantised::decode(r.rest(), shape, &bands)?.values(out);
        decomposition.inverse(out, shape)
    }

    fn levels(&self, bytes: &[u8], shape: &Shape) -> Result<Option<Levels>> {
        let mut r = ByteReader::new(bytes);
        let decomposition = read(&mut r, shape)?;
        if decomposition.levels.iter().all(|&l| l == 0) {
            return Ok(None);
        }
        let split = bytes.len() - r.remaining() + Quantised::split(r.rest())?;
        Ok(Some(Levels { split, exact: false }))
    }

    fn reconstruct_level(&self, head: Head<'_>, level: u32, shape: &Shape, out: &mut [f64]) -> Result<Reach> {
        let mut r = ByteReader::new(head.lead);
        let decomposition = read(&mut r, shape)?;
        let before = head.lead.len() - r.remaining();
        let bands = decomposition.bands(shape).map_err(|e| Error::corrupt(e.message()))?;
        let corner = decomposition.corner(shape, level);
        let (quantised, reach) = Quantised::decode_corner(head.skip(before), shape, &corner, &bands)?;
        let corner = Shape::new(&corner)?;
        let mut low = vec![0.0; corner.len()];
        quantised.values(&mut low);
        let halvings = decomposition.inverse_level(&mut low, shape, level)?;
        // Axes that were not split as often are taken at every so many points.
        let steps: Vec<u32> = halvings.iter().map(|h| level - h).collect();
        let points = every(Slice::F64(&low), &corner, &vec![0; steps.len()], &steps)?;
        out.copy_from_slice(f64::of(points.as_slice()).filter(|p| p.len() == out.len()).ok_or_else(|| {
            Error::invalid(format!("expected room for level {level} of {shape}, found {} values", out.len()))
        })?);
        Ok(reach.after(before))
    }
}

/// How a block was decomposed. Errors: `Corrupt`, `Truncated`.
fn read(r: &mut ByteReader<'_>, shape: &Shape) -> Result<Decomposition> {
    let (wavelet, alone) = (r.u8()?, r.u8()?);
    let levels: Vec<u32> = r.take(shape.rank())?.iter().map(|&l| u32::from(l)).collect();
    if wavelet > 1 {
        return Err(Error::corrupt(format!("expected a wavelet, 0 or 1, found {wavelet}")));
    }
    let wavelet = if wavelet == 0 { Wavelet::Cdf97 } else { Wavelet::Cdf53 };
    Ok(Decomposition { wavelet, levels, alone })
}

/// A decomposition must cost less than this much of another to be taken instead: costs are estimates, and those coded
/// together know more of each other.
const PAYS: f64 = 0.98;

/// How an axis is split.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Split {
    Not,
    Together,
    Alone,
    /// Alone, down to a single value: for an axis that is all but constant.
    Whole,
}

/// Levels that leave a single value of `d`.
fn whole(d: usize) -> u32 {
    d.max(2).next_power_of_two().ilog2()
}

fn decomposition(wavelet: Wavelet, shape: &[usize], splits: &[Split]) -> Decomposition {
    let levels = |(&d, &s): (&usize, &Split)| match s {
        Split::Not => 0,
        // An axis that is short for a wavelet may still be worth one level of its own.
        Split::Together | Split::Alone => default_levels(d).max(1),
        Split::Whole => whole(d),
    };
    let alone = splits
        .iter()
        .enumerate()
        .filter(|(_, s)| matches!(s, Split::Alone | Split::Whole))
        .fold(0, |m, (k, _)| m | 1 << k);
    Decomposition { wavelet, levels: shape.iter().zip(splits).map(levels).collect(), alone }
}

/// A part of a block, and room for its coefficients.
struct Sample {
    values: Vec<f64>,
    shape: Vec<usize>,
    scratch: Vec<f64>,
}

impl Sample {
    fn new(x: &[f64], shape: &[usize], size: usize) -> Sample {
        let (values, shape) = trial::sample(x, shape, size);
        Sample { values, shape, scratch: Vec::new() }
    }
    /// What the coefficients cost.
    fn cost(&mut self, wavelet: Wavelet, splits: &[Split], step: f64) -> Result<f64> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.values);
        decomposition(wavelet, &self.shape, splits).forward(&mut self.scratch, &self.shape)?;
        Ok(trial::cost(&self.scratch, step))
    }
}

/// What costs more than this much of the best on the small sample is not tried on the large one.
const HOPELESS: f64 = 1.03;

impl Dwt {
    /// The decomposition of blocks of `shape` that makes the coefficients of a part of `x` cheapest: a small one to see what is
    /// hopeless, and a large one.
    fn decompose(&self, x: &[f64], shape: &[usize], step: f64) -> Result<Decomposition> {
        let first = if self.wavelet == WaveletChoice::Cdf53 { Wavelet::Cdf53 } else { Wavelet::Cdf97 };
        if let Some(levels) = self.levels {
            let levels = vec![levels.min(MAX_LEVELS); shape.len()];
            return Ok(Decomposition { wavelet: first, levels, alone: 0 });
        }
        let mut splits: Vec<Split> =
            shape.iter().map(|&d| if default_levels(d) > 0 { Split::Together } else { Split::Not }).collect();
        let mut large = Sample::new(x, shape, trial::sample_size(x.len()));
        let mut small = Sample::new(&large.values, &large.shape, trial::screen_size(x.len()));
        let mut best = [small.cost(first, &splits, step)?, large.cost(first, &splits, step)?];
        let axes: Vec<usize> = (0..shape.len()).filter(|&k| large.shape[k] > 1).collect();
        // One axis after the other takes what suits it best while the others stay, twice around at most.
        for _ in 0..2 {
            let before = best[1];
            for &k in &axes {
                for split in [Split::Not, Split::Together, Split::Alone, Split::Whole] {
                    let old = splits[k];
                    if split == old || (split == Split::Together && default_levels(shape[k]) == 0) {
                        continue;
                    }
                    splits[k] = split;
                    if decomposition(first, shape, &splits).subbands(shape).is_ok() {
                        let less = small.cost(first, &splits, step)?;
                        if less < HOPELESS * best[0] {
                            let c = large.cost(first, &splits, step)?;
                            if c < PAYS * best[1] {
                                best = [less, c];
                                continue;
                            }
                        }
                    }
                    splits[k] = old;
                }
            }
            if best[1] == before {
                break;
            }
        }
        let other = self.wavelet == WaveletChoice::Auto
            && small.cost(Wavelet::Cdf53, &splits, step)? < HOPELESS * best[0]
            && large.cost(Wavelet::Cdf53, &splits, step)? < 0.97 * best[1];
        Ok(decomposition(if other { Wavelet::Cdf53 } else { first }, shape, &splits))
    }
}

/// The step that makes coefficients and corrections of a part of `x` smallest together.
fn best_step(x: &[f64], shape: &[usize], decomposition: &Decomposition, tolerance: f64) -> Result<f64> {
    let (sample, shape) = trial::sample(x, shape, trial::step_sample_size(x.len()));
    let (sample, shape) = (sample.as_slice(), shape.as_slice());
    let mut d = decomposition.clone();
    d.levels.iter_mut().zip(shape).for_each(|(l, &n)| *l = (*l).min(whole(n)));
    let bands = d.bands(shape)?;
    let mut coefficients = sample.to_vec();
    d.forward(&mut coefficients, shape)?;
    trial::best_step(sample, tolerance, |step, y| {
        let quantised = Quantised::new(&coefficients, step);
        quantised.values(y);
        d.inverse(y, shape)?;
        quantised.size(shape, &bands)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};

    fn field(shape: &[usize]) -> Vec<f64> {
        let n: usize = shape.iter().product();
        let last = shape.last().copied().unwrap_or(1).max(1);
        (0..n)
            .map(|i| libm::sin((i / last) as f64 * 0.07) * 3.0 + libm::cos((i % last) as f64 * 0.05) * 2.0 + 50.0)
            .collect()
    }
    fn fit(dwt: &Dwt, x: &[f64], shape: &[usize], tolerance: f64) -> Vec<u8> {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        dwt.fit(x, &block, tolerance, &mut out).unwrap();
        out
    }

    #[test]
    fn approximates_any_shape_with_every_parameter() {
        let shapes: [&[usize]; 9] =
            [&[], &[0], &[1], &[3], &[200], &[40, 1, 33], &[70, 90], &[5, 24, 31], &[2, 3, 17, 40]];
        for shape in shapes {
            for wavelet in [WaveletChoice::Auto, WaveletChoice::Cdf97, WaveletChoice::Cdf53] {
                for coder in [Coder::Mixed, Coder::Classes] {
                    for levels in [None, Some(0), Some(2), Some(40)] {
                        let dwt = Dwt { wavelet, coder, levels };
                        let x = field(shape);
                        let bytes = fit(&dwt, &x, shape, 0.01);
                        let mut y = vec![0.0; x.len()];
                        dwt.reconstruct(&bytes, &Shape::new(shape).unwrap(), &mut y).unwrap();
                        let far = x.iter().zip(&y).filter(|(a, b)| (*a - *b).abs() > 0.15).count();
                        assert!(far == 0, "{shape:?} {dwt:?}: {far}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_axis_that_is_constant_costs_nothing() {
        let noise = |i: usize| (i * 7919 % 1009) as f64 / 1009.0;
        let once: Vec<f64> = (0..32 * 32).map(noise).collect();
        let many: Vec<f64> = (0..64 * 32 * 32).map(|i| noise(i % 1024)).collect();
        let a = fit(&Dwt::default(), &once, &[1, 32, 32], 1e-3).len();
        let b = fit(&Dwt::default(), &many, &[64, 32, 32], 1e-3).len();
        assert!(b < a + a / 2, "{a} {b}");
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        bounds_hold(&["dwt", "dwt:coder=classes", "dwt:wavelet=cdf53,levels=3"], &field(&shape), &shape);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        for coder in [Coder::Mixed, Coder::Classes] {
            let dwt = Dwt { coder, ..Dwt::default() };
            survives_damage(&dwt, &fit(&dwt, &field(&shape), &shape, 0.01), &shape);
        }
    }
}
