//! `zfp`: streams of ZFP, block floating point, a transform of blocks of `4^d` values and embedded bit planes; other readers of ZFP open them.
//!
//! P. Lindstrom, "Fixed-rate compressed floating-point arrays", 2014, and the documentation of ZFP 1.0; see
//! [`crate::transform::zfp`]. The original's lossy modes are undefined for what is not finite and bound errors of floats alone, with a
//! margin of 2 to 8. Here the tolerance is chosen by trial on samples, and the bounded stage keeps the bound.
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! A stream as described under `transform/zfp`, of the type `i32 i64 f32 f64`; `u64` are the `i64` of the same bits. The axes are those
//! longer than 1, or one of 1. The first two are joined to one as long as there are more than 4, or one is longer than the
//! header can say. Where there are no values there are no bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{DType, Element, Mask, Shape, Slice, SliceMut};
use crate::bound::{within, Term};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::error::{Error, Result};
use crate::transform::zfp::{self, exponent, extent_bits, Header, Params, Scalar};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "zfp",
    doc: "ZFP's own streams: a block transform and embedded bit planes. Other readers open them.",
    params: &[
        ("rate", "bits per value, the same for every block (default: by the bound)"),
        ("precision", "bit planes of every block, 1 to 64 (default: by the bound)"),
        ("accuracy", "ZFP's tolerance, which counts as a power of two (default: by the bound)"),
        ("reversible", "true to lose nothing (default: where the bound is exact)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Zfp>("zfp", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration: at most one of ZFP's modes; none to choose one by the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Zfp {
    /// Bits per value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Bit planes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<u32>,
    /// The tolerance, in the units of the data; floats alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Whether to lose nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reversible: bool,
}

impl Codec for Zfp {
    fn id(&self) -> &'static str {
        "zfp"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        let extents = extents(&spec.shape);
        let params = self.params(spec.dtype.kernel(), extents.len())?;
        Ok(Box::new(KernelBlocks(BoundZfp { params, extents })))
    }
}

impl Zfp {
    /// The limits that were asked for, if any were. Errors: `InvalidArgument`.
    fn params(&self, dtype: DType, rank: usize) -> Result<Option<Params>> {
        let one = |params| Ok(Some(params));
        match *self {
            Zfp { rate: None, precision: None, accuracy: None, reversible: false } => Ok(None),
            Zfp { rate: Some(rate), precision: None, accuracy: None, reversible: false } if rate > 0.0 => {
                Params::rate(rate, dtype, rank).map(Some)
            }
            Zfp { rate: None, precision: Some(planes), accuracy: None, reversible: false } => {
                Params::precision(planes).map(Some)
            }
            Zfp { rate: None, precision: None, accuracy: Some(t), reversible: false } if t > 0.0 && t.is_finite() => {
                if !dtype.is_float() {
                    return Err(Error::invalid("expected floats for an accuracy, found integers"));
                }
                one(Params::accuracy(t))
            }
            Zfp { rate: None, precision: None, accuracy: None, reversible: true } => one(Params::REVERSIBLE),
            other => Err(Error::invalid(format!(
                "expected one of a positive rate, precision, a positive accuracy and reversible, found {other:?}"
            ))),
        }
    }
}

/// The axes of the stream for blocks of `shape`.
fn extents(shape: &Shape) -> Vec<usize> {
    let mut axes: Vec<usize> = shape.iter().copied().filter(|&n| n != 1).collect();
    let too_long = |a: &[usize]| a.iter().any(|&n| n as u64 > 1 << extent_bits(a.len()));
    while axes.len() > 4 || axes.len() > 1 && too_long(&axes) {
        let first = axes.remove(0);
        axes[0] *= first;
    }
    if axes.is_empty() {
        axes.push(1);
    }
    axes
}

struct BoundZfp {
    /// What was asked for.
    params: Option<Params>,
    extents: Vec<usize>,
}

/// Values of the samples on which tolerances are tried.
const SAMPLE: usize = 1 << 13;
/// One value in so many may be left to the correction. More of them make the payload up to a tenth smaller, decoding twice as slow,
/// and the stream alone of less use.
const RARE: usize = 64;

impl Kernel for BoundZfp {
    fn encode<T: Element>(
        &self,
        x: &[T],
        _mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        match T::wrap(x) {
            Slice::F32(x) => self.encode_as(x, tolerance, hint, out),
            Slice::F64(x) => self.encode_as(x, tolerance, hint, out),
            Slice::I32(x) => self.encode_as(x, tolerance, hint, out),
            Slice::I64(x) => self.encode_as(x, tolerance, hint, out),
            Slice::U64(x) => {
                let signed: Vec<i64> = x.iter().map(|&v| v as i64).collect();
                self.encode_as(&signed, tolerance, hint, out)
            }
            other => Err(Error::invalid(format!("expected a kernel type, found {}", other.dtype()))),
        }
    }
    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        match T::wrap_mut(out) {
            SliceMut::F32(out) => zfp::decode(bytes, &self.extents, out),
            SliceMut::F64(out) => zfp::decode(bytes, &self.extents, out),
            SliceMut::I32(out) => zfp::decode(bytes, &self.extents, out),
            SliceMut::I64(out) => zfp::decode(bytes, &self.extents, out),
            SliceMut::U64(out) => {
                let mut signed = vec![0i64; out.len()];
                zfp::decode(bytes, &self.extents, &mut signed)?;
                out.iter_mut().zip(signed).for_each(|(o, v)| *o = v as u64);
                Ok(())
            }
            other => Err(Error::invalid(format!("expected a kernel type, found {}", other.dtype()))),
        }
    }
}

impl BoundZfp {
    fn encode_as<T: Scalar>(&self, x: &[T], tolerance: f64, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        if x.is_empty() {
            return Ok(Claim::Bounded);
        }
        // The lossy transform of integers needs two bits above them.
        let fits = x.iter().all(|v| v.is_small());
        let params = match self.params {
            None if !fits || hint.is_exact() => Params::REVERSIBLE,
            None => self.choose(x, tolerance, hint)?,
            Some(params) if fits || params.is_reversible() => params,
            Some(_) => {
                return Err(Error::invalid(format!("expected integers below 2^{} for a lossy mode", T::BITS - 2)));
            }
        };
        zfp::encode(x, &Header::new(T::DTYPE, &self.extents, params)?, out)?;
        Ok(if params.is_reversible() { Claim::Bounded } else { Claim::Unchecked })
    }

    /// The largest tolerance for which all samples are within the hint, or nearly all, so that it pays to correct the rest.
    fn choose<T: Scalar>(&self, x: &[T], tolerance: f64, hint: &Term) -> Result<Params> {
        let rank = self.extents.len();
        let sample = zfp::sample(x, &self.extents, SAMPLE >> (2 * rank))?;
        let mut extents = vec![4; rank];
        extents[0] = sample.len() >> (2 * (rank - 1));
        let mut decoded = vec![T::default(); sample.len()];
        let mut bytes = Vec::new();
        // Bits of the sample with its corrections, and how many there are.
        let mut cost = |params: Params| -> Result<(f64, usize)> {
            bytes.clear();
            zfp::encode(&sample, &Header::new(T::DTYPE, &extents, params)?, &mut bytes)?;
            zfp::decode(&bytes, &extents, &mut decoded)?;
            let outside = sample.iter().zip(&decoded).filter(|(&x, &y)| !within(x, y, hint)).count();
            let rarity = f64::from((sample.len() / outside.max(1)).ilog2());
            Ok((8.0 * bytes.len() as f64 + outside as f64 * (rarity + 3.0), outside))
        };
        // The tolerance itself leaves errors of half of it and less; twice as much is as good as always within.
        let first = exponent(tolerance) + 1;
        let mut best = limits::<T>(first, rank);
        let (mut least, corrected) = cost(best)?;
        if corrected > 0 {
            for params in [limits::<T>(first - 1, rank), Params::REVERSIBLE] {
                let (bits, _) = cost(params)?;
                if bits < least {
                    (best, least) = (params, bits);
                }
            }
        }
        for e in first + 1..first + 6 {
            let params = limits::<T>(e, rank);
            let (bits, corrected) = cost(params)?;
            if bits > least || corrected > sample.len() / RARE {
                break;
            }
            (best, least) = (params, bits);
        }
        Ok(best)
    }
}

/// Limits for a tolerance of `2^e`: ZFP's accuracy for floats; for integers the planes it would leave of them.
fn limits<T: Scalar>(e: i32, rank: usize) -> Params {
    if T::DTYPE.is_float() {
        return Params { min_exponent: e.clamp(-1074, 1100), ..Params::ALL };
    }
    let dropped = (e - 2 * rank as i32).clamp(0, T::BITS as i32 - 1) as u32;
    Params { max_precision: T::BITS - dropped, ..Params::ALL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Buffer;
    use crate::codec::{Block, Site};
    use crate::error::ErrorKind;

    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| 100.0 * libm::sinf(i as f32 * 0.01) + libm::cosf((i % 40) as f32 * 0.2)).collect()
    }

    /// Encodes and decodes; the bytes, the largest error, and what was claimed.
    fn run(config: Zfp, x: &Buffer, shape: &[usize], hint: Term) -> Result<(Vec<u8>, f64, Claim)> {
        let shape = Shape::new(shape).unwrap();
        let values = x.as_slice();
        let bound = config.bind(&[], &Spec { dtype: x.dtype(), shape })?;
        let mut bytes = Vec::new();
        let claim = bound.encode(&Block { shape, values, site: Site::default() }, &hint, &mut bytes)?;
        let mut y = Buffer::zeros(x.dtype(), x.len()).unwrap();
        bound.decode(&bytes, &Site::default(), y.as_mut())?;
        let errors = crate::dispatch!(Slice, values, v => {
            let y = Element::of(y.as_slice()).unwrap();
            v.iter().zip(y).map(|(&a, &b)| crate::codec::difference(a, b)).fold(0.0, f64::max)
        });
        Ok((bytes, errors, claim))
    }

    const TENTH: Term = Term { abs: 0.1, rel: 0.0 };

    #[test]
    fn the_largest_tolerance_that_keeps_the_bound_is_found() {
        let x = wave(20 * 30 * 40);
        let shape = [20, 30, 40];
        let (bytes, ..) = run(Zfp::default(), &Buffer::F32(x.clone()), &shape, TENTH).unwrap();
        let header = Header::read(&bytes).unwrap();
        let of = |e| {
            let accuracy = Zfp { accuracy: Some(e), ..Zfp::default() };
            run(accuracy, &Buffer::F32(x.clone()), &shape, TENTH).unwrap()
        };
        let (plain, error, claim) = of(0.1);
        assert!(error < 0.05 && claim == Claim::Unchecked, "{error}");
        assert!(bytes.len() * 5 < plain.len() * 4, "{} {}", bytes.len(), plain.len());
        let outside = |bytes: &[u8]| {
            let mut y = vec![0f32; x.len()];
            zfp::decode(bytes, &shape, &mut y).unwrap();
            x.iter().zip(&y).filter(|(&x, &y)| !within(x, y, &TENTH)).count()
        };
        let twice = Params { min_exponent: header.params.min_exponent + 1, ..Params::ALL };
        let mut more = Vec::new();
        zfp::encode(&x, &Header::new(DType::F32, &shape, twice).unwrap(), &mut more).unwrap();
        let (kept, next) = (outside(&bytes), outside(&more));
        assert!(kept < x.len() / 40 && next > x.len() / 100, "{kept} {next}");
    }

    #[test]
    fn every_mode_of_the_original_can_be_asked_for() {
        let x = Buffer::F32(wave(4096));
        let mode = |json: &str| parse_config::<Zfp>("zfp", &serde_json::from_str(json).unwrap()).unwrap();
        let size = |json: &str| run(mode(json), &x, &[64, 64], TENTH).unwrap();
        assert_eq!(size(r#"{"rate": 8}"#).0.len(), 16 + 4096);
        assert!(size(r#"{"precision": 30}"#).1 < 1e-5 && size(r#"{"precision": 5}"#).1 > 0.1);
        assert!(size(r#"{"accuracy": 0.001}"#).1 < 1e-3);
        let (_, error, claim) = size(r#"{"reversible": true}"#);
        assert_eq!((error, claim), (0.0, Claim::Bounded));
        let refused = ["rate\": 0", "rate\": -1", "precision\": 0", "accuracy\": 0", "rate\": 4, \"precision\": 4"];
        for json in refused.map(|j| format!("{{\"{j}}}")) {
            let e = run(mode(&json), &x, &[64, 64], TENTH).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{json}");
        }
        let e = run(mode(r#"{"accuracy": 1}"#), &Buffer::I32(vec![5; 9]), &[9], TENTH).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn integers_of_all_sizes_come_back() {
        let bits = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let five = Term { abs: 5.0, rel: 0.0 };
        let wide = [
            Buffer::I32((0..70).map(|i| bits(i) as i32).collect()),
            Buffer::I64((0..70).map(|i| bits(i) as i64).collect()),
            Buffer::U64((0..70).map(bits).collect()),
        ];
        for x in wide {
            assert_eq!(run(Zfp::default(), &x, &[7, 10], five).unwrap().1, 0.0, "{}", x.dtype());
            let lossy = Zfp { precision: Some(12), ..Zfp::default() };
            assert_eq!(run(lossy, &x, &[7, 10], five).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        let steep = |i: usize| (i * i * 3 % 7919) as u64;
        let small = [
            Buffer::U8((0..7000).map(|i| (steep(i) / 40) as u8).collect()),
            Buffer::I32((0..7000).map(|i| steep(i) as i32 - 4000).collect()),
            Buffer::U64((0..7000).map(|i| steep(i) << 20).collect()),
        ];
        for (x, abs) in small.into_iter().zip([2.0, 60.0, 60.0 * 1048576.0]) {
            assert_eq!(run(Zfp::default(), &x, &[70, 100], Term::EXACT).unwrap().1, 0.0);
            let hint = Term { abs, rel: 0.0 };
            let lossy = run(Zfp::default(), &x, &[70, 100], hint).unwrap().0;
            let exact = run(Zfp::default(), &x, &[70, 100], Term::EXACT).unwrap().0;
            assert!(lossy.len() < exact.len(), "{} {}", lossy.len(), exact.len());
        }
    }

    #[test]
    fn axes_are_those_the_header_can_say() {
        let of = |dims: &[usize]| extents(&Shape::new(dims).unwrap());
        assert_eq!(of(&[]), [1]);
        assert_eq!(of(&[1, 1]), [1]);
        assert_eq!(of(&[1, 5, 1, 7]), [5, 7]);
        assert_eq!(of(&[2, 3, 4, 5, 6, 7]), [24, 5, 6, 7]);
        assert_eq!(of(&[4096, 2, 2, 2]), [4096, 2, 2, 2]);
        assert_eq!(of(&[4097, 2, 2, 2]), [8194, 2, 2]);
        assert_eq!(of(&[2, 2, 65_537]), [4, 65_537]);
        assert_eq!(of(&[2, 1 << 25]), [1 << 26]);
        for dims in [&[][..], &[3, 1, 2], &[2, 3, 2, 3, 2], &[0, 4]] {
            let x = Buffer::F32(wave(dims.iter().product()));
            assert!(run(Zfp::default(), &x, dims, TENTH).unwrap().1 <= 0.2);
        }
    }
}
