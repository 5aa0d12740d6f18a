//! How the errors are distributed: a histogram of the signed error and quantiles of its magnitude.

use serde::Serialize;

use super::comparison::Comparison;
use super::difference::{counts, difference};
use super::number;
use super::pairs;
use crate::array::{Buffer, Element, Slice, Source};
use crate::dispatch;
use crate::error::{Error, Result};

/// Bins per octave of the fine histogram, as bits of the mantissa, and how many octaves below the largest error it
/// reaches: smaller errors share its last bin.
const FINE_BITS: u32 = 7;
const OCTAVES: u64 = 64;
const FINE: usize = (OCTAVES as usize) << FINE_BITS;
/// The most bins a histogram may have.
const MAX_BINS: usize = 1 << 20;

/// Magnitudes of the error that a share of all counted points does not exceed. Read from a histogram with 128 bins per
/// octave, as the upper edge of the bin: never too small, at most 0.8 % too large, never above the largest error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of the points have `|e|` at most this.
    #[serde(serialize_with = "number::one")]
    pub p50: f64,
    /// 90 % of the points.
    #[serde(serialize_with = "number::one")]
    pub p90: f64,
    /// 99 % of the points.
    #[serde(serialize_with = "number::one")]
    pub p99: f64,
    /// 99.9 % of the points.
    #[serde(rename = "p99.9", serialize_with = "number::one")]
    pub p99_9: f64,
}

/// The distribution of `e = decoded - original` over the points that count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorHistogram {
    /// The largest finite `|e|`: the bins divide `[-limit, limit]`.
    #[serde(serialize_with = "number::one")]
    pub limit: f64,
    /// How many errors fall into each bin. Bin `i` of `b` holds `-limit + 2 limit i / b <= e < -limit + 2 limit (i + 1)
    /// / b`, the last bin its upper end too. When every error is 0 all are in bin `b / 2`.
    pub counts: Vec<u64>,
    /// How many points counted but have no finite error: decoded to NaN or infinity, or further off than `f64` holds.
    /// They are in no bin, and count as infinite in the quantiles.
    pub non_finite: u64,
    /// Quantiles of `|e|`; 0 when nothing counts.
    pub quantiles: Quantiles,
}

/// Counts of the errors of a part of the array.
#[derive(Clone)]
struct Counts {
    limit: f64,
    bins: Vec<u64>,
    /// By distance below the limit, in fine bins.
    fine: Vec<u64>,
    zeros: u64,
    non_finite: u64,
}

impl ErrorHistogram {
    /// Counts the errors into `bins` bins, in a second reading of both arrays (a third where some errors are infinite);
    /// `comparison` is the first. Memory is bounded by the number of bins.
    /// Errors: `InvalidArgument` unless type and shape agree and `bins` is from 1 to 2^20; whatever reading returns.
    pub fn new(
        original: &dyn Source,
        decoded: &dyn Source,
        comparison: &Comparison,
        bins: usize,
    ) -> Result<ErrorHistogram> {
        pairs::check(original, decoded, None)?;
        if bins == 0 || bins > MAX_BINS {
            return Err(Error::invalid(format!("expected from 1 to {MAX_BINS} bins, found {bins}")));
        }
        let fill = comparison.fill;
        let grid = pairs::slabs(&original.shape())?;
        let mut limit = comparison.max_error;
        if !limit.is_finite() {
            limit = 0.0;
            pairs::for_each_block(
                &grid,
                |region| {
                    let (x, d) = pairs::read(original, decoded, region)?;
                    let mut most = 0f64;
                    for_each_error(&x, d.as_slice(), fill, |e| {
                        most = if e.is_finite() { most.max(e.abs()) } else { most }
                    });
                    Ok(most)
                },
                |most| {
                    limit = limit.max(most);
                    Ok(())
                },
            )?;
        }
        let empty = Counts { limit, bins: vec![0; bins], fine: vec![0; FINE], zeros: 0, non_finite: 0 };
        let mut total = empty.clone();
        pairs::for_each_block(
            &grid,
            |region| {
                let (x, d) = pairs::read(original, decoded, region)?;
                let mut part = empty.clone();
                for_each_error(&x, d.as_slice(), fill, |e| part.count(e));
                Ok(part)
            },
            |part| {
                total.merge(&part);
                Ok(())
            },
        )?;
        Ok(total.finish())
    }
}

/// Calls `f` with the error of each point that counts.
fn for_each_error(xs: &Buffer, ds: Slice<'_>, fill: Option<u64>, mut f: impl FnMut(f64)) {
    dispatch!(Buffer, xs, xs => {
        let ds = Element::of(ds).unwrap_or_default();
        xs.iter().zip(ds).filter(|(x, _)| counts(**x, fill)).for_each(|(&x, &d)| f(difference(d, x)))
    });
}

impl Counts {
    fn count(&mut self, e: f64) {
        if !e.is_finite() {
            self.non_finite += 1;
            return;
        }
        // One exact sum, one product and one quotient: errors on the edge of a bin fall above it wherever the edge is
        // a number. A limit of 0 only meets errors of 0.
        let bins = self.bins.len();
        let room = if self.limit > 1e300 { 1e-10 } else { 1.0 };
        let limit = self.limit * room;
        let place = if limit > 0.0 { (e * room + limit) * bins as f64 / (2.0 * limit) } else { 0.5 * bins as f64 };
        let bin = (place as usize).min(bins - 1);
        self.bins[bin] += 1;
        if e == 0.0 {
            self.zeros += 1;
        } else {
            let below = fine_key(self.limit).saturating_sub(fine_key(e.abs()));
            self.fine[(below as usize).min(FINE - 1)] += 1;
        }
    }

    fn merge(&mut self, other: &Counts) {
        let add = |a: &mut [u64], b: &[u64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.bins, &other.bins);
        add(&mut self.fine, &other.fine);
        self.zeros += other.zeros;
        self.non_finite += other.non_finite;
    }

    fn finish(self) -> ErrorHistogram {
        let n = self.bins.iter().sum::<u64>() + self.non_finite;
        let quantile = |permille: u64| {
            // The smallest number of points that is at least this share.
            let want = (u128::from(n) * u128::from(permille)).div_ceil(1000) as u64;
            let mut seen = self.zeros;
            if seen >= want {
                return 0.0;
            }
            for (below, count) in self.fine.iter().enumerate().rev() {
                seen += count;
                if seen >= want {
                    let edge = (fine_key(self.limit).saturating_sub(below as u64) + 1) << (52 - FINE_BITS);
                    return f64::from_bits(edge).min(self.limit);
                }
            }
            f64::INFINITY
        };
        let quantiles = Quantiles { p50: quantile(500), p90: quantile(900), p99: quantile(990), p99_9: quantile(999) };
        ErrorHistogram { limit: self.limit, counts: self.bins, non_finite: self.non_finite, quantiles }
    }
}

/// The fine bin of a positive number: the leading bits of its exponent and mantissa, which grow with it.
fn fine_key(v: f64) -> u64 {
    v.to_bits() >> (52 - FINE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, View};

    fn histogram<T: Element>(x: &[T], d: &[T], fill: Option<u64>, bins: usize) -> ErrorHistogram {
        let (x, d) = (View::new(&[x.len()], x).unwrap(), View::new(&[d.len()], d).unwrap());
        ErrorHistogram::new(&x, &d, &Comparison::new(&x, &d, fill).unwrap(), bins).unwrap()
    }

    #[test]
    fn counts_fall_where_the_errors_are() {
        let d: Vec<i32> = (-50..=50).collect();
        let h = histogram(&vec![0; 101], &d, None, 10);
        assert_eq!((h.limit, h.counts, h.non_finite), (50.0, vec![10, 10, 10, 10, 10, 10, 10, 10, 10, 11], 0));
        let h = histogram(&[1.0f32, 2.0, 3.0], &[1.0, 2.0, 3.0], None, 5);
        assert_eq!((h.limit, h.counts), (0.0, vec![0, 0, 3, 0, 0]));
        assert_eq!(h.quantiles, Quantiles { p50: 0.0, p90: 0.0, p99: 0.0, p99_9: 0.0 });
        // A skewed error: everything on one side.
        assert_eq!(histogram(&[0u64; 4], &[1, 2, 3, 4], None, 4).counts, [0, 0, 1, 3]);
        assert!(histogram::<u8>(&[], &[], None, 3).counts == [0, 0, 0]);
    }

    #[test]
    fn quantiles_are_never_too_small_and_hardly_too_large() {
        let n = 100_000;
        let d: Vec<f64> = (1..=n).map(|i| f64::from(i) * if i % 3 == 0 { 1e-7 } else { -1e-7 }).collect();
        let h = histogram(&vec![0.0; n as usize], &d, None, 100);
        for (got, want) in [
            (h.quantiles.p50, 0.5e-2),
            (h.quantiles.p90, 0.9e-2),
            (h.quantiles.p99, 0.99e-2),
            (h.quantiles.p99_9, 0.999e-2),
        ] {
            assert!(got >= want * (1.0 - 1e-12) && got <= want * 1.008 && got <= h.limit, "{got} {want}");
        }
        // Mostly exact, with errors below the reach of the fine bins.
        let mut d = vec![0.0; 1000];
        (d[0], d[1], d[2]) = (1.0, 1e-300, 1e-300);
        let q = histogram(&vec![0.0; 1000], &d, None, 4).quantiles;
        assert_eq!((q.p50, q.p99), (0.0, 0.0));
        assert!(q.p99_9 >= 1e-300 && q.p99_9 < 1e-18, "{q:?}");
    }

    #[test]
    fn special_and_lost_values_are_told_apart() {
        let x = [0.0f64, 9e9, f64::NAN, 1.0, f64::MAX, 2.0];
        let d = [0.5, 1.0, 1.0, f64::INFINITY, -f64::MAX, 1.0];
        let h = histogram(&x, &d, Some(9e9f64.to_bits()), 2);
        assert_eq!((h.limit, h.counts, h.non_finite), (1.0, vec![1, 1], 2));
        assert_eq!((h.quantiles.p50, h.quantiles.p90), (1.0, f64::INFINITY));
        let json = serde_json::to_value(h.quantiles).unwrap();
        assert_eq!(json["p99.9"], "Infinity");
        let h = histogram(&[f64::MAX, 0.0], &[0.0, 0.0], None, 3);
        assert_eq!((h.limit, h.counts), (f64::MAX, vec![1, 1, 0]));
    }

    #[test]
    fn impossible_requests_are_refused() {
        let a = Array::from_vec(&[2], vec![1u8, 2]).unwrap();
        let c = Comparison::new(&a, &a, None).unwrap();
        assert!(ErrorHistogram::new(&a, &a, &c, 0).is_err() && ErrorHistogram::new(&a, &a, &c, usize::MAX).is_err());
    }
}
