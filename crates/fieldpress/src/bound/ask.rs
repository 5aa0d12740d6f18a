//! What a user may ask.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::criterion::{Criterion, Term};
use super::quantities::MomentLimits;
use super::stats::Stats;
use crate::error::{Error, Result};

/// A bound on the error. `x` is an original value and `y` the decoded one. NaN, infinities and fill values do not count in
/// ranges, norms and means; they, and -0.0, come back bit for bit.
///
/// As JSON: `"lossless"`, `"none"`, `{"abs": 0.1}`, `{"abs_or_rel": {"abs": 1e-15, "rel": 1e-3}}`, `{"all": [...]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Every bit is kept.
    Lossless,
    /// Nothing is asked: a method gives what its parameters say, and nobody knows how good that is.
    None,
    /// `|x - y| <= abs`, in the units of the data.
    Abs(f64),
    /// `|x - y| <= rel * (max x - min x)`, the range of the valid values of the whole array.
    Rel(f64),
    /// `|x - y| <= pw_rel * |x|`: zeros stay zero, signs are kept for bounds below 1.
    PwRel(f64),
    /// `|x - y| <= max(abs, rel * |x|)`: natural for data over many decades.
    AbsOrRel {
        /// In the units of the data.
        abs: f64,
        /// Relative to the value.
        rel: f64,
    },
    /// `sqrt(sum (x - y)^2) <= l2 * sqrt(sum x^2)`: the relative L2 norm over the whole array.
    L2(f64),
    /// `20 log10((max x - min x) / sqrt(mean (x - y)^2)) >= psnr`, in decibels, over the whole array.
    Psnr(f64),
    /// `||grad (x - y)|| <= h1 * ||grad x||` over the domain, of fields on spectral elements: then vorticity and dissipation can be trusted.
    H1(f64),
    /// Limits on the errors of the moments of every velocity distribution in the array.
    Moments(MomentLimits),
    /// Density, momentum and energy of every velocity distribution stay as they are, but for rounding: within [`CONSERVED`].
    ///
    /// [`CONSERVED`]: super::CONSERVED
    Conserve,
    /// No value becomes negative that was not.
    Positive,
    /// All of these at once.
    All(Vec<Bound>),
}

impl Bound {
    /// Errors: `InvalidArgument` for negative or non-finite numbers, and for an empty list.
    pub fn validate(&self) -> Result<()> {
        let ok = match self {
            Bound::Lossless | Bound::None | Bound::Conserve | Bound::Positive => true,
            Bound::Moments(limits) => return limits.validate(),
            Bound::Abs(v) | Bound::Rel(v) | Bound::PwRel(v) | Bound::L2(v) | Bound::H1(v) => v.is_finite() && *v >= 0.0,
            Bound::AbsOrRel { abs, rel } => abs.is_finite() && *abs >= 0.0 && rel.is_finite() && *rel >= 0.0,
            Bound::Psnr(v) => v.is_finite(),
            Bound::All(list) => {
                list.iter().try_for_each(Bound::validate)?;
                !list.is_empty()
            }
        };
        if ok {
            Ok(())
        } else {
            Err(Error::invalid(format!("expected a bound with finite, non-negative numbers, found {self}")))
        }
    }
    /// The bound as numbers that need no more knowledge of the data, each rounded toward the stricter side.
    pub fn resolve(&self, stats: &Stats) -> Criterion {
        let mut c = Criterion::default();
        self.resolve_into(stats, &mut c);
        c
    }
    fn resolve_into(&self, stats: &Stats, c: &mut Criterion) {
        match self {
            Bound::Lossless => c.terms.push(Term::EXACT),
            Bound::None => {}
            Bound::Moments(limits) => c.quantities.moments = c.quantities.moments.and(limits),
            Bound::Conserve => c.quantities.conserve = true,
            Bound::Positive => c.positive = true,
            Bound::Abs(abs) => c.terms.push(Term { abs: *abs, rel: 0.0 }),
            Bound::Rel(rel) => c.terms.push(Term { abs: product_down(*rel, stats.range_down()), rel: 0.0 }),
            Bound::PwRel(rel) => c.terms.push(Term { abs: 0.0, rel: *rel }),
            Bound::AbsOrRel { abs, rel } => c.terms.push(Term { abs: *abs, rel: *rel }),
            Bound::L2(l2) => {
                let square = stats.integrals.map_or(stats.square_sum, |i| i.square);
                c.limit_square_sum(l2 * l2 * square * (1.0 - 1e-12));
            }
            Bound::Psnr(psnr) => {
                let rmse = stats.range_down() * libm::exp10(-psnr / 20.0);
                let volume = stats.integrals.map_or(stats.count as f64, |i| i.volume);
                c.limit_square_sum(rmse * rmse * volume * (1.0 - 1e-12));
            }
            // Without elements there are no gradients, and nothing but every bit is known to keep them.
            Bound::H1(h1) => {
                let gradient = stats.integrals.map_or(0.0, |i| i.gradient);
                c.limit_gradient_sum(h1 * h1 * gradient * (1.0 - 1e-12));
            }
            Bound::All(list) => list.iter().for_each(|b| b.resolve_into(stats, c)),
        }
    }
    /// The same without what is asked of velocity distributions; lossless where nothing else is asked.
    pub fn of_values(&self) -> Bound {
        fn rest(bound: &Bound) -> Option<Bound> {
            match bound {
                Bound::Moments(_) | Bound::Conserve => None,
                Bound::All(list) => {
                    let list: Vec<Bound> = list.iter().filter_map(rest).collect();
                    (!list.is_empty()).then_some(Bound::All(list))
                }
                other => Some(other.clone()),
            }
        }
        rest(self).unwrap_or(Bound::Lossless)
    }
    /// Whether something is asked of all errors together, which on spectral elements is meant as an integral over the domain.
    pub fn is_of_norms(&self) -> bool {
        match self {
            Bound::L2(_) | Bound::Psnr(_) | Bound::H1(_) => true,
            Bound::All(list) => list.iter().any(Bound::is_of_norms),
            _ => false,
        }
    }
    /// Whether something is asked of the error's gradient.
    pub fn is_of_gradients(&self) -> bool {
        match self {
            Bound::H1(_) => true,
            Bound::All(list) => list.iter().any(Bound::is_of_gradients),
            _ => false,
        }
    }
    /// The same for values at points, of which no gradient is known: a bound on it becomes one on the L2 norm.
    pub fn of_points(&self) -> Bound {
        match self {
            Bound::H1(v) => Bound::L2(*v),
            Bound::All(list) => Bound::All(list.iter().map(Bound::of_points).collect()),
            other => other.clone(),
        }
    }
    /// Whether it is said that nothing is asked of single values.
    pub fn asks_nothing(&self) -> bool {
        match self {
            Bound::None => true,
            Bound::All(list) => list.iter().any(Bound::asks_nothing),
            _ => false,
        }
    }
    /// Whether every bit is to be kept.
    pub fn is_lossless(&self) -> bool {
        match self {
            Bound::Lossless => true,
            Bound::All(list) => list.iter().any(Bound::is_lossless),
            _ => false,
        }
    }
}

/// The largest `f64` not above `a * b`, for non-negative finite numbers.
fn product_down(a: f64, b: f64) -> f64 {
    let p = a * b;
    if !p.is_finite() {
        f64::MAX
    } else if a.mul_add(b, -p) < 0.0 || (p < 1e-290 && p > 0.0) {
        p.next_down()
    } else {
        p
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Lossless => f.write_str("lossless"),
            Bound::None => f.write_str("none"),
            Bound::Abs(v) => write!(f, "abs {v:e}"),
            Bound::Rel(v) => write!(f, "rel {v:e}"),
            Bound::PwRel(v) => write!(f, "pw_rel {v:e}"),
            Bound::AbsOrRel { abs, rel } => write!(f, "abs {abs:e} or pw_rel {rel:e}"),
            Bound::L2(v) => write!(f, "l2 {v:e}"),
            Bound::Psnr(v) => write!(f, "psnr {v}"),
            Bound::H1(v) => write!(f, "h1 {v:e}"),
            Bound::Moments(limits) => write!(f, "moments {limits}"),
            Bound::Conserve => f.write_str("conserve"),
            Bound::Positive => f.write_str("positive"),
            Bound::All(list) => {
                for (i, b) in list.iter().enumerate() {
                    write!(f, "{}{b}", if i > 0 { " and " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;

    #[test]
    fn json_names_are_the_fields() {
        let b = Bound::All(vec![Bound::Abs(0.5), Bound::AbsOrRel { abs: 1e-15, rel: 1e-3 }, Bound::Lossless]);
        let text = serde_json::to_string(&b).unwrap();
        assert_eq!(text, r#"{"all":[{"abs":0.5},{"abs_or_rel":{"abs":1e-15,"rel":0.001}},"lossless"]}"#);
        assert_eq!(serde_json::from_str::<Bound>(&text).unwrap(), b);
        assert!(Bound::Abs(-1.0).validate().is_err() && Bound::All(vec![]).validate().is_err());
        assert!(Bound::Rel(f64::NAN).validate().is_err() && Bound::Psnr(60.0).validate().is_ok());
    }

    #[test]
    fn relative_bounds_resolve_downward() {
        let data = [0.0f64, 100.0, 37.0];
        let stats = Stats::scan(&View::new(&[3], &data).unwrap(), None).unwrap();
        let c = Bound::Rel(0.01).resolve(&stats);
        assert_eq!(c.terms[0].abs, 1.0);
        let data = [0.1f64, 0.3];
        let stats = Stats::scan(&View::new(&[2], &data).unwrap(), None).unwrap();
        let t = Bound::Rel(0.1).resolve(&stats).terms[0].abs;
        assert!(t <= 0.1 * (0.3 - 0.1) && t > 0.0199999);
        let wide = [f64::MIN, f64::MAX];
        let stats = Stats::scan(&View::new(&[2], &wide).unwrap(), None).unwrap();
        assert!(Bound::Rel(0.1).resolve(&stats).terms[0].abs.is_finite());
    }
}
