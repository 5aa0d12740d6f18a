//! Bounds as plain numbers: what the bounded stage enforces, and what it tells codecs.

use serde::{Deserialize, Serialize};

use super::check::within;
use super::quantities::Quantities;
use super::stats::Stats;
use crate::array::Element;

/// `|x - y| <= max(abs, rel * |x|)`, decided exactly. With both 0 every bit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// In the units of the data.
    pub abs: f64,
    /// Relative to the magnitude of the original value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rel: f64,
}

fn is_zero(v: &f64) -> bool {
    *v == 0.0
}

impl Term {
    /// Every bit is kept.
    pub const EXACT: Term = Term { abs: 0.0, rel: 0.0 };
    /// Nothing is asked.
    pub const FREE: Term = Term { abs: f64::MAX, rel: 0.0 };
    /// Whether every bit is to be kept.
    pub fn is_exact(&self) -> bool {
        self.abs == 0.0 && self.rel == 0.0
    }
    /// Whether nothing is asked.
    pub fn is_free(&self) -> bool {
        self.abs == f64::MAX
    }
    /// The tolerance at `x`, rounded to nearest; a guide, not the decision.
    #[inline(always)]
    pub fn at(&self, x: f64) -> f64 {
        self.abs.max(self.rel * x.abs())
    }
}

/// Whether `y` is not negative, or `x` is too.
#[inline(always)]
fn stays_positive<T: Element>(x: T, y: T) -> bool {
    y.to_f64() >= 0.0 || x.to_f64() < 0.0
}

/// A resolved bound: pointwise terms that must all hold, and a limit on the sum of squared errors of the whole array.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// Pointwise conditions, all of which must hold. Empty: nothing is asked of single values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Term>,
    /// The largest sum of squared errors over the valid values of the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub square_sum: Option<f64>,
    /// The largest integral of the square of the error's gradient over the elements of the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_sum: Option<f64>,
    /// What was not negative may not become so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub positive: bool,
    /// What is asked of velocity distributions.
    #[serde(default, skip_serializing_if = "Quantities::is_empty")]
    pub quantities: Quantities,
}

impl Criterion {
    /// Nothing is asked.
    pub const FREE: Criterion = Criterion {
        terms: Vec::new(),
        square_sum: None,
        gradient_sum: None,
        positive: false,
        quantities: Quantities::NONE,
    };
    /// Every bit is kept.
    pub fn exact() -> Criterion {
        Criterion { terms: vec![Term::EXACT], ..Criterion::FREE }
    }
    /// Whether `y` may stand for `x`.
    #[inline(always)]
    pub fn allows<T: Element>(&self, x: T, y: T) -> bool {
        (!self.positive || stays_positive(x, y)) && self.terms.iter().all(|t| within(x, y, t))
    }
    /// Whether every bit is to be kept.
    pub fn is_exact(&self) -> bool {
        self.terms.iter().any(Term::is_exact) || self.square_sum == Some(0.0) || self.gradient_sum == Some(0.0)
    }
    /// Whether nothing is asked but terms that hold at each point.
    pub fn is_pointwise(&self) -> bool {
        !self.positive && self.quantities.is_empty()
    }
    /// Whether there is a limit on the errors of the whole array together.
    pub fn has_limit(&self) -> bool {
        self.square_sum.is_some() || self.gradient_sum.is_some()
    }
    /// How much of its limit is used: the larger part of those of the sum of squares and the gradient's; 0 without a limit.
    pub fn used(&self, square: f64, gradient: f64) -> f64 {
        let part = |sum: f64, limit: Option<f64>| limit.map_or(0.0, |l| sum / l);
        let (a, b) = (part(square, self.square_sum), part(gradient, self.gradient_sum));
        if a.is_nan() || b.is_nan() {
            f64::INFINITY
        } else {
            a.max(b)
        }
    }
    /// Whether errors are limited in the mean square alone.
    pub fn is_mean_square(&self) -> bool {
        self.terms.is_empty() && self.has_limit()
    }
    /// One term that is sufficient for all pointwise terms; `None` when there are none.
    pub fn sufficient(&self, stats: &Stats) -> Option<Term> {
        let first = *self.terms.first()?;
        if self.terms.len() == 1 {
            return Some(first);
        }
        let abs = self.terms.iter().fold(f64::MAX, |m, t| m.min(t.abs));
        let rel = self.terms.iter().fold(f64::MAX, |m, t| m.min(t.rel));
        // A mixture of absolute and relative terms leaves (0, 0): then one absolute tolerance for the smallest value.
        let floor = self.terms.iter().fold(f64::MAX, |m, t| m.min(t.at(stats.min_nonzero)));
        Some(if abs == 0.0 && rel == 0.0 { Term { abs: floor, rel: 0.0 } } else { Term { abs, rel } })
    }
    pub(super) fn limit_square_sum(&mut self, limit: f64) {
        self.square_sum = least(self.square_sum, limit);
    }
    pub(super) fn limit_gradient_sum(&mut self, limit: f64) {
        self.gradient_sum = least(self.gradient_sum, limit);
    }
}

/// The lesser of two limits.
fn least(before: Option<f64>, limit: f64) -> Option<f64> {
    // Squares overflow or underflow for extreme data: the largest number asks nothing, 0 asks for every bit.
    let limit = if limit.is_nan() { 0.0 } else { limit.min(f64::MAX) };
    Some(before.map_or(limit, |s| s.min(limit)))
}
