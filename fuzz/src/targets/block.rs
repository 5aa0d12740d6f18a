//! The payload of a block, decoded by any chain, all of it and its levels: never panics, and what is decoded does not depend on what was
//! there before. Put in the order of levels it decodes to the same.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | element type |
//! | 1, 2 each | rank, extents |
//! | 8, 8 | hint: absolute and relative tolerance |
//! | 1, 8 | whether there is a fill value, its bits |
//! | line | the chain, as on the command line |
//! | section | the bytes shared by all blocks |
//! | rest | the payload |

use std::sync::Arc;

use fieldpress::array::{every, Array, Buffer, Shape};
use fieldpress::bound::{Criterion, Quantities, Term};
use fieldpress::codec::{
    decode_block, decode_level, encode_block, inspect_levels, inspect_payload, order_by_level, Candidate, Spec, Task,
};
use fieldpress::vdf::{Distributions, Velocities};
use fieldpress::{Chain, DType};

use super::input::{Input, Output};

const VALUES: usize = 1 << 14;

pub fn run(data: &[u8]) {
    let mut r = Input::new(data);
    let dtype = r.dtype();
    let shape = r.shape(VALUES);
    let hint = Term { abs: r.f64(), rel: r.f64() };
    let fill = (r.u8() % 2 == 1, r.u64());
    let fill = fill.0.then_some(fill.1);
    let line = r.line();
    let Ok(chain) = Chain::parse(&line) else { return };
    let shared = r.section();
    let Ok(bound) = chain.bind(shared, &Spec { dtype, shape }) else { return };
    let companions = companions(&chain, dtype, shape);
    let all = Velocities::Dense.of(&shape, &[]).ok();
    let task = task(&hint, fill, shape.rank(), &companions, all.as_ref());
    let chains = [bound];
    let decode_payload = |payload: &[u8], mut out: Buffer| {
        let done = decode_block(payload, &shape, &chains, &task, out.as_mut());
        done.map(|()| out)
    };
    let decode = |out| decode_payload(r.rest(), out);
    let room = |level| Buffer::zeros(dtype, shape.coarse(level).len()).expect("memory for a small block");
    let zeros = room(0);
    let level = |bytes: &[u8], l: u32| {
        let mut out = room(l);
        decode_level(bytes, l, &shape, &chains, &task, out.as_mut()).map(|()| out)
    };
    for l in [1, 2, 70] {
        let _ = level(r.rest(), l);
    }
    let _ = inspect_levels(&r.rest().to_vec());
    if let Ok(Some(ordered)) = order_by_level(r.rest(), dtype, &shape, &chains, &task) {
        if let Ok(whole) = decode(room(0)) {
            let again = decode_payload(&ordered, room(0)).expect("a payload that was only put in another order");
            assert!(again.as_slice().same_bits(whole.as_slice()), "another order, other values");
            for (l, n) in (1..).zip(inspect_levels(&ordered).expect("a table that was just written")) {
                let y = level(&ordered[..n as usize], l).expect("a level of as many bytes as the table says");
                let points = every(whole.as_slice(), &shape, &vec![0; shape.rank()], &vec![l; shape.rank()]);
                let points = points.expect("points of the block");
                let same = |(a, b): (f64, f64)| a == b || a.is_nan() && b.is_nan();
                let pairs = || y.as_slice().to_f64().into_iter().zip(points.as_slice().to_f64());
                assert!(line != "interp" || pairs().all(same), "level {l} of interp is not the block at its points");
            }
        }
    }
    let ones = Buffer::from_le_bytes(dtype, &vec![1; shape.len() * dtype.size()]).expect("whole values");
    let _ = inspect_payload(&r.rest().to_vec(), dtype);
    match (decode(zeros), decode(ones)) {
        (Ok(a), Ok(b)) => assert!(a.as_slice().same_bits(b.as_slice()), "decoding depends on what was there before"),
        (a, b) => assert_eq!(a.err(), b.err()),
    }
}

const CRITERION: &Criterion = &Criterion::FREE;
const ORIGIN: &[usize] = &[0; 8];

fn task<'a>(
    hint: &Term,
    fill: Option<u64>,
    rank: usize,
    companions: &'a [(String, Arc<Array>)],
    distributions: Option<&'a Distributions>,
) -> Task<'a> {
    Task {
        criterion: CRITERION,
        hint: *hint,
        fill,
        measure: false,
        origin: &ORIGIN[..rank],
        companions,
        distributions,
        norm: None,
    }
}

/// One array of small integers for each companion the chain asks for.
fn companions(chain: &Chain, dtype: DType, shape: Shape) -> Vec<(String, Arc<Array>)> {
    let bytes: Vec<u8> = (0..shape.len() * dtype.size()).map(|i| (i % 7) as u8).collect();
    let make = |name: String| {
        let data = Buffer::from_le_bytes(dtype, &bytes).expect("whole values");
        (name, Arc::new(Array::new(shape, data).expect("as many values")))
    };
    chain.companions().into_iter().map(make).collect()
}

/// The case whose payload is what `chain` makes of `x`, in the order of levels if it has `levels`; `None` where it cannot handle such
/// blocks. With `repaired` what velocity distributions conserve is restored.
pub fn seed(x: &Array, chain: &str, hint: &Term, fill: Option<u64>, levels: bool, repaired: bool) -> Option<Vec<u8>> {
    let (dtype, shape) = (x.dtype(), x.shape());
    let parsed = Chain::parse(chain).ok()?;
    let shared = parsed.prepare(&x.view(), hint).ok()?;
    let bound = parsed.bind(&shared, &Spec { dtype, shape }).ok()?;
    let companions = companions(&parsed, dtype, shape);
    let all = Velocities::Dense.of(&shape, &[]).ok();
    let quantities = Quantities { conserve: repaired, ..Quantities::NONE };
    let criterion = Criterion { terms: vec![*hint], positive: repaired, quantities, ..Criterion::FREE };
    let task = Task { criterion: &criterion, ..task(hint, fill, shape.rank(), &companions, all.as_ref()) };
    let mut payload = Vec::new();
    encode_block(x.data(), &shape, &[Candidate { index: 0, chain: &bound }], &task, &mut payload).ok()?;
    if levels {
        payload = order_by_level(&payload, dtype, &shape, &[bound], &task).ok()??;
    }
    let head = Output::default().dtype(dtype).shape(&shape).f64(hint.abs).f64(hint.rel);
    let head = head.u8(u8::from(fill.is_some())).bytes(&fill.unwrap_or(0).to_le_bytes());
    Some(head.line(chain).section(&shared).bytes(&payload).0)
}
