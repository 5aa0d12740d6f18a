//! Power spectra of the original, the decoded array and the error, in shells of equal wavenumber: at which scales the
//! error sits, and from which scale on it drowns the data.

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use serde::Serialize;

use super::comparison::Comparison;
use super::difference::{counts, Unit};
use super::number;
use super::pairs;
use super::wide::Wide;
use crate::array::{Element, Region, Shape, Source, MAX_RANK};
use crate::bits::Sum;
use crate::dispatch;
use crate::error::{Error, Result};

/// Radially binned power spectra over the axes longer than 1.
///
/// With `F(k)` the discrete Fourier transform of an array of `N` values and `k` an integer vector (cycles over the whole
/// extent of each axis, from `-n/2` to `n/2`), the power of shell `s` is the sum of `|F(k) / N|^2` over all `k` with
/// `|k|` rounded to the nearest integer equal to `s`. So the powers of all shells add up to the mean square (Parseval);
/// shell 0 is the square of the mean; and a sine of `s` cycles and amplitude `a` has power `a^2 / 2` in shell `s`.
/// Special points take the mean of the others in the original and no error, so the powers are those of the array so
/// filled. Axes are taken as periodic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spectrum {
    /// How many wave vectors each shell holds. Entry `s` of all lists belongs to wavenumber `s`.
    pub modes: Vec<u64>,
    /// Power of the original.
    #[serde(serialize_with = "number::many")]
    pub original: Vec<f64>,
    /// Power of the decoded array.
    #[serde(serialize_with = "number::many")]
    pub decoded: Vec<f64>,
    /// Power of the error.
    #[serde(serialize_with = "number::many")]
    pub error: Vec<f64>,
    /// Power of the error over power of the original; 0 where the error has none, infinite where only the original has
    /// none.
    #[serde(serialize_with = "number::many")]
    pub ratio: Vec<f64>,
}

impl Spectrum {
    /// The most values for which [`Spectrum::new`] computes a spectrum: 2^27, which takes 2 GiB.
    pub const MAX_VALUES: usize = 1 << 27;

    /// The spectra of two arrays, held in memory at 16 bytes per value; `comparison` is the first pass over them.
    /// Errors: `LimitExceeded` above [`Spectrum::MAX_VALUES`] values or when memory cannot be had; `InvalidArgument`
    /// when a counted value was decoded to NaN or infinity, or unless type and shape agree; whatever reading returns.
    pub fn new(original: &dyn Source, decoded: &dyn Source, comparison: &Comparison) -> Result<Spectrum> {
        Spectrum::within(original, decoded, comparison, Spectrum::MAX_VALUES)
    }

    /// As [`Spectrum::new`] with a limit of `max_values` values.
    pub fn within(
        original: &dyn Source,
        decoded: &dyn Source,
        comparison: &Comparison,
        max_values: usize,
    ) -> Result<Spectrum> {
        pairs::check(original, decoded, None)?;
        let shape = original.shape();
        if shape.len() > max_values {
            return Err(Error::limit(format!("expected at most {max_values} values for a spectrum, found {shape}")));
        }
        if comparison.non_finite > 0 {
            let n = comparison.non_finite;
            return Err(Error::invalid(format!("expected finite decoded values, found {n} that are not")));
        }
        let (mut field, [mean, bias]) = load(original, decoded, comparison)?;
        forward(&mut field, &shape);
        let units = [comparison.range, comparison.largest_error];
        Ok(gather(&field, &shape, units, mean, bias))
    }
}

/// The original as real part and the error as imaginary part, each in units of its largest extent and free of its
/// mean, so that one transform serves both without one drowning the other; and the two means.
fn load(original: &dyn Source, decoded: &dyn Source, c: &Comparison) -> Result<(Vec<Complex<f64>>, [Wide; 2])> {
    let n = original.shape().len();
    let mut field: Vec<Complex<f64>> = Vec::new();
    field
        .try_reserve_exact(n)
        .map_err(|_| Error::limit(format!("expected memory for a spectrum of {n} values, found too little")))?;
    let (in_range, in_error) = (Unit::new(c.range), Unit::new(c.largest_error));
    let mut pivot = None;
    let mut sums = [Sum::default(); 2];
    let grid = pairs::slabs(&original.shape())?;
    for i in 0..grid.len() {
        let region: Region = grid.region(i);
        let (x, d) = pairs::read(original, decoded, &region)?;
        dispatch!(Buffer, &x, xs => {
            for (&x, &d) in xs.iter().zip(Element::of(d.as_slice()).unwrap_or_default()) {
                if counts(x, c.fill) {
                    let pivot = pivot_value(*pivot.get_or_insert(x.to_bits64()), x);
                    let v = Complex::new(in_range.difference(x, pivot), in_error.difference(d, x));
                    sums[0].add(v.re);
                    sums[1].add(v.im);
                    field.push(v);
                } else {
                    field.push(Complex::new(f64::NAN, 0.0));
                }
            }
        });
    }
    let counted = (c.n as f64).max(1.0);
    let mean = sums[0].value() / counted;
    let bias = sums[1].value() / n.max(1) as f64;
    for v in &mut field {
        // Filled with the mean, a special point adds nothing to the original; without error, it dilutes the bias.
        v.re = if v.re.is_nan() { 0.0 } else { v.re - mean };
        v.im -= bias;
    }
    let value_mean = if c.n == 0 { 0.0 } else { c.value_mean };
    Ok((field, [Wide::from(value_mean), c.largest_error.times(bias)]))
}

/// The pivot as a value of the type of `_like`.
fn pivot_value<T: Element>(bits: u64, _like: T) -> T {
    T::from_bits64(bits)
}

/// The n-dimensional discrete Fourier transform, in place.
fn forward(field: &mut [Complex<f64>], shape: &Shape) {
    if shape.is_empty() {
        return;
    }
    let mut planner = FftPlanner::new();
    let mut inner = 1;
    for &n in shape.iter().rev() {
        if n > 1 {
            let fft = planner.plan_fft_forward(n);
            let mut scratch = vec![Complex::default(); fft.get_inplace_scratch_len()];
            for part in field.chunks_exact_mut(n * inner) {
                along_first(part, n, inner, fft.as_ref(), &mut scratch);
            }
        }
        inner *= n;
    }
}

/// Transforms the columns of `n` rows of `inner` values.
fn along_first(part: &mut [Complex<f64>], n: usize, inner: usize, fft: &dyn Fft<f64>, scratch: &mut [Complex<f64>]) {
    if inner == 1 {
        fft.process_with_scratch(part, scratch);
        return;
    }
    // A few columns at a time: each row then gives a whole cache line.
    let width = inner.min(16);
    let mut columns = vec![Complex::default(); width * n];
    for first in (0..inner).step_by(width) {
        let w = width.min(inner - first);
        for (i, row) in part.chunks_exact(inner).enumerate() {
            for (j, v) in row[first..first + w].iter().enumerate() {
                columns[j * n + i] = *v;
            }
        }
        fft.process_with_scratch(&mut columns[..w * n], scratch);
        for (i, row) in part.chunks_exact_mut(inner).enumerate() {
            for (j, v) in row[first..first + w].iter_mut().enumerate() {
                *v = columns[j * n + i];
            }
        }
    }
}

/// Adds up the power of each shell. `units` are those of the real and the imaginary part; 0 for one that is 0 all over.
fn gather(field: &[Complex<f64>], shape: &Shape, units: [Wide; 2], mean: Wide, bias: Wide) -> Spectrum {
    let square = |k: usize, n: usize| {
        let k = k.min(n - k) as f64;
        k * k
    };
    let shell = |square: f64| (square.sqrt() + 0.5) as usize;
    let shells = if shape.is_empty() { 0 } else { 1 + shell(shape.iter().map(|&n| square(n / 2, n)).sum()) };
    let mut modes = vec![0u64; shells];
    let mut power = vec![[Sum::default(); 3]; shells];
    let (rank, strides) = (shape.rank(), shape.strides());
    let mut index = [0usize; MAX_RANK];
    for f in field {
        let (mut opposite, mut length) = (0, 0.0);
        for k in 0..rank {
            opposite += if index[k] == 0 { 0 } else { shape[k] - index[k] } * strides[k];
            length += square(index[k], shape[k]);
        }
        // The transform of a real array is even up to conjugation: this takes the two apart.
        let g = field[opposite].conj();
        let x = (f + g) * 0.5;
        let e = (f - g) * Complex::new(0.0, -0.5);
        let s = shell(length);
        modes[s] += 1;
        for (sum, p) in power[s].iter_mut().zip([x.norm_sqr(), e.norm_sqr(), x.re * e.re + x.im * e.im]) {
            sum.add(p);
        }
        for k in (0..rank).rev() {
            index[k] += 1;
            if index[k] < shape[k] {
                break;
            }
            index[k] = 0;
        }
    }
    let n = field.len() as f64;
    let mut out = Spectrum { modes, original: vec![], decoded: vec![], error: vec![], ratio: vec![] };
    for (s, p) in power.iter().enumerate() {
        let scaled = |p: Sum, a: Wide, b: Wide| a.mul(b).times(p.value() / n / n);
        let (mut x, mut e) = (scaled(p[0], units[0], units[0]), scaled(p[1], units[1], units[1]));
        let mut d = x.add(scaled(p[2], units[0], units[1]).times(2.0)).add(e);
        if s == 0 {
            (x, e) = (mean.mul(mean), bias.mul(bias));
            d = mean.add(bias).mul(mean.add(bias));
        }
        out.original.push(x.to_f64());
        out.decoded.push(d.to_f64().max(0.0));
        out.error.push(e.to_f64());
        out.ratio.push(e.ratio(x));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;

    const TAU: f64 = std::f64::consts::TAU;

    fn spectrum(x: &Array, d: &Array, fill: Option<u64>) -> Spectrum {
        Spectrum::new(x, d, &Comparison::new(x, d, fill).unwrap()).unwrap()
    }

    fn field(dims: &[usize], f: impl Fn(&[f64]) -> f64) -> Array {
        let shape = Shape::new(dims).unwrap();
        let at = |i: usize| {
            let p: Vec<f64> = dims.iter().zip(shape.strides()).map(|(&n, s)| (i / s % n) as f64 / n as f64).collect();
            f(&p)
        };
        Array::from_vec(dims, (0..shape.len()).map(at).collect::<Vec<f64>>()).unwrap()
    }

    fn only(power: &[f64], want: &[(usize, f64)]) {
        for (s, &p) in power.iter().enumerate() {
            let w = want.iter().find(|w| w.0 == s).map_or(0.0, |w| w.1);
            assert!((p - w).abs() < 1e-12 * (1.0 + w), "shell {s}: {p}, expected {w}");
        }
    }

    #[test]
    fn a_sine_lands_in_its_shell() {
        // 5 cycles along an axis of 32; 3 and 4 cycles along two axes: |k| = 5 too.
        let x = field(&[1, 32, 48], |p| 2.0 + 3.0 * libm::sin(TAU * 5.0 * p[1]));
        let d = field(&[1, 32, 48], |p| {
            2.5 + 3.0 * libm::sin(TAU * 5.0 * p[1]) + 1e-6 * libm::cos(TAU * (8.0 * p[1] + 15.0 * p[2]) + 0.3)
        });
        let s = spectrum(&x, &d, None);
        only(&s.original, &[(0, 4.0), (5, 4.5)]);
        only(&s.decoded, &[(0, 6.25), (5, 4.5), (17, 0.5e-12)]);
        assert!((s.error[17] - 0.5e-12).abs() < 1e-21 && (s.error[0] - 0.25).abs() < 1e-12, "{:?}", s.error);
        assert!((s.ratio[0] - 0.0625).abs() < 1e-12 && s.ratio[5] < 1e-20);
        assert_eq!(s.modes.iter().sum::<u64>(), 32 * 48);
        // |k| up to sqrt(16^2 + 24^2) = 28.8.
        assert_eq!((s.modes.len(), s.modes[0], s.modes[1]), (30, 1, 8));
        let x = field(&[9, 11, 10], |p| libm::cos(TAU * (2.0 * p[0] + 2.0 * p[1] - 1.0 * p[2])));
        only(&spectrum(&x, &x, None).original, &[(3, 0.5)]);
        let s = spectrum(&x, &x, None);
        assert!(s.error.iter().chain(&s.ratio).all(|&e| e == 0.0));
    }

    #[test]
    fn shells_add_up_to_the_mean_square() {
        let dims = [7, 1, 12, 5, 3];
        let x = field(&dims, |p| libm::exp(p[0] - 2.0 * p[2]) + p[3] * p[4] + 100.0);
        let d = field(&dims, |p| libm::exp(p[0] - 2.0 * p[2]) + p[3] * p[4] * 1.5 + 99.0 + p[0]);
        let s = spectrum(&x, &d, None);
        let (x, d) = (x.data().to_f64(), d.data().to_f64());
        let mean = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>() / x.len() as f64;
        for (power, want) in [
            (&s.original, mean(&|i| x[i] * x[i])),
            (&s.decoded, mean(&|i| d[i] * d[i])),
            (&s.error, mean(&|i| (d[i] - x[i]) * (d[i] - x[i]))),
        ] {
            let total: f64 = power.iter().sum();
            assert!((total / want - 1.0).abs() < 1e-12, "{total} {want}");
        }
    }

    #[test]
    fn special_points_take_the_mean_and_no_error() {
        let fill = 1e20;
        let hide = |a: &Array, v: f64| {
            let mut b = a.data().to_f64();
            (b[5], b[77]) = (fill, v);
            Array::from_vec(&[10, 10], b).unwrap()
        };
        let x = field(&[10, 10], |p| libm::sin(TAU * p[0]) + p[1]);
        let d = field(&[10, 10], |p| libm::sin(TAU * p[0]) + p[1] + 0.1);
        let s = spectrum(&hide(&x, f64::NAN), &hide(&d, 3.0), Some(fill.to_bits()));
        let kept: Vec<f64> =
            x.data().to_f64().into_iter().enumerate().filter(|(i, _)| ![5, 77].contains(i)).map(|(_, v)| v).collect();
        let m = kept.iter().sum::<f64>() / 98.0;
        let square = kept.iter().map(|v| v * v).sum::<f64>() + 2.0 * m * m;
        assert!((s.original.iter().sum::<f64>() - square / 100.0).abs() < 1e-12);
        assert!((s.error.iter().sum::<f64>() - 0.98 * 0.01).abs() < 1e-12);
        assert!((s.error[0] - 0.098 * 0.098).abs() < 1e-12);
        let none = Array::from_vec(&[4], vec![f32::NAN; 4]).unwrap();
        assert_eq!(spectrum(&none, &none, None).original, [0.0, 0.0, 0.0]);
    }

    #[test]
    fn unusual_shapes_and_numbers() {
        let scalar = Array::from_vec(&[], vec![3i8]).unwrap();
        assert_eq!(spectrum(&scalar, &scalar, None).original, [9.0]);
        let empty = Array::from_vec::<f64>(&[3, 0], vec![]).unwrap();
        assert!(spectrum(&empty, &empty, None).modes.is_empty());
        // Huge values: relative powers survive where squares overflow.
        let big = |s: f64| field(&[16], |p| s * (libm::sin(TAU * 2.0 * p[0]) + 1e-3 * libm::sin(TAU * 3.0 * p[0])));
        let d = field(&[16], |p| 1e300 * 1.001 * libm::sin(TAU * 2.0 * p[0]));
        let s = spectrum(&big(1e300), &d, None);
        assert!((s.ratio[2] - 1e-6).abs() < 1e-12 && (s.ratio[3] - 1.0).abs() < 1e-9, "{:?}", s.ratio);
        // 64-bit integers far from zero.
        let far = |k: f64| {
            let v = |i: i32| i64::MAX - 10_000 + (1000.0 * libm::sin(TAU * 2.0 * f64::from(i) / 16.0) * k) as i64;
            Array::from_vec(&[16], (0..16).map(v).collect()).unwrap()
        };
        let s = spectrum(&far(1.0), &far(1.1), None);
        assert!((s.original[2] / 5e5 - 1.0).abs() < 2e-3 && (s.error[2] / 5e3 - 1.0).abs() < 2e-2, "{s:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = field(&[8], |p| p[0]);
        let c = Comparison::new(&x, &x, None).unwrap();
        let e = Spectrum::within(&x, &x, &c, 7).unwrap_err();
        assert_eq!(e.kind(), crate::error::ErrorKind::LimitExceeded);
        let lost = Array::from_vec(&[8], vec![f64::NAN; 8]).unwrap();
        let c = Comparison::new(&x, &lost, None).unwrap();
        assert!(Spectrum::new(&x, &lost, &c).is_err());
    }
}
