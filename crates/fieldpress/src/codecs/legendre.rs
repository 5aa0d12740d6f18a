//! `legendre`: fields on spectral elements as coefficients of Legendre polynomials, element by element.
//!
//! Sources: E. Otero, R. Vinuesa, O. Marin, E. Laure, P. Schlatter, "Lossy data compression effects on wall-bounded turbulence: bounds on data reduction",
//! 2018 (truncation, down-sampling); the basis and the coding are those of [`crate::sem`].
//!
//! # Format
//! That of all codecs of elements ([`crate::codec::ElementBlocks`]). What is not kept has the code 0; a decoder knows nothing of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Codec, ElementBlocks, Selection, Spec};
use crate::error::{Error, Result};
use crate::sem::{extents, Coding};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "legendre",
    doc: "Spectral elements [count, n, n, n] or [count, n, n]: Legendre coefficients, all or those that matter.",
    params: &[
        ("mode", "quantize (default): all coefficients, with a step from the bound; truncate: the largest; downsample: the lowest"),
        ("keep", "how many: of an element with truncate, along each axis with downsample"),
        ("l2", "of truncate: relative L2 error of what is kept over all elements"),
        ("psnr", "of truncate: peak signal-to-noise ratio of what is kept, in decibels"),
        ("bits", "bits of the largest coefficient, with truncate and downsample, or with no bound (default 20)"),
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default classes)"),
        ("x, y, z", "the arrays of the coordinates, so that elements count by their volume"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Legendre>("legendre", v)?.checked()?))),
    idempotent: false,
    unbounded: true,
};

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything, as fine as the bound asks.
    #[default]
    Quantize,
    /// The largest coefficients.
    Truncate,
    /// The lowest degrees along each axis.
    Downsample,
}

/// The configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Legendre {
    /// What is kept.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// How many coefficients: of an element, or along each axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// The relative L2 error of what is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// The peak signal-to-noise ratio of what is kept, in decibels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Bits of the largest coefficient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// How codes become bits.
    pub coder: Coding,
    /// The array of the first coordinate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub x: String,
    /// The array of the second coordinate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub y: String,
    /// The array of the third coordinate; none in two dimensions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub z: String,
}

impl Default for Legendre {
    fn default() -> Self {
        Legendre {
            mode: Mode::Quantize,
            keep: None,
            l2: None,
            psnr: None,
            bits: None,
            coder: Coding::Classes,
            x: String::new(),
            y: String::new(),
            z: String::new(),
        }
    }
}

fn is_default(mode: &Mode) -> bool {
    *mode == Mode::default()
}

const BITS: u32 = 20;

impl Legendre {
    fn checked(self) -> Result<Self> {
        let given = [self.keep.is_some(), self.l2.is_some(), self.psnr.is_some()];
        let ok = match self.mode {
            Mode::Quantize => given == [false; 3],
            Mode::Truncate => given.iter().filter(|g| **g).count() == 1,
            Mode::Downsample => given == [true, false, false],
        };
        if !ok {
            return Err(Error::invalid(
                "expected one of keep, l2 and psnr with truncate, keep with downsample, none with quantize",
            ));
        }
        let positive = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        if self.keep == Some(0)
            || !positive(self.l2)
            || !positive(self.psnr)
            || self.bits.is_some_and(|b| !(2..=30).contains(&b))
        {
            return Err(Error::invalid("expected positive numbers, and bits from 2 to 30"));
        }
        Ok(self)
    }
}

impl Codec for Legendre {
    fn id(&self) -> &'static str {
        "legendre"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn companions(&self) -> Vec<String> {
        [&self.x, &self.y, &self.z].into_iter().filter(|n| !n.is_empty()).cloned().collect()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        // Other arrays are refused when they are encoded, so that another codec may do.
        let (_, points, dimensions) = extents(&spec.shape).unwrap_or((0, 1, 2));
        let selection = Selected { mode: self.clone(), points, dimensions };
        let any = self.mode != Mode::Quantize || self.bits.is_some();
        Ok(Box::new(ElementBlocks {
            spec: *spec,
            coordinates: self.companions(),
            continuous: false,
            coding: self.coder,
            selection: any.then_some(selection),
        }))
    }
}

struct Selected {
    mode: Legendre,
    points: usize,
    dimensions: usize,
}

impl Selection for Selected {
    fn select(&self, coefficients: &mut [f64], size: usize, volumes: &[f64], range: f64) {
        let (n, d) = (self.points, self.dimensions);
        match self.mode.mode {
            Mode::Quantize => {}
            Mode::Downsample => {
                let keep = self.mode.keep.unwrap_or(n);
                let low = |q: usize| (0..d).all(|a| q / n.pow(a as u32) % n < keep);
                for element in coefficients.chunks_exact_mut(size) {
                    element.iter_mut().enumerate().filter(|(q, _)| !low(*q)).for_each(|(_, c)| *c = 0.0);
                }
            }
            Mode::Truncate => {
                if let Some(keep) = self.mode.keep {
                    coefficients.chunks_exact_mut(size).for_each(|e| keep_largest(e, keep));
                    return;
                }
                // Squares in space: those of coefficients times the volume.
                let weight = |i: usize| volumes.get(i / size).copied().unwrap_or(1.0);
                let squares: Vec<f64> = coefficients.iter().enumerate().map(|(i, c)| c * c * weight(i)).collect();
                let limit = match (self.mode.l2, self.mode.psnr) {
                    (Some(l2), _) => l2 * l2 * squares.iter().fold(0.0, |s, v| s + v),
                    (_, psnr) => {
                        let rms = range * libm::exp10(-psnr.unwrap_or(0.0) / 20.0);
                        rms * rms * volumes.iter().fold(0.0, |s, v| s + v) * (1u32 << d) as f64
                    }
                };
                let mut order: Vec<u32> = (0..coefficients.len() as u32).collect();
                order.sort_unstable_by(|a, b| squares[*a as usize].total_cmp(&squares[*b as usize]).then(a.cmp(b)));
                let mut sum = 0.0;
                for i in order {
                    sum += squares[i as usize];
                    if sum > limit || sum.is_nan() {
                        break;
                    }
                    coefficients[i as usize] = 0.0;
                }
            }
        }
    }
    fn fineness(&self) -> Option<f64> {
        Some(1.0 / (1u64 << self.mode.bits.unwrap_or(BITS)) as f64)
    }
}

/// Sets all but the `keep` largest to 0; of equal ones the first are kept.
fn keep_largest(c: &mut [f64], keep: usize) {
    let mut order: Vec<usize> = (0..c.len()).collect();
    order.sort_by(|a, b| c[*b].abs().total_cmp(&c[*a].abs()));
    order.iter().skip(keep).for_each(|i| c[*i] = 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Buffer, Shape};
    use crate::bound::Term;
    use crate::codec::{Block, Claim, Site};
    use crate::error::ErrorKind;
    use crate::sem::Geometry;

    fn codec(text: &str) -> Result<Legendre> {
        parse_config::<Legendre>("legendre", &serde_json::from_str(text).unwrap())?.checked()
    }
    /// Waves on `e` elements of a row, which are continuous.
    fn waves(e: usize, n: usize, d: usize) -> Vec<f64> {
        let gll = crate::sem::Gll::new(n).unwrap();
        let at = |i: usize, a: usize| gll.nodes()[i / n.pow(a as u32) % n];
        (0..e * n.pow(d as u32))
            .map(|i| {
                let x = (i / n.pow(d as u32)) as f64 + 0.5 * at(i, 0);
                libm::sin(1.3 * x) * libm::cos(0.7 * at(i, 1) + 0.4)
                    + if d == 3 { 0.3 * libm::sin(2.0 * at(i, 2) + x) } else { 0.0 }
            })
            .collect()
    }
    fn round_trip(codec: &Legendre, x: &[f64], shape: &[usize], hint: Term, mean_square: bool) -> (usize, Vec<f64>) {
        let shape = Shape::new(shape).unwrap();
        let spec = Spec { dtype: crate::DType::F64, shape };
        let bound = codec.bind(&[], &spec).unwrap();
        let buffer = Buffer::F64(x.to_vec());
        let site = Site { mean_square, ..Site::default() };
        let mut bytes = Vec::new();
        let claim = bound.encode(&Block { shape, values: buffer.as_slice(), site }, &hint, &mut bytes).unwrap();
        let mut out = Buffer::zeros(spec.dtype, x.len()).unwrap();
        bound.decode(&bytes, &Site::default(), out.as_mut()).unwrap();
        assert_eq!(claim, Claim::Decoded(out.clone()));
        for cut in 0..bytes.len() {
            assert!(bound.decode(&bytes[..cut], &Site::default(), out.as_mut()).is_err(), "{cut}");
        }
        let Buffer::F64(y) = out else { panic!() };
        (bytes.len(), y)
    }

    #[test]
    fn errors_follow_the_tolerance_in_both_norms() {
        for (shape, d) in [
            ([12, 6, 6, 6].to_vec(), 3),
            ([40, 8, 8].to_vec(), 2),
            ([7, 2, 2, 2].to_vec(), 3),
            ([2, 13, 13].to_vec(), 2),
        ] {
            let x = waves(shape[0], shape[1], d);
            let g = Geometry::reference(shape[0], shape[1], d, false).unwrap();
            for tolerance in [1e-2, 1e-5] {
                let (bytes, y) = round_trip(&codec("{}").unwrap(), &x, &shape, Term { abs: tolerance, rel: 0.0 }, true);
                let squares: f64 = x.iter().zip(&y).zip(g.mass()).map(|((x, y), m)| m * (x - y) * (x - y)).sum();
                let rms = (squares / g.mass().iter().sum::<f64>()).sqrt();
                assert!(rms < tolerance && rms > 0.02 * tolerance, "{shape:?} {tolerance}: {rms}");
                assert!(bytes < 8 * x.len() / 3 || x.len() < 400, "{shape:?} {tolerance}: {bytes}");
                let (_, y) = round_trip(&codec("{}").unwrap(), &x, &shape, Term { abs: tolerance, rel: 0.0 }, false);
                let worst = x.iter().zip(&y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
                assert!(worst < 20.0 * tolerance, "{shape:?} {tolerance}: {worst}");
            }
        }
    }

    #[test]
    fn what_truncation_loses_is_what_its_coefficients_say() {
        let shape = [9, 7, 7, 7];
        let x = waves(9, 7, 3);
        let g = Geometry::reference(9, 7, 3, false).unwrap();
        let norm = |v: &dyn Fn(usize) -> f64| (0..x.len()).map(|i| g.mass()[i] * v(i) * v(i)).sum::<f64>();
        let all = norm(&|i| x[i]);
        for l2 in [1e-1, 1e-2, 1e-4] {
            let c = codec(&format!(r#"{{"mode":"truncate","l2":{l2},"bits":30}}"#)).unwrap();
            let (_, y) = round_trip(&c, &x, &shape, Term::FREE, false);
            let error = (norm(&|i| x[i] - y[i]) / all).sqrt();
            assert!(error <= l2 * (1.0 + 1e-3) && error > 0.5 * l2, "{l2}: {error}");
            // In the spectrum, before anything is rounded.
            let mut kept = Vec::new();
            crate::sem::analyse(&x, 7, 3, &mut kept).unwrap();
            let before = kept.clone();
            let selected = Selected { mode: c.clone(), points: 7, dimensions: 3 };
            selected.select(&mut kept, 343, &[1.0; 9], 2.0);
            let lost: f64 = before.iter().zip(&kept).map(|(b, k)| (b - k) * (b - k)).sum();
            let t = crate::sem::Tensor::new(&crate::sem::Gll::new(7).unwrap().transform());
            let mut scratch = vec![0.0; 343];
            for e in kept.chunks_exact_mut(343) {
                (0..3).for_each(|a| t.apply(a, e, &mut scratch));
            }
            let nodal = norm(&|i| x[i] - kept[i]);
            assert!((lost - nodal).abs() <= 1e-12 * all, "{l2}: {lost} {nodal}");
        }
        let c = codec(r#"{"mode":"truncate","psnr":60}"#).unwrap();
        let (_, y) = round_trip(&c, &x, &shape, Term::FREE, false);
        let range = x.iter().fold(f64::MIN, |m, v| m.max(*v)) - x.iter().fold(f64::MAX, |m, v| m.min(*v));
        let rms = (norm(&|i| x[i] - y[i]) / g.mass().iter().sum::<f64>()).sqrt();
        let psnr = 20.0 * libm::log10(range / rms);
        assert!((59.9..66.0).contains(&psnr), "{psnr}");
    }

    #[test]
    fn so_many_coefficients_are_kept() {
        let (shape, x) = ([5, 6, 6], waves(5, 6, 2));
        let count = |text: &str| {
            let (_, y) = round_trip(&codec(text).unwrap(), &x, &shape, Term::FREE, false);
            let mut c = Vec::new();
            crate::sem::analyse(&y, 6, 2, &mut c).unwrap();
            c.chunks_exact(36).map(|e| e.iter().filter(|c| c.abs() > 1e-9).count()).collect::<Vec<_>>()
        };
        assert!(count(r#"{"mode":"truncate","keep":5,"bits":30}"#).iter().all(|n| *n == 5));
        let low = count(r#"{"mode":"downsample","keep":3,"bits":30}"#);
        assert!(low.iter().all(|n| *n <= 9) && low.contains(&9), "{low:?}");
        // Polynomials of the degrees that are kept stay as they are.
        let flat: Vec<f64> = (0..180).map(|i| 2.0 + crate::sem::Gll::new(6).unwrap().nodes()[i % 6]).collect();
        let (_, y) = round_trip(
            &codec(r#"{"mode":"downsample","keep":2,"bits":30}"#).unwrap(),
            &flat,
            &shape,
            Term::FREE,
            false,
        );
        assert!(flat.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-7));
    }

    #[test]
    fn without_a_bound_values_are_as_fine_as_the_bits_say() {
        let (shape, x) = ([6, 5, 5, 5], waves(6, 5, 3));
        for (text, least, most) in [("{}", 1e-9, 2e-5), (r#"{"bits":8}"#, 1e-4, 0.1)] {
            let (_, y) = round_trip(&codec(text).unwrap(), &x, &shape, Term::FREE, false);
            let worst = x.iter().zip(&y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!((least..most).contains(&worst), "{text}: {worst}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            r#"{"mode":"truncate"}"#,
            r#"{"mode":"truncate","keep":3,"l2":0.1}"#,
            r#"{"mode":"downsample"}"#,
            r#"{"keep":3}"#,
            r#"{"mode":"truncate","l2":-1}"#,
            r#"{"bits":40}"#,
            r#"{"mode":"other"}"#,
        ] {
            assert_eq!(codec(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        let spec = |dims: &[usize]| Spec { dtype: crate::DType::F32, shape: Shape::new(dims).unwrap() };
        for bad in [&[100][..], &[4, 8, 7], &[4, 8, 8, 7], &[2, 40, 40]] {
            let bound = codec("{}").unwrap().bind(&[], &spec(bad)).unwrap();
            let values = Buffer::F32(vec![1.0; spec(bad).shape.len()]);
            let block = Block { shape: spec(bad).shape, values: values.as_slice(), site: Site::default() };
            let e = bound.encode(&block, &Term { abs: 0.1, rel: 0.0 }, &mut Vec::new()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
    }
}
