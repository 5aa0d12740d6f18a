//! Bounds, tolerances and fill value of one array, resolved before it is encoded.

use std::sync::Arc;

use crate::array::{Element, Region, Source};
use crate::bound::{survey, Bound, Criterion, Stats, Term};
use crate::dispatch;
use crate::error::Result;
use crate::sem::{Integrals, Norm};

/// What a bound comes to for one array.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the user asked for.
    pub bound: Bound,
    /// What that comes to.
    pub criterion: Criterion,
    /// The first tolerance to hand to the chains.
    pub hint: Term,
    /// The statistics of the valid values.
    pub stats: Stats,
    /// The norm in which limits on the whole array are meant; `None` for sums over values.
    pub norm: Option<Arc<Norm>>,
}

impl Plan {
    /// Surveys the array and resolves `bound`. `fill` is a value to keep apart; without one, and with `detect`, a value far
    /// outside the rest is looked for. Errors: `InvalidArgument` for bounds that mean nothing, and those of the source.
    pub fn new(source: &dyn Source, bound: &Bound, fill: Option<f64>, detect: bool) -> Result<Plan> {
        Plan::on_elements(source, bound, fill, detect, None)
    }
    /// The same, where limits on the whole array are meant in a norm of spectral elements.
    pub fn on_elements(
        source: &dyn Source,
        bound: &Bound,
        fill: Option<f64>,
        detect: bool,
        norm: Option<Arc<Norm>>,
    ) -> Result<Plan> {
        bound.validate()?;
        let mut stats = survey(source, fill, detect)?;
        if let Some(norm) = &norm {
            stats.integrals = Some(integrals(source, norm, stats.fill)?);
        }
        let mut criterion = bound.resolve(&stats);
        if criterion.is_exact() {
            criterion = Criterion::exact();
        }
        let sufficient = criterion.sufficient(&stats);
        // A gradient's share of its limit is about that of the values.
        let of_gradient = criterion.gradient_sum.zip(stats.integrals);
        let of_gradient = of_gradient.map(|(limit, i)| limit / i.gradient * i.square * GRADIENT);
        let limit = criterion.square_sum.map_or(of_gradient, |s| Some(of_gradient.map_or(s, |g| s.min(g))));
        let hint = match (criterion.is_exact(), limit, sufficient) {
            (true, _, _) => Term::EXACT,
            (_, None, Some(s)) => s,
            (_, None, None) => aim(bound, &criterion, &stats),
            (_, Some(limit), s) => {
                // Errors spread evenly over [-t, t] have a mean square of t^2 / 3.
                let rmse = (limit / volume(&stats)).sqrt();
                let t = (rmse * 3f64.sqrt()).clamp(f64::MIN_POSITIVE, f64::MAX);
                match s {
                    Some(s) => Term { abs: s.abs.min(t), rel: if s.abs < t { s.rel } else { 0.0 } },
                    None => Term { abs: t, rel: 0.0 },
                }
            }
        };
        Ok(Plan { bound: bound.clone(), criterion, hint, stats, norm })
    }
    /// Whether methods go by their parameters alone.
    pub fn is_free(&self) -> bool {
        self.hint.is_free() && self.criterion.terms.is_empty() && !self.criterion.has_limit()
    }
    /// The hint for a limit on the whole array, times `scale`; no term of the criterion is exceeded.
    pub fn scaled(&self, scale: f64) -> Term {
        // A relative term grows no further than its bound: it is part of the criterion.
        let rel = (self.hint.rel * scale).min(self.hint.rel);
        let most = if self.criterion.terms.is_empty() { f64::MAX } else { self.hint.abs };
        Term { abs: (self.hint.abs * scale).clamp(f64::MIN_POSITIVE, most.max(f64::MIN_POSITIVE)), rel }
    }
    /// The tolerance that is sufficient for every part of the criterion, at every point on its own.
    pub(super) fn safe_hint(&self) -> Term {
        match self.criterion.square_sum {
            None => self.hint,
            Some(limit) => {
                let t = (limit / volume(&self.stats)).sqrt() * (1.0 - 1e-9);
                Term { abs: self.hint.abs.min(t), rel: 0.0 }
            }
        }
    }
}

/// What errors of the size of 1 at every point add up to.
fn volume(stats: &Stats) -> f64 {
    stats.integrals.map_or(stats.count.max(1) as f64, |i| i.volume)
}

/// Relative errors of gradients are larger than those of values; squared, by about so much.
const GRADIENT: f64 = 1.0 / 36.0;
/// Values of elements that are integrated at a time.
const PIECE: usize = 1 << 20;

/// The integrals of the valid values of an array of elements.
pub fn integrals(source: &dyn Source, norm: &Norm, fill: Option<u64>) -> Result<Integrals> {
    fn valid<T: Element>(v: &[T], fill: Option<u64>) -> Vec<f64> {
        let one = |v: &T| if v.is_finite() && Some(v.to_bits64()) != fill { v.to_f64() } else { 0.0 };
        v.iter().map(one).collect()
    }
    let shape = source.shape();
    let elements = shape.first().copied().unwrap_or(0);
    let at_once = (PIECE / norm.size().max(1)).max(1);
    let mut all = Integrals::default();
    for first in (0..elements).step_by(at_once) {
        let (mut origin, mut dims) = (vec![0; shape.rank()], shape.to_vec());
        if let (Some(o), Some(d)) = (origin.first_mut(), dims.first_mut()) {
            (*o, *d) = (first, at_once.min(elements - first));
        }
        let values = source.read(&Region::new(&shape, &origin, &dims)?)?;
        let part = norm.integrals(first, &dispatch!(Slice, values.as_slice(), v => valid(v, fill)));
        all.square += part.square;
        all.gradient += part.gradient;
        all.volume += part.volume;
    }
    Ok(all)
}

/// What to aim at where nothing is asked of single values: with limits on moments, values of about that precision.
fn aim(bound: &Bound, criterion: &Criterion, stats: &Stats) -> Term {
    let free = criterion.quantities.is_empty() || bound.asks_nothing();
    // Errors of values cancel in moments, and a repair restores what is left.
    let share = criterion.quantities.moments.strictest().unwrap_or(1e-6).sqrt().clamp(1e-5, 1e-2);
    let abs = share * stats.max.abs().max(stats.min.abs());
    match !free && abs.is_finite() && abs > 0.0 {
        true => Term { abs, rel: 0.0 },
        false => Term::FREE,
    }
}
