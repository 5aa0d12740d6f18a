//! Chooses chains for an array: a few candidates by the kind of bound, tried on sample blocks, the smallest kept.

mod look;
mod race;

use std::str::FromStr;

use crate::array::{DType, Source};
use crate::codec::registry;
use crate::codec::Chain;
use crate::container::Plan;
use crate::error::{Error, Result};
use crate::sphere::Sampling;

pub use look::{look, Axis, Findings};
use race::race;

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

/// With [`Tier::Balanced`], a method that takes several times as long as the others must be smaller by this.
const SLOW: f64 = 1.08;

/// With [`Tier::Best`], what is larger than the smallest by more than this on samples is not tried further.
const CLOSE: f64 = 1.07;
/// The same under a limit on the whole array, where samples tell less.
const NEAR: f64 = 1.25;

/// A chain that was tried on samples of an array.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The chain.
    pub chain: Chain,
    /// The compression ratio of the samples it coded; `None` when it cannot code them, or there was nothing to choose from.
    pub ratio: Option<f64>,
    /// Whether it coded all samples, and was not left behind on the first.
    pub finished: bool,
    /// Whether blocks may take it.
    pub kept: bool,
}

/// The chains for one array: the one that is smallest on samples. With [`Tier::Best`] all that come close are returned, and
/// each block takes the smallest, or under a limit on the whole array all blocks the same. With `levels` only chains of which coarser
/// levels can be decoded are looked at, if there are any for such a bound.
pub fn chains(source: &dyn Source, plan: &Plan, tier: Tier, levels: bool) -> Result<Vec<Chain>> {
    let tried = try_chains(source, plan, tier, levels)?;
    Ok(tried.into_iter().filter(|t| t.kept).map(|t| t.chain).collect())
}

/// All chains that may suit an array, and what became of them on samples; `levels` as in [`chains`]. Errors: those of the source and
/// the chains.
pub fn try_chains(source: &dyn Source, plan: &Plan, tier: Tier, levels: bool) -> Result<Vec<Tried>> {
    let mut all = on_samples(source, plan, tier, levels)?;
    if !levels {
        let kept = |chain| Tried { chain, ratio: None, finished: true, kept: true };
        all.extend(on_the_sphere(source, plan, tier)?.into_iter().map(kept));
    }
    Ok(all)
}

/// Chains for maps on the sphere, where the shape is that of one: samples do not tell what they come to, so that the whole array is coded with them as well, and the
/// smallest taken.
fn on_the_sphere(source: &dyn Source, plan: &Plan, tier: Tier) -> Result<Vec<Chain>> {
    let hint = plan.hint;
    let shape = source.shape();
    let floats = source.dtype().is_float() && !hint.is_exact() && hint.rel == 0.0;
    if tier == Tier::Fast || !floats || shape.len() > MOST_ON_SPHERE {
        return Ok(Vec::new());
    }
    let names: &[&str] = match Sampling::of(None, shape.dims()) {
        Ok((Sampling::Healpix(nside), _)) if nside.is_power_of_two() && nside >= LEAST_BAND => {
            &["sphere", "sphere:sampling=nested"]
        }
        Ok((Sampling::Mw, band)) if band >= LEAST_BAND => &["sphere", "sphere:sampling=gl"],
        Ok((Sampling::Mwss | Sampling::DriscollHealy, band)) if band >= LEAST_BAND => &["sphere"],
        _ => &[],
    };
    names.iter().filter(|_| registry::find("sphere").is_ok()).map(|n| Chain::parse(n)).collect()
}

/// The band-limit from which on shapes are taken for those of maps.
const LEAST_BAND: usize = 16;
/// Values of the largest map that the sphere is tried on unasked.
const MOST_ON_SPHERE: usize = 1 << 23;

/// The chains that need no more than samples to be judged.
fn on_samples(source: &dyn Source, plan: &Plan, tier: Tier, levels: bool) -> Result<Vec<Tried>> {
    if plan.is_free() {
        let able = registry::REGISTRY.iter().filter(|e| e.unbounded).map(|e| e.id).collect::<Vec<_>>();
        return Err(Error::invalid(format!(
            "expected a method by name where there is no bound ({}), found none",
            able.join(" ")
        )));
    }
    let mut names = candidates(source.dtype(), plan, tier);
    if levels {
        names = with_levels(source.dtype(), plan, tier).unwrap_or(names);
    }
    let chains = names.iter().map(|n| Chain::parse(n)).collect::<Result<Vec<_>>>()?;
    if chains.len() <= 1 || source.shape().is_empty() {
        let untried = |chain| Tried { chain, ratio: None, finished: true, kept: true };
        return Ok(chains.into_iter().map(untried).collect());
    }
    let weights: Vec<f64> = chains.iter().map(|c| weight(c, tier)).collect();
    let close = match (tier, plan.criterion.square_sum) {
        (Tier::Best, None) => CLOSE,
        (Tier::Best, Some(_)) => NEAR,
        _ => 1.0,
    };
    let laps = race(source, plan, &chains, &weights, tier)?;
    let weighed: Vec<f64> =
        laps.iter().zip(&weights).map(|(l, w)| if l.finished { l.size * w } else { f64::INFINITY }).collect();
    let smallest = weighed.iter().copied().fold(f64::INFINITY, f64::min);
    let mut kept = weighed.iter().map(|&w| w <= close * smallest).collect::<Vec<_>>();
    if tier != Tier::Best {
        let first = kept.iter().position(|&k| k);
        kept.iter_mut().enumerate().for_each(|(i, k)| *k = Some(i) == first);
    }
    let told = |((chain, lap), kept): ((Chain, race::Lap), bool)| Tried {
        chain,
        ratio: lap.size.is_finite().then(|| (lap.values * source.dtype().size()) as f64 / lap.size.max(1.0)),
        finished: lap.finished,
        kept,
    };
    Ok(chains.into_iter().zip(laps).zip(kept).map(told).collect())
}

/// What sizes are multiplied by before they are compared.
fn weight(chain: &Chain, tier: Tier) -> f64 {
    if tier == Tier::Balanced && chain.ids().contains(&"dwt") {
        SLOW
    } else {
        1.0
    }
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
        // Waves of several lengths with noise: methods differ in the errors they make with one tolerance.
        let wave = |i: usize, k: f64| libm::sin(i as f64 * k) + 0.3 * libm::sin(i as f64 * k * 3.7);
        let noise = |i: usize| (i * 7919 % 10_007) as f64 * 2e-5;
        let value = |i: usize| wave(i / 2304, 0.11) * wave(i / 48 % 48, 0.17) + wave(i % 48, 0.23) + noise(i);
        let values: Vec<f32> = (0..48 * 48 * 48).map(|i| value(i) as f32).collect();
        let source = View::new(&[48, 48, 48], &values).unwrap();
        for asked in [45.0, 60.0] {
            let mut sizes = Vec::new();
            for tier in [Tier::Fast, Tier::Balanced, Tier::Best] {
                let options = Options { choice: Choice::Tier(tier), ..Options::new(Bound::Psnr(asked)) };
                let (bytes, report) = compress(&source, options).unwrap();
                assert!((asked..asked + 0.05).contains(&report.psnr()), "{tier:?}: {} for {asked}", report.psnr());
                sizes.push(bytes.len());
            }
            assert!(sizes.windows(2).all(|s| 100 * s[1] <= 101 * s[0]), "{asked}: {sizes:?}");
        }
    }
}
