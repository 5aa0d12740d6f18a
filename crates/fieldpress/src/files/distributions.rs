//! Moments of decoded velocity distributions against those of the original, gathered piece by piece.

use crate::array::{Element, Region, Slice};
use crate::bound::Quantities;
use crate::dispatch;
use crate::error::{Error, Result};
use crate::vdf::{Distributions, MomentErrors, Moments};

/// What was found of the moments of distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MomentTally {
    /// How many distributions were compared.
    pub distributions: u64,
    /// Of how many what was asked does not hold.
    pub violations: u64,
    /// The largest errors of density, velocity, pressure and heat flux, see [`MomentErrors`].
    pub worst: [f64; 4],
}

impl MomentTally {
    /// Compares the distributions in a part of the array. Special values count as 0 on both sides, the fill value too.
    /// Errors: `InvalidArgument` where one lies in the part partly, or the values are of two types.
    pub fn add(
        &mut self,
        all: &Distributions,
        part: &Region,
        (x, y): (Slice<'_>, Slice<'_>),
        wanted: &Quantities,
        fill: Option<u64>,
    ) -> Result<()> {
        fn run<T: Element>(
            tally: &mut MomentTally,
            all: &Distributions,
            part: &Region,
            (x, y): (&[T], Option<&[T]>),
            wanted: &Quantities,
            fill: Option<u64>,
        ) -> Result<()> {
            let y =
                y.ok_or_else(|| Error::invalid("expected decoded values of the type of the original, found others"))?;
            let cleared = |v: &[T]| -> Vec<T> {
                let special = |v: &T| !v.is_finite() || fill == Some(v.to_bits64());
                v.iter().map(|v| if special(v) { T::default() } else { *v }).collect()
            };
            let (x, y) = (cleared(x), cleared(y));
            for place in all.within(part)? {
                let (before, after) = (Moments::of(&all.view(&place, &x)), Moments::of(&all.view(&place, &y)));
                tally.distributions += 1;
                tally.violations += u64::from(!wanted.allow(&before, &after, 1.0));
                let errors = MomentErrors::shares(&before, &after);
                tally.worst.iter_mut().zip(errors).for_each(|(w, e)| *w = w.max(e.abs()));
            }
            Ok(())
        }
        dispatch!(Slice, x, v => run(self, all, part, (v, Element::of(y)), wanted, fill))
    }
}
