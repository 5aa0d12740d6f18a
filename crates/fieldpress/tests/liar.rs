//! A codec that lies about its errors is caught, and one that is honest and useless does no harm.
#![allow(clippy::unwrap_used, clippy::panic)]

mod battery;

use battery::{bounds, data, judge, Kind, Random, KINDS, SHAPES};
use fieldpress::array::{Array, Buffer, Element, Slice, SliceMut};
use fieldpress::bound::Term;
use fieldpress::codec::{
    decode_block, encode_block, Block, BlockCodec, BlockReport, Candidate, Claim, Codec, Site, Spec, Task,
};
use fieldpress::container::Plan;
use fieldpress::{dispatch, Bound, Chain, DType, Result, Shape};
use serde_json::{json, Value};

/// Knows the array beforehand, so that it needs no bytes and wins against every other encoding.
#[derive(Clone, Debug)]
struct Faulty {
    known: Array,
    /// What it decodes: this multiple of the value, and then this much more.
    factor: f64,
    off: f64,
    claim: Claim,
}

impl Codec for Faulty {
    fn id(&self) -> &'static str {
        "faulty"
    }
    fn config(&self) -> Value {
        json!({})
    }
    fn bind(&self, _shared: &[u8], _spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(self.clone()))
    }
}

impl BlockCodec for Faulty {
    fn encode(&self, _x: &Block<'_>, _hint: &Term, _out: &mut Vec<u8>) -> Result<Claim> {
        Ok(self.claim.clone())
    }
    fn decode(&self, _bytes: &[u8], _site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        fn wrong<T: Element>(out: &mut [T], known: Slice<'_>, f: &Faulty) {
            for (o, x) in out.iter_mut().zip(T::of(known).unwrap()) {
                *o = T::from_f64(if f.factor == 0.0 { f.off } else { x.to_f64() * f.factor + f.off });
            }
        }
        dispatch!(SliceMut, out, o => wrong(o, self.known.data(), self));
        Ok(())
    }
}

/// An array behind the bounded stage, how it was stored, and in how many bytes.
fn through(codec: Faulty, bound: &Bound, fill: Option<f64>, measure: bool) -> (Array, BlockReport, usize) {
    let x = codec.known.clone();
    let (dtype, shape) = (x.dtype(), x.shape());
    let plan = Plan::new(&x.view(), bound, fill, false).unwrap();
    let mut criterion = plan.criterion.clone();
    let mut hint = plan.hint;
    if let Some(limit) = criterion.square_sum {
        // The limit on the whole array is the writer's business; here each point gets its share.
        hint = Term { abs: (limit / plan.stats.count.max(1) as f64).sqrt() * (1.0 - 1e-9), rel: 0.0 };
        criterion.terms.push(hint);
    }
    let chain = Chain::of(Box::new(codec));
    let chains = [chain.bind(&[], &Spec { dtype, shape }).unwrap()];
    let origin = vec![0; shape.rank()];
    let fill = plan.stats.fill;
    let task = Task {
        criterion: &criterion,
        hint,
        fill,
        measure,
        origin: &origin,
        companions: &[],
        distributions: None,
        norm: None,
    };
    let mut payload = Vec::new();
    let candidates = [Candidate { index: 0, chain: &chains[0] }];
    let report = encode_block(x.data(), &shape, &candidates, &task, &mut payload).unwrap();
    let mut y = Buffer::zeros(dtype, shape.len()).unwrap();
    decode_block(&payload, &shape, &chains, &task, y.as_mut()).unwrap();
    (Array::new(shape, y).unwrap(), report, payload.len())
}

/// A thousand values between 0 and 1000.
fn noise(dtype: DType) -> Array {
    let mut r = Random(7);
    let values: Vec<f64> = (0..1000).map(|_| 1000.0 * r.unit()).collect();
    let buffer = match dtype {
        DType::F32 => Buffer::F32(values.iter().map(|&v| v as f32).collect()),
        DType::F64 => Buffer::F64(values),
        _ => Buffer::I32(values.iter().map(|&v| v as i32).collect()),
    };
    Array::new(Shape::new(&[1000]).unwrap(), buffer).unwrap()
}

#[test]
fn a_lie_is_caught() {
    for dtype in [DType::F32, DType::F64, DType::I32] {
        for (bound, tolerance) in [(Bound::Abs(2.0), 2.0), (Bound::Rel(0.01), 10.0)] {
            let liar = Faulty { known: noise(dtype), factor: 1.0, off: 3.0 * tolerance, claim: Claim::Bounded };
            let x = liar.known.clone();
            // Believed, the lie goes through; the judge does not believe it.
            let (y, report, _) = through(liar.clone(), &bound, None, false);
            assert!(!report.measured && report.corrected == 0);
            let verdict = judge(&x, &y, &bound, None);
            assert!(verdict.is_err(), "{dtype} {bound}: the judge believed it: {verdict:?}");
            // Measured, it is mended, and the report tells.
            let (y, report, _) = through(liar, &bound, None, true);
            assert_eq!((report.measured, report.corrected), (true, 1000), "{dtype} {bound}");
            judge(&x, &y, &bound, None).unwrap();
        }
    }
}

#[test]
fn an_honest_useless_codec_does_no_harm() {
    let mut checked = 0;
    for &dtype in &DType::ALL {
        for &kind in KINDS {
            for shape in SHAPES {
                let x = data(kind, dtype, shape);
                let useless = Faulty { known: x.clone(), factor: 0.0, off: 0.0, claim: Claim::Unchecked };
                let fill = (kind == Kind::Filled && dtype.is_float()).then_some(1e20);
                for bound in bounds() {
                    let (y, _, bytes) = through(useless.clone(), &bound, fill, false);
                    let bits =
                        fill.map(|f| if dtype == DType::F32 { u64::from((f as f32).to_bits()) } else { f.to_bits() });
                    let place = || format!("{dtype} {kind:?} {shape:?} {bound}");
                    checked += judge(&x, &y, &bound, bits).unwrap_or_else(|e| panic!("{}: {e}", place()));
                    let raw = x.data().len() * dtype.size();
                    // A constant block needs its value even where there is no point to give it to.
                    assert!(bytes <= raw.max(dtype.size()) + 16, "{}: {bytes} bytes for {raw}", place());
                }
            }
        }
    }
    assert!(checked > 100_000, "{checked}");
}
