//! Bounds, tolerances and fill value of one array, resolved before it is encoded.

use crate::array::Source;
use crate::bound::{survey, Bound, Criterion, Stats, Term};
use crate::error::Result;

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
}

impl Plan {
    /// Surveys the array and resolves `bound`. `fill` is a value to keep apart; without one, and with `detect`, a value far
    /// outside the rest is looked for. Errors: `InvalidArgument` for bounds that mean nothing, and those of the source.
    pub fn new(source: &dyn Source, bound: &Bound, fill: Option<f64>, detect: bool) -> Result<Plan> {
        bound.validate()?;
        let stats = survey(source, fill, detect)?;
        let mut criterion = bound.resolve(&stats);
        if criterion.is_exact() {
            criterion = Criterion::exact();
        }
        let sufficient = criterion.sufficient(&stats);
        let hint = match (criterion.is_exact(), criterion.square_sum, sufficient) {
            (true, _, _) => Term::EXACT,
            (_, None, Some(s)) => s,
            (_, None, None) => aim(bound, &criterion, &stats),
            (_, Some(limit), s) => {
                // Errors spread evenly over [-t, t] have a mean square of t^2 / 3.
                let rmse = (limit / stats.count.max(1) as f64).sqrt();
                let t = (rmse * 3f64.sqrt()).clamp(f64::MIN_POSITIVE, f64::MAX);
                match s {
                    Some(s) => Term { abs: s.abs.min(t), rel: if s.abs < t { s.rel } else { 0.0 } },
                    None => Term { abs: t, rel: 0.0 },
                }
            }
        };
        Ok(Plan { bound: bound.clone(), criterion, hint, stats })
    }
    /// Whether methods go by their parameters alone.
    pub fn is_free(&self) -> bool {
        self.hint.is_free() && self.criterion.terms.is_empty() && self.criterion.square_sum.is_none()
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
                let t = (limit / self.stats.count.max(1) as f64).sqrt() * (1.0 - 1e-9);
                Term { abs: self.hint.abs.min(t), rel: 0.0 }
            }
        }
    }
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
