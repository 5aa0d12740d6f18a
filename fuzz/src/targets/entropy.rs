//! The entropy coders: arbitrary bytes never make a decoder panic, and what an encoder writes is read back.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | which coder; 128 and above: the rest are symbols to be encoded and decoded |
//! | 1, 2 each | rank, extents |
//! | 1 | number of classes, lowest plane |
//! | rest | the stream, or the symbols |

use fieldpress::array::Shape;
use fieldpress::entropy::{
    decode_all, decode_mask, decode_planes, decode_planes_prefix, decode_runs, encode_classes, encode_mask,
    encode_planes, encode_runs, BinaryDecoder, BinaryEncoder, Bit, IntModel, Packer, Unpacker, GROUP,
};
use fieldpress::ErrorKind;

use super::input::{Input, Output};

const VALUES: usize = 1 << 14;
/// How many coders there are.
pub const CODERS: u8 = 7;

pub fn run(data: &[u8]) {
    let mut r = Input::new(data);
    let coder = r.u8();
    let shape = r.shape(VALUES);
    let extra = r.u8();
    if coder < 128 {
        decode(coder % CODERS, &shape, extra, r.rest());
    } else {
        round_trip((coder & 127) % CODERS, &shape, extra, r.rest());
    }
}

/// Decoded without panic; what decodes is what its own encoding decodes to.
fn decode(coder: u8, shape: &Shape, extra: u8, bytes: &[u8]) {
    let n = shape.len();
    match coder {
        0 => {
            // Every third decision is 1 to 64 direct bits.
            let mut dec = BinaryDecoder::new(bytes);
            let mut models = [Bit::new(); 4];
            for i in 0..n {
                if i % 3 == 2 {
                    let bits = 1 + (i as u32 * 7 + u32::from(extra)) % 64;
                    let v = dec.decode_direct(bits);
                    assert!(bits == 64 || v >> bits == 0);
                } else {
                    dec.decode(&mut models[i % 4]);
                }
            }
            if let Ok(end) = dec.end() {
                assert!(end <= bytes.len(), "a stream of {} bytes ends at {end}", bytes.len());
                assert!(BinaryDecoder::new(&bytes[..end]).is_determined() || n > 0);
            }
            let _ = dec.finish();
        }
        1 => {
            let mut dec = BinaryDecoder::new(bytes);
            let contexts = usize::from(extra);
            let mut model = IntModel::new(contexts);
            let mut context = 0;
            let values: Vec<i64> = (0..n)
                .map(|_| {
                    let v = model.decode(&mut dec, context);
                    context = v.unsigned_abs().min(300) as usize;
                    v
                })
                .collect();
            if dec.finish().is_ok() {
                assert_eq!(integers(&values, contexts), bytes, "another stream for the same integers");
            }
        }
        2 => {
            let mut mask = vec![false; n];
            if decode_mask(bytes, shape, &mut mask).is_ok() {
                masks(&mask, shape);
            }
        }
        3 => {
            let mut out = vec![0; n];
            if decode_runs(bytes, &mut out).is_ok() {
                runs(&out);
            }
        }
        4 => {
            let classes = classes(n, extra);
            let mut out = vec![0; n];
            let count = usize::from(extra).max(1);
            if decode_all(bytes, Some((&classes, count)), &mut out).is_ok() {
                symbols(&out, &classes, count);
            }
            let _ = decode_all(bytes, None, &mut out);
        }
        6 => {
            let groups = n.div_ceil(GROUP);
            if let Ok(mut unpacker) = Unpacker::new(bytes, groups) {
                let mut out = vec![[0; GROUP]; groups];
                unpacker.get(&mut out);
                packed(&out);
            }
        }
        _ => {
            let (mut mags, mut signs) = (vec![0u64; n], vec![false; n]);
            if decode_planes(bytes, shape, 0, &mut mags, &mut signs).is_ok() {
                planes(&mags, &signs, shape, 0);
            }
            let _ = decode_planes(bytes, shape, u32::from(extra), &mut mags, &mut signs);
            let _ = decode_planes_prefix(bytes, shape, &mut mags, &mut signs);
            let mut small = vec![0u32; n];
            let _ = decode_planes(bytes, shape, u32::from(extra), &mut small, &mut signs);
        }
    }
}

/// Encoded and decoded again.
fn round_trip(coder: u8, shape: &Shape, extra: u8, bytes: &[u8]) {
    let n = shape.len();
    let byte = |i: usize| bytes.get(i % bytes.len().max(1)).copied().unwrap_or(0);
    // Integers of many sizes: a byte decides the size, the next ones the bits.
    let integer = |i: usize| {
        let bits = (0..8).fold(0u64, |v, k| v << 8 | u64::from(byte(8 * i + k + 1)));
        (bits as i64) >> (byte(i) % 64)
    };
    match coder {
        0 | 1 => {
            let values: Vec<i64> = (0..n).map(integer).collect();
            let contexts = usize::from(extra);
            let stream = integers(&values, contexts);
            let mut dec = BinaryDecoder::new(&stream);
            let mut model = IntModel::new(contexts);
            let mut context = 0;
            for &v in &values {
                assert_eq!(model.decode(&mut dec, context), v);
                context = v.unsigned_abs().min(300) as usize;
            }
            assert_eq!(dec.finish(), Ok(()));
        }
        2 => masks(&(0..n).map(|i| byte(i / 8) >> (i % 8) & 1 == 1).collect::<Vec<_>>(), shape),
        3 => runs(&(0..n).map(byte).collect::<Vec<_>>()),
        4 => {
            let values: Vec<i32> = (0..n).map(|i| integer(i) as i32).collect();
            symbols(&values, &classes(n, extra), usize::from(extra).max(1));
        }
        6 => drop(packed(&groups((0..n).map(|i| integer(i) as u32)))),
        _ => {
            let mags: Vec<u64> = (0..n).map(|i| integer(i).unsigned_abs()).collect();
            let signs: Vec<bool> = mags.iter().enumerate().map(|(i, &m)| m != 0 && byte(i) % 2 == 1).collect();
            planes(&mags, &signs, shape, u32::from(extra % 66));
        }
    }
}

fn integers(values: &[i64], contexts: usize) -> Vec<u8> {
    let (mut enc, mut model) = (BinaryEncoder::new(), IntModel::new(contexts));
    let mut context = 0;
    for &v in values {
        model.encode(&mut enc, v, context);
        context = v.unsigned_abs().min(300) as usize;
    }
    enc.finish()
}

fn classes(n: usize, count: u8) -> Vec<u8> {
    (0..n).map(|i| (i * i / 5 % usize::from(count).max(1)) as u8).collect()
}

fn masks(mask: &[bool], shape: &Shape) {
    let stream = encode_mask(mask, shape);
    let mut out = vec![false; mask.len()];
    assert_eq!(decode_mask(&stream, shape, &mut out), Ok(()));
    assert!(mask == out, "another mask");
    prefixes(&stream, |b| decode_mask(b, shape, &mut vec![false; mask.len()]));
}

fn runs(bytes: &[u8]) {
    let stream = encode_runs(bytes);
    let mut out = vec![0; bytes.len()];
    assert_eq!(decode_runs(&stream, &mut out), Ok(()));
    assert!(bytes == out, "other bytes");
    prefixes(&stream, |b| decode_runs(b, &mut vec![0; bytes.len()]));
}

fn symbols(values: &[i32], classes: &[u8], count: usize) {
    let mut stream = Vec::new();
    encode_classes(values, classes, count, &mut stream);
    let mut out = vec![0; values.len()];
    assert_eq!(decode_all(&stream, Some((classes, count)), &mut out), Ok(()));
    assert!(values == out, "other symbols");
    prefixes(&stream, |b| decode_all(b, Some((classes, count)), &mut vec![0; values.len()]));
}

fn groups(values: impl Iterator<Item = u32>) -> Vec<[u32; GROUP]> {
    let values: Vec<u32> = values.collect();
    values.chunks(GROUP).map(|c| std::array::from_fn(|i| c.get(i).copied().unwrap_or(0))).collect()
}

fn packed(groups: &[[u32; GROUP]]) -> Vec<u8> {
    let (mut packer, mut stream) = (Packer::new(groups.len()), Vec::new());
    packer.put(groups);
    packer.finish(&mut stream);
    let mut out = vec![[1; GROUP]; groups.len()];
    Unpacker::new(&stream, groups.len()).expect("what was packed").get(&mut out);
    assert!(groups == out, "other groups");
    prefixes(&stream, |b| Unpacker::new(b, groups.len()).map(drop));
    stream
}

fn planes(mags: &[u64], signs: &[bool], shape: &Shape, lowest: u32) {
    let stream = encode_planes(mags, signs, shape, lowest);
    let (mut m, mut s) = (vec![0; mags.len()], vec![true; mags.len()]);
    assert_eq!(decode_planes(&stream, shape, lowest, &mut m, &mut s), Ok(()));
    let kept = |v: u64| if lowest >= 64 { 0 } else { v >> lowest << lowest };
    for i in 0..mags.len() {
        assert_eq!(m[i], kept(mags[i]));
        assert_eq!(s[i], m[i] != 0 && signs[i]);
    }
}

/// A few strict prefixes of a stream are found to be truncated.
fn prefixes(stream: &[u8], mut decode: impl FnMut(&[u8]) -> fieldpress::Result<()>) {
    let n = stream.len();
    for cut in [0, 1, n / 2, n.saturating_sub(1)] {
        if cut < n {
            assert_eq!(decode(&stream[..cut]).map_err(|e| e.kind()), Err(ErrorKind::Truncated), "{cut} of {n}");
        }
    }
}

/// The case with these bytes.
pub fn seed(coder: u8, dims: &[usize], extra: u8, bytes: &[u8]) -> Vec<u8> {
    Output::default().u8(coder).shape(dims).u8(extra).bytes(bytes).0
}

/// The case with the stream a coder makes of some integers.
pub fn seed_stream(coder: u8, dims: &[usize], extra: u8, values: &[i64]) -> Vec<u8> {
    let shape = Shape::new(dims).unwrap_or_default();
    let mut stream = Vec::new();
    match coder {
        0 | 1 => stream = integers(values, usize::from(extra)),
        2 => stream = encode_mask(&values.iter().map(|&v| v > 0).collect::<Vec<_>>(), &shape),
        3 => stream = encode_runs(&values.iter().map(|&v| v as u8).collect::<Vec<_>>()),
        4 => {
            let symbols: Vec<i32> = values.iter().map(|&v| v as i32).collect();
            encode_classes(&symbols, &classes(values.len(), extra), usize::from(extra).max(1), &mut stream);
        }
        6 => stream = packed(&groups(values.iter().map(|&v| v as u32))),
        _ => {
            let mags: Vec<u64> = values.iter().map(|v| v.unsigned_abs()).collect();
            let signs: Vec<bool> = values.iter().map(|&v| v < 0).collect();
            stream = encode_planes(&mags, &signs, &shape, u32::from(extra));
        }
    }
    seed(coder, dims, extra, &stream)
}
