//! Chooses chains for an array: a few candidates by the kind of bound, tried on sample blocks, the smallest kept.

use std::str::FromStr;

use rayon::prelude::*;

use crate::array::{DType, Grid, Region, Shape, Source};
use crate::bound::{Approach, Term};
use crate::codec::registry;
use crate::codec::{encode_block, BoundChain, Candidate, Chain, Spec, Task};
use crate::container::Plan;
use crate::error::{Error, Result};

/// How much effort goes into small files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// Speed first.
    Fast,
    /// Good ratios at good speed.
    #[default]
    Balanced,
    /// Every candidate that comes close on samples is tried on every block, the smallest kept.
    Best,
}

impl FromStr for Tier {
    type Err = Error;
    fn from_str(s: &str) -> Result<Tier> {
        match s {
            "fast" => Ok(Tier::Fast),
            "balanced" => Ok(Tier::Balanced),
            "best" => Ok(Tier::Best),
            _ => Err(Error::invalid(format!("expected a tier (fast balanced best), found {s:?}"))),
        }
    }
}

/// Values of one sample. They tell methods apart nearly as well as coding everything with each would, and cost a fraction of it.
const SAMPLE: usize = 1 << 14;
/// With [`Tier::Best`], whose methods take longer than looking at more, a sample is this part of the array, up to so many times as large.
const PART: usize = 24;
const LARGER: usize = 4;
/// How many samples at least and at most, and for how many values there is one.
const SAMPLES: std::ops::RangeInclusive<usize> = 2..=8;
const EVERY: usize = 1 << 21;

/// With [`Tier::Balanced`], a method that takes several times as long as the others must be smaller by this.
const SLOW: f64 = 1.08;

/// How often samples are coded to come close to a limit on the whole array.
const ATTEMPTS: usize = 4;

/// With [`Tier::Best`], what is larger than the smallest by more than this on samples is not tried further.
const CLOSE: f64 = 1.07;
/// The same under a limit on the whole array, where samples tell less.
const NEAR: f64 = 1.25;

/// The chains for one array: the one that is smallest on samples. With [`Tier::Best`] all that come close are returned, and
/// each block takes the smallest, or under a limit on the whole array all blocks the same. With `levels` only chains of which coarser
/// levels can be decoded are looked at, if there are any for such a bound.
pub fn chains(source: &dyn Source, plan: &Plan, tier: Tier, levels: bool) -> Result<Vec<Chain>> {
    let mut names = candidates(source.dtype(), plan, tier);
    if levels {
        names = with_levels(source.dtype(), plan, tier).unwrap_or(names);
    }
    let chains = names.iter().map(|n| Chain::parse(n)).collect::<Result<Vec<_>>>()?;
    let shape = source.shape();
    if chains.len() <= 1 || shape.is_empty() {
        return Ok(chains);
    }
    let regions = samples(&shape, tier)?;
    let sizes = chains.par_iter().map(|c| match plan.criterion.square_sum {
        None => Ok(trial(source, plan, c, &regions, &plan.hint)?.size),
        Some(limit) => size_at(source, plan, c, &regions, limit),
    });
    let sizes = sizes.collect::<Result<Vec<u64>>>()?;
    let tried = chains.into_iter().zip(sizes);
    if tier == Tier::Best {
        let smallest = tried.clone().map(|(_, size)| size).min().unwrap_or(0) as f64;
        let close = if plan.criterion.square_sum.is_some() { NEAR } else { CLOSE };
        return Ok(tried.filter(|(_, size)| *size as f64 <= close * smallest).map(|(c, _)| c).collect());
    }
    let weighed = |(c, size): (Chain, u64)| (size as f64 * if c.ids().contains(&"dwt") { SLOW } else { 1.0 }, c);
    let smallest = tried.map(weighed).min_by(|a, b| a.0.total_cmp(&b.0));
    Ok(smallest.map(|(_, c)| c).into_iter().collect())
}

/// What coding the samples with one chain came to.
struct Trial {
    size: u64,
    /// The sum of squared errors, if there is a limit on it, and over how many values.
    squares: f64,
    valid: u64,
}

/// Codes the samples. What cannot be coded that way is as large as can be.
fn trial(source: &dyn Source, plan: &Plan, chain: &Chain, regions: &[Region], hint: &Term) -> Result<Trial> {
    let mut all = Trial { size: 0, squares: 0.0, valid: 0 };
    for region in regions {
        let values = source.read(region)?;
        let spec = Spec { dtype: source.dtype(), shape: region.shape() };
        let shared = Vec::new();
        let bound: BoundChain<'_> = match chain.bind(&shared, &spec) {
            Ok(b) => b,
            Err(_) => return Ok(Trial { size: u64::MAX, ..all }),
        };
        let task = Task {
            criterion: &plan.criterion,
            hint: *hint,
            fill: plan.stats.fill,
            measure: plan.criterion.square_sum.is_some(),
            origin: region.origin(),
            companions: &[],
        };
        let mut payload = Vec::new();
        let one = [Candidate { index: 0, chain: &bound }];
        let report = encode_block(values.as_slice(), &region.shape(), &one, &task, &mut payload)?;
        all.size = all.size.saturating_add(report.stages.total());
        all.squares += report.square_error;
        all.valid += report.valid;
    }
    Ok(all)
}

/// The size of the samples when their squared errors come close to their share of `limit`.
fn size_at(source: &dyn Source, plan: &Plan, chain: &Chain, regions: &[Region], limit: f64) -> Result<u64> {
    let (mut scale, mut smallest) = (1.0, u64::MAX);
    let mut approach = None;
    for _ in 0..ATTEMPTS {
        let hint = plan.scaled(scale);
        let tried = trial(source, plan, chain, regions, &hint)?;
        let share = limit * tried.valid as f64 / plan.stats.count.max(1) as f64;
        if tried.squares <= share {
            smallest = smallest.min(tried.size);
        }
        let approach = approach.get_or_insert_with(|| Approach::new(share));
        match approach.next(scale, tried.squares).filter(|&s| plan.scaled(s) != hint) {
            Some(next) => scale = next,
            None => break,
        }
    }
    Ok(smallest)
}

/// Chains worth trying, as text; those this build does not have are left out.
fn candidates(dtype: DType, plan: &Plan, tier: Tier) -> Vec<String> {
    let hint = plan.hint;
    let mut names: Vec<String> = if hint.is_exact() || (!dtype.is_float() && hint.rel == 0.0 && hint.abs < 1.0) {
        match tier {
            Tier::Fast => vec!["shuffle+lz4".into()],
            Tier::Balanced => vec!["pco".into(), "shuffle+zstd".into(), "zstd".into()],
            Tier::Best => {
                ["pco", "shuffle+zstd:level=12", "zstd:level=12", "lorenzo", "lpc"].map(String::from).to_vec()
            }
        }
    } else if hint.rel > 0.0 {
        // A relative tolerance becomes an absolute one in the logarithm. Below the scale the map is linear.
        let floor = if hint.abs > 0.0 { hint.abs / hint.rel } else { plan.stats.min_nonzero };
        // Where no value has a magnitude to go by, each block finds its own.
        let log = |codec: &str| match floor.is_finite() && floor > 0.0 {
            true => format!("log:scale={floor:e}+{codec}"),
            false => format!("log+{codec}"),
        };
        match tier {
            Tier::Fast => vec![log("pack")],
            Tier::Balanced => ["linear", "interp", "lorenzo", "dwt:coder=classes"].map(log).to_vec(),
            Tier::Best => ["lpc", "dwt", "tucker", "interp", "linear", "lorenzo"].map(log).to_vec(),
        }
    } else {
        match tier {
            Tier::Fast => vec!["pack".into()],
            Tier::Balanced => ["linear", "interp", "lorenzo", "dwt:coder=classes"].map(String::from).to_vec(),
            Tier::Best => ["lpc", "dwt", "tucker", "dct", "interp", "linear", "lorenzo"].map(String::from).to_vec(),
        }
    };
    // Values that were unpacked from integers; others are refused after a look.
    if dtype.is_float() && hint.rel == 0.0 {
        match tier {
            Tier::Fast => {}
            Tier::Balanced => names.push("lattice+lorenzo".into()),
            Tier::Best => names.push("lattice+lpc".into()),
        }
    }
    let known = |n: &String| n.split('+').all(|s| registry::find(s.split(':').next().unwrap_or(s)).is_ok());
    names.into_iter().filter(known).collect()
}

/// Codecs that offer coarser levels, the fastest first.
const WITH_LEVELS: &[&str] = &["interp", "dwt"];

/// Chains of [`candidates`] of which coarser levels can be decoded; `None` where there are none.
fn with_levels(dtype: DType, plan: &Plan, tier: Tier) -> Option<Vec<String>> {
    let (tier, codecs) = match tier {
        Tier::Fast => (Tier::Balanced, WITH_LEVELS.get(..1)?),
        _ => (tier, WITH_LEVELS),
    };
    let mut names = candidates(dtype, plan, tier);
    names.retain(|n| n.rsplit('+').next().is_some_and(|last| codecs.iter().any(|c| last.split(':').next() == Some(c))));
    (!names.is_empty()).then_some(names)
}

/// Boxes spread over the array; all of it when it is small.
fn samples(shape: &Shape, tier: Tier) -> Result<Vec<Region>> {
    let values = match tier {
        Tier::Best => (shape.len() / PART).clamp(SAMPLE, LARGER * SAMPLE),
        _ => SAMPLE,
    };
    let count = (shape.len() / EVERY).clamp(*SAMPLES.start(), *SAMPLES.end());
    if shape.len() <= values * count {
        return Ok(vec![Region::all(*shape)]);
    }
    let mut block = shape.to_vec();
    while block.iter().product::<usize>() > values {
        // Halve the longest axis.
        if let Some(longest) = block.iter_mut().max() {
            *longest = longest.div_ceil(2);
        }
    }
    let grid = Grid::new(*shape, &block)?;
    let n = grid.len();
    // Odd parts, so that edges and the centre plane are not all there is.
    Ok((0..count).map(|i| grid.region((2 * i + 1) * n / (2 * count))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::bound::Bound;
    use crate::{compress, Choice, Options};

    #[test]
    fn every_kind_of_data_has_chains() {
        let bounds = [
            Bound::Lossless,
            Bound::Abs(0.1),
            Bound::Rel(0.1),
            Bound::PwRel(1e-3),
            Bound::PwRel(f64::MIN_POSITIVE),
            Bound::AbsOrRel { abs: 1e300, rel: 1e-300 },
            Bound::L2(0.1),
            Bound::Psnr(50.0),
        ];
        for values in [&[][..], &[0.0, -0.0, 0.0], &[f64::NAN; 3], &[5e-324, f64::MAX, f64::MIN]] {
            let source = View::new(&[values.len()], values).unwrap();
            for bound in &bounds {
                let plan = Plan::new(&source, bound, None, true).unwrap();
                for tier in [Tier::Fast, Tier::Balanced, Tier::Best] {
                    assert!(!chains(&source, &plan, tier, false).unwrap().is_empty(), "{bound} {tier:?} {values:?}");
                    let with_levels = chains(&source, &plan, tier, true).unwrap();
                    let offers = |c: &Chain| c.ids().iter().any(|i| WITH_LEVELS.contains(i));
                    assert!(!with_levels.is_empty() && (plan.hint.is_exact() || with_levels.iter().all(offers)));
                }
            }
        }
    }

    #[test]
    fn limits_on_the_whole_array_are_met_closely() {
        // Waves of several lengths with a little noise: methods differ in the errors they make with one tolerance.
        let wave = |i: usize, k: f64| libm::sin(i as f64 * k) + 0.3 * libm::sin(i as f64 * k * 3.7);
        let noise = |i: usize| (i * 7919 % 10_007) as f64 * 2e-7;
        let value = |i: usize| wave(i / 2304, 0.11) * wave(i / 48 % 48, 0.17) + wave(i % 48, 0.23) + noise(i);
        let values: Vec<f32> = (0..48 * 48 * 48).map(|i| value(i) as f32).collect();
        let source = View::new(&[48, 48, 48], &values).unwrap();
        for asked in [50.0, 80.0] {
            let mut sizes = Vec::new();
            for tier in [Tier::Fast, Tier::Balanced, Tier::Best] {
                let options = Options { choice: Choice::Tier(tier), ..Options::new(Bound::Psnr(asked)) };
                let (bytes, report) = compress(&source, options).unwrap();
                assert!((asked..asked + 0.05).contains(&report.psnr()), "{tier:?}: {} for {asked}", report.psnr());
                sizes.push(bytes.len());
            }
            assert!(sizes.windows(2).all(|s| s[0] >= s[1]), "{asked}: {sizes:?}");
        }
    }
}
