//! Every pointwise metric of a decoded array against its original; names as in libpressio.

use serde::Serialize;

use super::accumulator::Accumulator;
use super::number;
use super::pairs;
use super::ssim::Ssim;
use super::wide::Wide;
use crate::array::{DType, Grid, Source};
use crate::error::Result;

/// The metrics of a decoded array against its original.
///
/// In the formulas `x` is the original, `d` the decoded value, `e = d - x` rounded once to `f64` (64-bit integers are
/// subtracted as integers), and sums, means and maxima run over the `n` points that count: all whose original is
/// finite and not the fill value. A value that exceeds the largest `f64` is infinite; quotients are formed from the
/// exact numbers, so that they are right even then. Where a decoded value is NaN or infinite though its original
/// counts (`non_finite` > 0), the error there is infinite: so are `mse`, `rmse`, `l2_error` and the maxima, `psnr` is
/// `-Infinity`, and what has no limit is NaN.
///
/// When nothing counts (`n` = 0), errors and ranges are 0, `psnr` is infinite, and `value_min`, `value_max`,
/// `value_mean`, `pearson` and `ssim` are NaN.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// How many values the array has.
    pub values: u64,
    /// How many of them count.
    pub n: u64,
    /// How many counted values differ in at least one bit (so -0.0 differs from 0.0).
    pub different: u64,
    /// How many points do not count: the original is NaN, infinite or the fill value.
    pub special_values: u64,
    /// How many of those were not restored bit for bit.
    pub special_mismatches: u64,
    /// How many counted points have a decoded value that is NaN or infinite.
    pub non_finite: u64,
    /// `20 log10(value_range / rmse)` in decibels; infinite when every error is 0, `-Infinity` when only the range is.
    #[serde(serialize_with = "number::one")]
    pub psnr: f64,
    /// The mean squared error, `sum(e^2) / n`.
    #[serde(serialize_with = "number::one")]
    pub mse: f64,
    /// The root of the mean squared error, `sqrt(sum(e^2) / n)`.
    #[serde(serialize_with = "number::one")]
    pub rmse: f64,
    /// `max |e|`.
    #[serde(serialize_with = "number::one")]
    pub max_error: f64,
    /// `max_error / value_range`: what a bound of kind `rel` limits. 0 when every error is 0.
    #[serde(serialize_with = "number::one")]
    pub max_rel_error: f64,
    /// `max |e| / |x|`: what a bound of kind `pw_rel` limits. Points with `x = 0` and `e = 0` are left out; infinite if
    /// a value that was 0 changed.
    #[serde(serialize_with = "number::one")]
    pub max_pw_rel_error: f64,
    /// The relative error in the L2 norm, `sqrt(sum(e^2) / sum(x^2))`: what a bound of kind `l2` limits. 0 when every
    /// error is 0.
    #[serde(serialize_with = "number::one")]
    pub l2_error: f64,
    /// The bias, `sum(e) / n`.
    #[serde(serialize_with = "number::one")]
    pub mean_error: f64,
    /// `value_max - value_min`, of the original.
    #[serde(serialize_with = "number::one")]
    pub value_range: f64,
    /// `min x`.
    #[serde(serialize_with = "number::one")]
    pub value_min: f64,
    /// `max x`.
    #[serde(serialize_with = "number::one")]
    pub value_max: f64,
    /// `sum(x) / n`.
    #[serde(serialize_with = "number::one")]
    pub value_mean: f64,
    /// The standard deviation of the original, `sqrt(sum((x - value_mean)^2) / n)`.
    #[serde(serialize_with = "number::one")]
    pub value_std: f64,
    /// Pearson's correlation of original and decoded, `cov(x, d) / (std(x) std(d))`; NaN when either is constant.
    #[serde(serialize_with = "number::one")]
    pub pearson: f64,
    /// Mean structural similarity (see [`Ssim`]); `None` until [`Comparison::with_ssim`].
    #[serde(serialize_with = "number::maybe")]
    pub ssim: Option<f64>,
    /// Bits of compressed data per value, `8 bytes / values`; `None` until [`Comparison::with_size`].
    #[serde(serialize_with = "number::maybe")]
    pub bit_rate: Option<f64>,
    /// Bytes of the values over bytes of compressed data; `None` until [`Comparison::with_size`].
    #[serde(serialize_with = "number::maybe")]
    pub compression_ratio: Option<f64>,
    /// Element type, fill value, range and largest error, for the second passes.
    #[serde(skip)]
    pub(super) dtype: DType,
    #[serde(skip)]
    pub(super) fill: Option<u64>,
    #[serde(skip)]
    pub(super) range: Wide,
    #[serde(skip)]
    pub(super) largest_error: Wide,
}

/// The name and a one-line description of every metric, in the order in which [`Comparison`] serialises them.
pub const METRICS: [(&str, &str); 23] = [
    ("values", "values in the array"),
    ("n", "values that count: finite in the original and not the fill value"),
    ("different", "counted values that differ in at least one bit"),
    ("special_values", "values that do not count"),
    ("special_mismatches", "values that do not count and were not restored bit for bit"),
    ("non_finite", "counted values decoded to NaN or infinity"),
    ("psnr", "20 log10(value_range / rmse), in decibels"),
    ("mse", "mean squared error"),
    ("rmse", "root of the mean squared error"),
    ("max_error", "largest absolute error"),
    ("max_rel_error", "largest absolute error / value_range"),
    ("max_pw_rel_error", "largest |error| / |value|"),
    ("l2_error", "L2 norm of the error / L2 norm of the values"),
    ("mean_error", "bias: mean of decoded - original"),
    ("value_range", "value_max - value_min"),
    ("value_min", "smallest value"),
    ("value_max", "largest value"),
    ("value_mean", "mean value"),
    ("value_std", "standard deviation of the values"),
    ("pearson", "correlation of original and decoded"),
    ("ssim", "mean structural similarity, window 7"),
    ("bit_rate", "compressed bits per value"),
    ("compression_ratio", "bytes of the values / compressed bytes"),
];

impl Comparison {
    /// Compares two arrays of any size: parts of both are read one after the other, on all threads, so that memory
    /// stays bounded. `fill` is the bit pattern of the fill value in the element type, zero-extended.
    /// Errors: `InvalidArgument` unless type and shape agree; whatever reading returns.
    pub fn new(original: &dyn Source, decoded: &dyn Source, fill: Option<u64>) -> Result<Comparison> {
        let grid = pairs::slabs(&original.shape())?;
        Comparison::over_blocks(original, decoded, fill, &grid)
    }

    /// As [`Comparison::new`], reading the blocks of `grid`: where one side decodes whole blocks, reading along them
    /// decodes each once. Errors: as [`Comparison::new`], and `InvalidArgument` unless the grid covers the same shape.
    pub fn over_blocks(
        original: &dyn Source,
        decoded: &dyn Source,
        fill: Option<u64>,
        grid: &Grid,
    ) -> Result<Comparison> {
        pairs::check(original, decoded, Some(grid))?;
        let empty = Accumulator::new(original.dtype(), fill);
        let mut total = empty.clone();
        pairs::for_each_block(
            grid,
            |region| {
                let (x, d) = pairs::read(original, decoded, region)?;
                let mut part = empty.clone();
                part.push(x.as_slice(), d.as_slice())?;
                Ok(part)
            },
            |part| total.merge(&part),
        )?;
        Ok(total.finish())
    }

    /// The same with `bit_rate` and `compression_ratio`, for compressed data of `bytes` bytes, everything needed to
    /// decode included.
    #[must_use]
    pub fn with_size(self, bytes: u64) -> Comparison {
        let (bytes, values) = (bytes as f64, self.values as f64);
        Comparison {
            bit_rate: Some(8.0 * bytes / values),
            compression_ratio: Some(values * self.dtype.size() as f64 / bytes),
            ..self
        }
    }

    /// The same with `ssim` as [`Ssim::default`] measures it, from a second reading of both arrays.
    /// Errors: as [`Ssim::mean`].
    pub fn with_ssim(self, original: &dyn Source, decoded: &dyn Source) -> Result<Comparison> {
        let ssim = Ssim::default().mean(original, decoded, &self)?;
        Ok(Comparison { ssim: Some(ssim), ..self })
    }

    /// Whether every value, special ones included, was restored bit for bit.
    pub fn is_lossless(&self) -> bool {
        self.different == 0 && self.special_mismatches == 0
    }

    pub(super) fn from_accumulator(a: &Accumulator) -> Comparison {
        let mut c = Comparison {
            values: a.values,
            n: a.n,
            different: a.different,
            special_values: a.values - a.n,
            special_mismatches: a.special_mismatches,
            non_finite: a.non_finite,
            psnr: f64::INFINITY,
            mse: 0.0,
            rmse: 0.0,
            max_error: 0.0,
            max_rel_error: 0.0,
            max_pw_rel_error: 0.0,
            l2_error: 0.0,
            mean_error: 0.0,
            value_range: 0.0,
            value_min: f64::NAN,
            value_max: f64::NAN,
            value_mean: f64::NAN,
            value_std: 0.0,
            pearson: f64::NAN,
            ssim: None,
            bit_rate: None,
            compression_ratio: None,
            dtype: a.dtype,
            fill: a.fill,
            range: Wide::ZERO,
            largest_error: Wide::ZERO,
        };
        let Some(t) = a.totals() else { return c };
        (c.range, c.largest_error) = (t.range, t.max_error);
        (c.value_range, c.value_min, c.value_max) = (t.range.to_f64(), t.min, t.max);
        (c.value_mean, c.value_std) = (t.mean.to_f64(), t.deviation.to_f64());
        if a.non_finite > 0 {
            c.psnr = f64::NEG_INFINITY;
            (c.mse, c.rmse, c.l2_error) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
            (c.max_error, c.max_rel_error, c.max_pw_rel_error) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
            c.mean_error = f64::NAN;
            return c;
        }
        let rmse = t.mean_square.sqrt();
        let norm = t.mean.mul(t.mean).add(t.deviation.mul(t.deviation)).sqrt();
        if !rmse.is_zero() {
            c.psnr = t.range.decibels_over(rmse);
        }
        (c.mse, c.rmse) = (t.mean_square.to_f64(), rmse.to_f64());
        c.max_error = t.max_error.to_f64();
        c.max_rel_error = t.max_error.ratio(t.range);
        c.max_pw_rel_error = t.max_pw_rel;
        c.l2_error = rmse.ratio(norm);
        c.mean_error = t.mean_error.to_f64();
        c.pearson = t.pearson;
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, Element, Shape, View};

    fn near(a: f64, b: f64, rel: f64) {
        assert!(a == b || (a - b).abs() <= rel * a.abs().max(b.abs()), "{a} {b}");
    }

    fn compare<T: Element>(x: &[T], d: &[T], fill: Option<u64>) -> Comparison {
        let view = |v| View::new(&[x.len()], v).unwrap();
        Comparison::new(&view(x), &view(d), fill).unwrap()
    }

    /// Uniform in [-1, 1), the same every time.
    fn noise(n: usize, mut state: u64) -> Vec<f64> {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn a_small_case_by_hand() {
        let c = compare(&[1.0f32, 2.0, 3.0, 4.0], &[1.5, 2.0, 2.0, 4.0], None).with_size(2);
        assert_eq!((c.values, c.n, c.different, c.special_values), (4, 4, 2, 0));
        assert_eq!((c.mse, c.max_error, c.mean_error), (1.25 / 4.0, 1.0, -0.125));
        assert_eq!((c.value_min, c.value_max, c.value_range, c.value_mean), (1.0, 4.0, 3.0, 2.5));
        near(c.rmse, 0.3125f64.sqrt(), 1e-15);
        near(c.max_rel_error, 1.0 / 3.0, 1e-15);
        near(c.max_pw_rel_error, 0.5, 1e-15);
        near(c.l2_error, (1.25f64 / 30.0).sqrt(), 1e-15);
        near(c.value_std, 1.25f64.sqrt(), 1e-15);
        near(c.psnr, 10.0 * libm::log10(9.0 / 0.3125), 1e-14);
        // d - mean: -0.875 -0.375 -0.375 1.625; x - mean: -1.5 -0.5 0.5 1.5.
        near(c.pearson, 3.75 / (5.0f64 * 3.6875).sqrt(), 1e-15);
        assert_eq!((c.bit_rate, c.compression_ratio), (Some(4.0), Some(8.0)));
        assert!(!c.is_lossless());
    }

    #[test]
    fn uniform_noise_has_the_error_of_a_uniform_distribution() {
        let n = 400_000;
        let x: Vec<f64> = (0..n).map(|i| libm::sin(i as f64 * 1e-3)).collect();
        let d: Vec<f64> = x.iter().zip(noise(n, 7)).map(|(x, e)| x + 1e-3 * e).collect();
        let c = compare(&x, &d, None);
        near(c.rmse, 1e-3 / 3f64.sqrt(), 5e-3);
        near(c.max_error, 1e-3, 1e-4);
        near(c.psnr, 20.0 * libm::log10(2.0 * 3f64.sqrt() / 1e-3), 1e-3);
        near(1.0 - c.pearson, 0.5 * c.mse / (c.value_std * c.value_std), 1e-2);
        assert!(c.mean_error.abs() < 5e-6);
    }

    #[test]
    fn a_shift_is_all_bias() {
        let x: Vec<f32> = (0..999).map(|i| i as f32).collect();
        let d: Vec<f32> = x.iter().map(|v| v + 0.25).collect();
        let c = compare(&x, &d, None);
        assert_eq!((c.mean_error, c.rmse, c.max_error), (0.25, 0.25, 0.25));
        near(c.pearson, 1.0, 1e-15);
        assert_eq!(c.max_pw_rel_error, f64::INFINITY);
        let e: Vec<f32> = x.iter().map(|v| 3.0 - 2.0 * v).collect();
        near(compare(&x, &e, None).pearson, -1.0, 1e-15);
    }

    #[test]
    fn identical_arrays_are_perfect() {
        for x in [vec![1.0, f64::NAN, 2.0, 5.0], vec![1.0; 5000], vec![], vec![f64::INFINITY; 3]] {
            let c = compare(&x, &x, None).with_size(0);
            assert!(c.is_lossless() && c.psnr == f64::INFINITY, "{c:?}");
            assert_eq!(
                (c.max_error, c.mse, c.max_rel_error, c.max_pw_rel_error, c.l2_error),
                (0.0, 0.0, 0.0, 0.0, 0.0)
            );
            assert!(c.pearson == 1.0 || c.value_range == 0.0 && c.pearson.is_nan());
        }
        let c = compare::<i16>(&[], &[], None);
        assert!(c.n == 0 && c.value_mean.is_nan() && c.value_min.is_nan());
        assert_eq!(compare(&[2.0f32; 3], &[2.5; 3], None).psnr, f64::NEG_INFINITY);
    }

    #[test]
    fn special_values_do_not_count_but_must_be_restored() {
        let fill = 1e20f32;
        let quiet = f32::from_bits(0x7fc0_0001);
        let x = [1.0, fill, f32::NAN, 3.0, f32::INFINITY, quiet, -0.0, f32::NEG_INFINITY];
        let bits = Some(u64::from(fill.to_bits()));
        let c = compare(&x, &x, bits);
        assert_eq!((c.n, c.special_values, c.special_mismatches, c.value_range), (3, 5, 0, 3.0));
        assert!(c.is_lossless());
        // A changed fill, another NaN, infinity for -infinity: three mismatches; -0.0 for 0.0 differs but is no error.
        let d = [1.5, 1e19, f32::NAN, 3.0, f32::INFINITY, f32::NAN, 0.0, f32::INFINITY];
        let c = compare(&x, &d, bits);
        assert_eq!((c.special_mismatches, c.different, c.max_error, c.max_pw_rel_error), (3, 2, 0.5, 0.5));
        // Without the fill value, 1e20 counts.
        assert_eq!(compare(&x, &x, None).n, 4);
        let c = compare(&[7u8, 9, 7, 1], &[7, 9, 8, 2], Some(7));
        assert_eq!((c.n, c.special_values, c.special_mismatches, c.mean_error), (2, 2, 1, 0.5));
    }

    #[test]
    fn values_lost_to_nan_are_infinite_errors() {
        let mut d = vec![1.0; 3000];
        d[2500] = f64::NAN;
        let x = vec![1.0; 3000];
        let c = compare(&x, &d, None);
        assert_eq!((c.n, c.non_finite, c.different, c.special_mismatches), (3000, 1, 1, 0));
        assert_eq!((c.max_error, c.psnr, c.value_mean), (f64::INFINITY, f64::NEG_INFINITY, 1.0));
        assert!(c.mean_error.is_nan() && c.l2_error == f64::INFINITY && c.max_rel_error == f64::INFINITY);
    }

    #[test]
    fn integers_at_the_extremes_are_exact() {
        let c = compare(&[i64::MAX, i64::MIN, i64::MAX - 1], &[i64::MAX - 1, i64::MIN + 1, i64::MAX - 1], None);
        assert_eq!((c.max_error, c.different, c.mean_error, c.value_range), (1.0, 2, 0.0, u64::MAX as f64));
        near(c.mse, 2.0 / 3.0, 1e-15);
        let c = compare(&[u64::MAX, u64::MAX - 8], &[u64::MAX - 2, u64::MAX - 8], None);
        assert_eq!((c.max_error, c.value_range, c.mean_error, c.value_std), (2.0, 8.0, -1.0, 4.0));
        assert_eq!(compare(&[i64::MIN], &[i64::MAX], None).max_error, u64::MAX as f64);
        assert_eq!(compare(&[i8::MIN, 0], &[i8::MAX, 0], None).max_error, 255.0);
        assert_eq!(compare(&[0u32], &[u32::MAX], None).max_error, f64::from(u32::MAX));
    }

    #[test]
    fn the_ends_of_the_exponent_range_do_not_overflow() {
        let m = f64::MAX;
        let c = compare(&[m, -m, 0.0], &[-m, -m, 0.0], None);
        assert_eq!((c.max_error, c.max_rel_error, c.max_pw_rel_error), (f64::INFINITY, 1.0, 2.0));
        near(c.psnr, 10.0 * libm::log10(3.0), 1e-14);
        near(c.l2_error, 2f64.sqrt(), 1e-14);
        assert_eq!((c.value_mean, c.value_range), (0.0, f64::INFINITY));
        assert!(c.pearson.abs() < 1e-15 && (c.value_std / m - (2f64 / 3.0).sqrt()).abs() < 1e-15);
        // The same numbers at very different magnitudes: all that is relative must agree.
        let x: Vec<f64> = noise(5000, 1).iter().map(|v| v + 0.3).collect();
        let d: Vec<f64> = x.iter().zip(noise(5000, 2)).map(|(x, e)| x + 1e-6 * e).collect();
        let want = compare(&x, &d, None);
        for k in [-900, -500, 500, 1020] {
            let s = |v: &[f64]| v.iter().map(|&v| libm::scalbn(v, k)).collect::<Vec<_>>();
            let c = compare(&s(&x), &s(&d), None);
            for (a, b) in [
                (c.psnr, want.psnr),
                (c.l2_error, want.l2_error),
                (c.max_rel_error, want.max_rel_error),
                (c.max_pw_rel_error, want.max_pw_rel_error),
                (c.pearson, want.pearson),
                (c.mean_error, libm::scalbn(want.mean_error, k)),
                (c.value_std, libm::scalbn(want.value_std, k)),
                (c.rmse, libm::scalbn(want.rmse, k)),
                (c.value_mean, libm::scalbn(want.value_mean, k)),
            ] {
                near(a, b, 1e-13);
            }
        }
        // Tiny values beside huge ones.
        let c = compare(&[5e-324, m, 1.0], &[1e-323, m, 1.0], None);
        assert_eq!((c.max_pw_rel_error, c.max_error), (1.0, 5e-324));
    }

    #[test]
    fn the_cut_does_not_show() {
        let n = 60_000;
        let x: Vec<f32> = noise(n, 3).iter().enumerate().map(|(i, v)| (1e4 + i as f64 * 0.01 + v) as f32).collect();
        let mut d: Vec<f32> = x.iter().zip(noise(n, 4)).map(|(x, e)| x + 0.05 * e as f32).collect();
        (d[100], d[200]) = (0.0, 1.0);
        let shape = Shape::new(&[20, 50, 60]).unwrap();
        let (x, d) = (Array::from_vec(&shape, x).unwrap(), Array::from_vec(&shape, d).unwrap());
        let want = Comparison::new(&x, &d, None).unwrap();
        for block in [[20, 50, 60], [1, 1, 60], [3, 7, 11], [1, 1, 1]] {
            let grid = Grid::new(shape, &block).unwrap();
            let c = Comparison::over_blocks(&x, &d, None, &grid).unwrap();
            assert_eq!(
                (c.n, c.different, c.max_error, c.value_range),
                (want.n, want.different, want.max_error, want.value_range)
            );
            for (a, b) in [
                (c.mse, want.mse),
                (c.psnr, want.psnr),
                (c.l2_error, want.l2_error),
                (c.mean_error, want.mean_error),
                (c.value_mean, want.value_mean),
                (c.value_std, want.value_std),
                (c.pearson, want.pearson),
            ] {
                near(a, b, 1e-13);
            }
        }
        let exact = {
            let (x, d) = (x.data().to_f64(), d.data().to_f64());
            x.iter().zip(&d).map(|(x, d)| (d - x) * (d - x)).sum::<f64>() / n as f64
        };
        near(want.mse, exact, 1e-11);
    }

    #[test]
    fn arrays_that_do_not_match_are_refused() {
        let x = Array::from_vec(&[2, 3], vec![0f32; 6]).unwrap();
        let y = Array::from_vec(&[3, 2], vec![0f32; 6]).unwrap();
        let z = Array::from_vec(&[2, 3], vec![0i32; 6]).unwrap();
        assert!(Comparison::new(&x, &y, None).is_err() && Comparison::new(&x, &z, None).is_err());
        let grid = Grid::new(y.shape(), &[1, 1]).unwrap();
        assert!(Comparison::over_blocks(&x, &x, None, &grid).is_err());
        let mut a = Accumulator::new(DType::F32, None);
        assert!(a.push(x.data(), z.data()).is_err() && a.push(z.data(), z.data()).is_err());
        assert!(a.merge(&Accumulator::new(DType::F32, Some(0))).is_err());
    }

    #[test]
    fn serialises_every_metric_by_its_name() {
        let x = Array::from_vec(&[9, 9], (0..81).collect::<Vec<i16>>()).unwrap();
        let c = Comparison::new(&x, &x, None).unwrap().with_ssim(&x, &x).unwrap();
        let json = serde_json::to_value(&c).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, METRICS.map(|m| m.0));
        assert_eq!((&json["psnr"], &json["bit_rate"]), (&"Infinity".into(), &serde_json::Value::Null));
        assert_eq!(json["ssim"], 1.0);
    }
}
