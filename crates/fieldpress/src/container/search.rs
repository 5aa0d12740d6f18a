//! Tolerances for limits on all errors of an array together.

use super::writer::{Pass, Run};
use crate::bits::Sum;
use crate::bound::{Approach, Criterion, Term};
use crate::codec::Outcome;
use crate::error::Result;

/// Most passes over an array to come close to a limit on all of it.
const PASSES: usize = 8;

/// A pass that uses a part `u` of the limit and takes `b` bytes takes at least `b u^0.3` with all of it used. Fields on elements and grids have exponents of
/// 0.1 to 0.25.
const MOST_SAVED: f64 = 0.3;

/// Tolerances tried at every point where none for the whole array was found, each a tenth of the one before.
const FINER: u32 = 6;

impl Pass {
    /// Bytes of all blocks.
    fn size(&self) -> usize {
        self.payloads.iter().map(Vec::len).sum()
    }
}

impl Run<'_> {
    /// Passes over all blocks with tolerances such that the errors of all of them together come close to their limit from below, with each of so
    /// many `chains` alone, since the same tolerance is not the same error with all of them; those without a prospect have one pass. The last resort are
    /// tolerances that hold at every point, from the one that is sufficient for the sum of squares down.
    pub(super) fn search(&self, chains: usize) -> Result<(Term, Pass)> {
        let mut best: Option<(Term, Pass, usize)> = None;
        for chain in 0..chains {
            if let Some((hint, pass)) = self.search_with(chain, best.as_ref().map(|b| b.2))? {
                let size = pass.size();
                if best.as_ref().is_none_or(|b| size < b.2) {
                    best = Some((hint, pass, size));
                }
            }
        }
        if let Some((hint, pass, _)) = best {
            return Ok((hint, pass));
        }
        let safe = self.plan.safe_hint();
        for tenths in 0..FINER {
            let hint = Term { abs: safe.abs * libm::exp10(-f64::from(tenths)), rel: 0.0 };
            let mut criterion = self.plan.criterion.clone();
            criterion.terms.push(hint);
            let pass = self.pass(0..self.grid.len(), &hint, &criterion, true, None)?;
            if self.used(&pass) <= 1.0 {
                return Ok((hint, pass));
            }
        }
        let pass = self.pass(0..self.grid.len(), &Term::EXACT, &Criterion::exact(), true, None)?;
        Ok((Term::EXACT, pass))
    }
    /// How much of the limit on all errors together a pass uses.
    fn used(&self, pass: &Pass) -> f64 {
        let (mut square, mut gradient) = (Sum::default(), Sum::default());
        for r in &pass.reports {
            square.add(r.square);
            gradient.add(r.gradient);
        }
        self.plan.criterion.used(square.value(), gradient.value())
    }
    /// Of the passes with one chain the one with the largest errors together that is not above their limit. None where after the first it will
    /// hardly be smaller than `least` bytes.
    fn search_with(&self, chain: usize, least: Option<usize>) -> Result<Option<(Term, Pass)>> {
        let (mut approach, mut scale) = (Approach::new(1.0), 1.0);
        let mut best: Option<(Term, Pass, f64)> = None;
        for _ in 0..PASSES {
            let hint = self.plan.scaled(scale);
            let pass = self.pass(0..self.grid.len(), &hint, &self.plan.criterion, true, Some(chain))?;
            let used = self.used(&pass);
            let hopeless = |l: usize| pass.size() as f64 * libm::pow(used.min(1.0), MOST_SAVED) > l as f64;
            if scale == 1.0 && least.is_some_and(hopeless) {
                break;
            }
            // Where the chain did nothing other tolerances are no use.
            if scale == 1.0 && !pass.reports.iter().any(|r| matches!(r.outcome, Outcome::Chain(_))) {
                return Ok((used <= 1.0).then_some((hint, pass)));
            }
            if used <= 1.0 && best.as_ref().is_none_or(|(.., b)| *b < used) {
                best = Some((hint, pass, used));
            }
            match approach.next(scale, used).filter(|&s| self.plan.scaled(s) != hint) {
                Some(next) => scale = next,
                None => break,
            }
        }
        Ok(best.map(|(hint, pass, _)| (hint, pass)))
    }
}
