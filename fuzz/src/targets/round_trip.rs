//! Any values, any bound, any chain: the bound holds by a judgement of its own, and the archive is hardly larger than the array.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | element type |
//! | 1, 2 each | rank, extents |
//! | 1 | kind of bound; bit 3: in the order of levels |
//! | 8, 8 | its numbers |
//! | 1 | bit 0: a fill value is given; bit 1: look for one; bit 2: measure; bits 3-7: edge of the blocks, 0 for the default |
//! | 8 | the fill value |
//! | line | the chain, or the name of a tier |
//! | rest | the values, little-endian, repeated as often as needed |

use fieldpress::array::{Array, Buffer};
use fieldpress::{compress, decompress, Bound, Choice, DType, ErrorKind, Options};

use super::battery::judge;
use super::input::{Input, Output};

const VALUES: usize = 1 << 11;
/// More blocks only take more time.
const BLOCKS: usize = 64;

pub fn run(data: &[u8]) {
    let mut r = Input::new(data);
    let dtype = r.dtype();
    let shape = r.shape(VALUES);
    let kind = r.u8();
    let bound = bound(kind, r.f64(), r.f64());
    let flags = r.u8();
    let fill = r.f64();
    let chain = r.line();
    let mut options = Options::new(bound.clone());
    if let Ok(tier) = chain.parse() {
        options.choice = Choice::Tier(tier);
    } else {
        match options.with_chain(&chain) {
            Ok(o) => options = o,
            Err(_) => return,
        }
    }
    options.fill = (flags & 1 != 0).then_some(fill);
    options.detect_fill = flags & 2 != 0;
    options.measure = flags & 4 != 0;
    options.progressive = kind & 8 != 0;
    let edge = usize::from(flags >> 3);
    options.block = (edge > 0).then(|| vec![edge; shape.rank()]);
    let blocks = edge.checked_sub(1).map_or(1, |_| shape.iter().map(|d| d.div_ceil(edge)).product::<usize>());
    if blocks > BLOCKS {
        return;
    }
    let size = shape.len() * dtype.size();
    let values: Vec<u8> = r.rest().iter().copied().cycle().take(size).collect();
    let values = if values.len() == size { values } else { vec![0; size] };
    let data = Buffer::from_le_bytes(dtype, &values).expect("whole values");
    let x = Array::new(shape, data).expect("as many values");

    let (bytes, report) = match compress(&x.view(), options) {
        Ok(done) => done,
        Err(e) if e.kind() == ErrorKind::InvalidArgument => return,
        Err(e) => panic!("compress: {e}"),
    };
    let most = size + 1000 + 8 * shape.rank() * 20 + 16 * blocks + 2 * chain.len();
    assert!(bytes.len() <= most, "{} bytes for {size} raw ones in {blocks} blocks", bytes.len());
    let y = decompress(&bytes).unwrap_or_else(|e| panic!("decompress: {e}"));
    let fill = report.header.fill_bits().expect("a fill value that can be read");
    if let Err(e) = judge(&x, &y, &bound, fill) {
        panic!("{bound}: {e}");
    }
}

fn bound(kind: u8, a: f64, b: f64) -> Bound {
    match kind % 8 {
        0 => Bound::Lossless,
        1 => Bound::Abs(a),
        2 => Bound::Rel(a),
        3 => Bound::PwRel(a),
        4 => Bound::AbsOrRel { abs: a, rel: b },
        5 => Bound::L2(a),
        6 => Bound::Psnr(a),
        _ => Bound::All(vec![Bound::Abs(a), Bound::PwRel(b)]),
    }
}

/// The case that compresses these values.
pub fn seed(x: &Array, kind: u8, numbers: [f64; 2], flags: u8, fill: f64, chain: &str) -> Vec<u8> {
    let dtype: DType = x.dtype();
    let head = Output::default().dtype(dtype).shape(&x.shape()).u8(kind).f64(numbers[0]).f64(numbers[1]);
    head.u8(flags).f64(fill).line(chain).bytes(&x.data().to_le_bytes()).0
}
