//! A look at an array before anything is tried: what its samples tell of how it may be compressed.

use super::race::samples;
use super::Tier;
use crate::array::{Array, Element, Source};
use crate::container::Plan;
use crate::dispatch;
use crate::error::Result;
use crate::linalg::eigenvectors;
use crate::quantize::Spacing;
use crate::transform::product::{gram, product};

/// What was found. Spacing, changes, noise and ranks are those of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Where the values of all samples were unpacked from integers: how.
    pub spacing: Option<Spacing>,
    /// The axes, in order.
    pub axes: Vec<Axis>,
    /// About the standard deviation of noise, in the units of the data: what a quadratic through four neighbours along the axis
    /// with the smallest changes does not explain. `None` where no axis has four values in a row.
    pub noise: Option<f64>,
}

/// What was found along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// The root mean square of differences between neighbours over that of deviations from the mean: 0 where nothing changes,
    /// near the square root of 2 for white noise. `None` without neighbours, or where all values are equal.
    pub change: Option<f64>,
    /// How many vectors of a basis of its own the axis of a sample needs for errors as small as the tolerance, and its extent.
    /// `None` without a pointwise tolerance, where values are missing, and for axes of samples longer than 64.
    pub rank: Option<(usize, usize)>,
}

/// Axes of samples are decomposed up to this extent.
const LONGEST: usize = 64;

/// Sums over pairs, or fours, of neighbours.
#[derive(Clone, Copy, Default)]
struct Squares {
    sum: f64,
    count: usize,
}

impl Squares {
    fn add(&mut self, v: f64) {
        self.sum += v * v;
        self.count += 1;
    }
    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Looks at samples of `source`, whose bound came to `plan`. Errors: those of the source.
pub fn look(source: &dyn Source, plan: &Plan) -> Result<Findings> {
    let rank = source.shape().rank();
    let (mut deviations, mut changes, mut bends) =
        (Squares::default(), vec![Squares::default(); rank], vec![Squares::default(); rank]);
    let mut ranks = vec![None; rank];
    let (mut spacings, mut evenly) = (Vec::new(), !source.shape().is_empty());
    let regions = if source.shape().is_empty() { Vec::new() } else { samples(&source.shape(), Tier::Balanced)? };
    for region in &regions {
        let sample = Array::new(region.shape(), source.read(region)?)?;
        let known = known(&sample, plan.stats.fill);
        let valid: Vec<f64> = known.iter().flatten().copied().collect();
        let mean = valid.iter().sum::<f64>() / valid.len().max(1) as f64;
        valid.iter().for_each(|v| deviations.add(v - mean));
        let strides = region.shape().strides();
        for (k, (&n, &stride)) in region.shape().iter().zip(strides.iter()).enumerate() {
            for (i, v) in known.iter().enumerate() {
                let at = i / stride % n;
                let next = |d: usize| if at + d < n { known.get(i + d * stride).copied().flatten() } else { None };
                let (Some(a), Some(b)) = (*v, next(1)) else { continue };
                changes[k].add(b - a);
                if let (Some(c), Some(d)) = (next(2), next(3)) {
                    bends[k].add(d - 3.0 * c + 3.0 * b - a);
                }
            }
        }
        match Spacing::of(&valid, source.dtype()) {
            Some(s) => spacings.push(s),
            None => evenly = evenly && valid.is_empty(),
        }
        let whole = valid.len() == known.len();
        for (k, most) in ranks.iter_mut().enumerate() {
            let n = region.shape()[k];
            if whole && plan.hint.rel == 0.0 && plan.hint.abs > 0.0 && (2..=LONGEST).contains(&n) {
                let needed = vectors(&valid, &region.shape(), k, plan.hint.abs)?;
                *most = Some(most.map_or((needed, n), |(m, e): (usize, usize)| (m.max(needed), e.max(n))));
            }
        }
    }
    let spread = deviations.mean().filter(|d| *d > 0.0);
    let smoothest = (0..rank).filter_map(|k| Some((changes[k].mean()?, k))).min_by(|a, b| a.0.total_cmp(&b.0));
    let axis = |k: usize| Axis { change: changes[k].mean().zip(spread).map(|(c, s)| (c / s).sqrt()), rank: ranks[k] };
    Ok(Findings {
        spacing: spacings.first().copied().filter(|_| evenly),
        axes: (0..rank).map(axis).collect(),
        // The squares of 1, 3, 3, 1 add up to 20.
        noise: smoothest.and_then(|(_, k)| bends[k].mean()).map(|b| (b / 20.0).sqrt()),
    })
}

/// The values but for special ones.
fn known(sample: &Array, fill: Option<u64>) -> Vec<Option<f64>> {
    fn run<T: Element>(x: &[T], fill: Option<u64>) -> Vec<Option<f64>> {
        x.iter().map(|&v| (v.is_finite() && fill != Some(v.to_bits64())).then(|| v.to_f64())).collect()
    }
    dispatch!(Slice, sample.data(), x => run(x, fill))
}

/// How many singular vectors of `x` unfolded along `axis` leave no more than errors spread evenly over a tolerance `t` would.
fn vectors(x: &[f64], shape: &[usize], axis: usize, t: f64) -> Result<usize> {
    let n = shape[axis];
    let largest = x.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
    let scaled: Vec<f64> = x.iter().map(|v| v / largest).collect();
    let rows = eigenvectors(&gram(&scaled, shape, axis)?, n)?;
    let y = product(&scaled, shape, axis, &rows)?;
    let inner: usize = shape[axis + 1..].iter().product();
    let mut energies = vec![0.0; n];
    for (i, part) in y.chunks_exact(inner).enumerate() {
        energies[i % n] += part.iter().map(|v| v * v).sum::<f64>();
    }
    energies.sort_by(|a, b| b.total_cmp(a));
    let allowed = x.len() as f64 * (t / largest) * (t / largest) / 3.0;
    let mut left: f64 = energies.iter().sum();
    let needed = energies.iter().take_while(|e| {
        let more = left > allowed;
        left -= **e;
        more
    });
    Ok(needed.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::bound::Bound;

    fn seen(shape: &[usize], x: &[f32], bound: Bound) -> Findings {
        let view = View::new(shape, x).unwrap();
        look(&view, &Plan::new(&view, &bound, None, true).unwrap()).unwrap()
    }

    #[test]
    fn smoothness_rank_and_noise_are_told() {
        // A product of waves, slow along the first axis, quick along the last, and noise of a known size.
        let wave = |i: usize| {
            libm::sin((i / 1600) as f64 * 0.02)
                * libm::sin((i / 40 % 40) as f64 * 0.2 + 1.0)
                * libm::cos((i % 40) as f64 * 0.8)
        };
        let mut state = 7u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        let x: Vec<f32> = (0..40 * 40 * 40).map(|i| (wave(i) + 1e-3 * noise()) as f32).collect();
        let f = seen(&[40, 40, 40], &x, Bound::Abs(0.01));
        let change: Vec<f64> = f.axes.iter().map(|a| a.change.unwrap()).collect();
        assert!(change[0] < 0.1 && change[0] < change[1] && change[1] < change[2] && change[2] > 0.5, "{change:?}");
        assert!(f.axes.iter().all(|a| a.rank.is_some_and(|(r, n)| r == 1 && n > 15)), "{:?}", f.axes);
        // Evenly spread over an interval of 1e-3.
        let noise = f.noise.unwrap() / (1e-3 / 12f64.sqrt());
        assert!((0.9..1.1).contains(&noise), "{noise}");
        assert_eq!(f.spacing, None);
    }

    #[test]
    fn integers_are_seen_behind_holes_and_nothing_is_made_up() {
        let mut x: Vec<f32> = (0..30_000).map(|i| 250.0 + 0.25 * (i * 7919 % 997) as f32).collect();
        x.iter_mut().step_by(7).for_each(|v| *v = 1e20);
        let f = seen(&[100, 300], &x, Bound::Rel(1e-3));
        assert!((f.spacing.unwrap().step - 0.25).abs() < 1e-6 && f.axes.iter().all(|a| a.rank.is_none()));
        for x in [&[][..], &[f32::NAN; 6], &[2.5; 6]] {
            let f = seen(&[x.len()], x, Bound::Abs(0.1));
            assert!(f.spacing.is_none() && f.axes[0].change.is_none(), "{f:?}");
        }
        assert!(seen(&[], &[1.0], Bound::Abs(0.1)).axes.is_empty());
    }
}
