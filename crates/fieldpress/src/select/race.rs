//! Codes samples of an array with each chain that may suit it; the slower the others are left behind, the fewer samples.

use rayon::prelude::*;

use super::Tier;
use crate::array::{Grid, Region, Shape, Source};
use crate::bound::{Approach, Criterion, Quantities, Term};
use crate::codec::{try_block, BoundChain, Candidate, Chain, Spec, Task};
use crate::container::Plan;
use crate::error::{ErrorKind, Result};

/// Values of one sample. They tell methods apart nearly as well as coding everything with each would, and cost a fraction of it.
const SAMPLE: usize = 1 << 14;
/// With [`Tier::Best`], whose methods take longer than looking at more, a sample is this part of the array, up to so many times as large.
const PART: usize = 24;
const LARGER: usize = 4;
/// How many samples at least and at most, and for how many values there is one.
const SAMPLES: std::ops::RangeInclusive<usize> = 2..=8;
const EVERY: usize = 1 << 21;

/// What is larger than the smallest by more than this on the first sample does not see the others.
const BEHIND: f64 = 1.1;
/// The same with [`Tier::Best`].
const FAR_BEHIND: f64 = 1.5;

/// How often samples are coded to come close to a limit on the whole array.
const ATTEMPTS: usize = 4;

/// What a chain came to.
pub(super) struct Lap {
    /// The bytes of the samples it coded; infinite when it cannot.
    pub(super) size: f64,
    /// How many values those are.
    pub(super) values: usize,
    /// Whether it coded all samples.
    pub(super) finished: bool,
}

/// Lets the chains code samples. `weights` are what sizes are multiplied by before they are compared.
pub(super) fn race(
    source: &dyn Source,
    plan: &Plan,
    chains: &[Chain],
    weights: &[f64],
    tier: Tier,
) -> Result<Vec<Lap>> {
    let regions = samples(&source.shape(), tier)?;
    let values = |regions: &[Region]| regions.iter().map(|r| r.shape().len()).sum();
    let all = |size: f64| Lap { size, values: values(&regions), finished: true };
    if let Some(limit) = plan.criterion.square_sum {
        return chains.par_iter().map(|c| Ok(all(size_at(source, plan, c, &regions, limit)?))).collect();
    }
    let (first, others) = regions.split_at(1);
    let size = |c: &Chain, regions: &[Region]| Ok(trial(source, plan, c, regions, &plan.hint)?.size);
    let sizes: Vec<f64> = chains.par_iter().map(|c| size(c, first)).collect::<Result<_>>()?;
    let smallest = sizes.iter().zip(weights).map(|(s, w)| s * w).fold(f64::INFINITY, f64::min);
    let behind = if tier == Tier::Best { FAR_BEHIND } else { BEHIND };
    let go_on = |(chain, (so_far, weight)): (&Chain, (&f64, &f64))| match so_far * weight <= behind * smallest {
        true => Ok(all(so_far + size(chain, others)?)),
        false => Ok(Lap { size: *so_far, values: values(first), finished: false }),
    };
    chains.par_iter().zip(sizes.par_iter().zip(weights)).map(go_on).collect()
}

/// What coding the samples with one chain came to.
struct Trial {
    size: f64,
    /// The sum of squared errors, if there is a limit on it, and over how many values.
    squares: f64,
    valid: u64,
}

/// Codes the samples. What cannot be coded that way is infinitely large.
fn trial(source: &dyn Source, plan: &Plan, chain: &Chain, regions: &[Region], hint: &Term) -> Result<Trial> {
    // Samples have no whole distributions.
    let criterion = Criterion { quantities: Quantities::NONE, ..plan.criterion.clone() };
    let mut all = Trial { size: 0.0, squares: 0.0, valid: 0 };
    for region in regions {
        let values = source.read(region)?;
        let spec = Spec { dtype: source.dtype(), shape: region.shape() };
        let shared = Vec::new();
        let bound: BoundChain<'_> = match chain.bind(&shared, &spec) {
            Ok(b) => b,
            Err(_) => return Ok(Trial { size: f64::INFINITY, ..all }),
        };
        let task = Task {
            criterion: &criterion,
            hint: *hint,
            fill: plan.stats.fill,
            measure: plan.criterion.square_sum.is_some(),
            origin: region.origin(),
            companions: &[],
            distributions: None,
            norm: None,
        };
        let one = [Candidate { index: 0, chain: &bound }];
        let report = match try_block(values.as_slice(), &region.shape(), &one, &task) {
            Err(e) if e.kind() == ErrorKind::InvalidArgument => return Ok(Trial { size: f64::INFINITY, ..all }),
            report => report?,
        };
        all.size += report.stages.total() as f64;
        all.squares += report.square_error;
        all.valid += report.valid;
    }
    Ok(all)
}

/// The size of the samples when their squared errors come close to their share of `limit`.
fn size_at(source: &dyn Source, plan: &Plan, chain: &Chain, regions: &[Region], limit: f64) -> Result<f64> {
    let (mut scale, mut smallest) = (1.0, f64::INFINITY);
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

/// Boxes spread over the array; all of it when it is small.
pub(super) fn samples(shape: &Shape, tier: Tier) -> Result<Vec<Region>> {
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
