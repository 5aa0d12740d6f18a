//! Masks: arrays of booleans, whose equal parts cost nothing and whose edges cost little.
//!
//! Source: context modelling of binary images as in JBIG (ITU-T T.82), carried to n dimensions, with its "typical
//! prediction" (this line repeats the one before) on every axis.
//!
//! # Format
//!
//! Axes of length 1 are dropped. A mask without elements is no bytes. Otherwise the stream is one range-coded stream:
//!
//! | what | decisions |
//! |---|---|
//! | uniform: all elements are equal | model 0; if true: the value (model 1), and the stream ends |
//! | for each part in C order (below) | repeats: the part equals the part before it; if false, its parts |
//! | for each element of a last-axis row that does not repeat | the value, its model chosen by eight neighbours |
//!
//! The parts of the whole are its slices along the first axis, the parts of these their slices along the second, down to
//! rows along the last axis (a mask of one axis is one row, without a "repeats"). The part before a part has an index less by
//! one on the last of its axes whose index is not 0; a part whose indices are all 0 is compared with falses. The model of
//! "repeats" is chosen by the level (slices along the first axis are level 0; 7 and more are one) and by what "repeats" was
//! the last time at that level, at first false.
//!
//! The neighbours, bit 0 first, with `x`, `y`, `z` the last, second to last and third to last index; an element outside the
//! mask is false: `x-1`; `x-2`; `y-1`; `y-1, x-1`; `y-1, x+1`; `y-2`; `z-1`; `z-1, y+1`.

use super::range::{BinaryDecoder, BinaryEncoder, Bit};
use crate::error::{Error, Result};

/// Levels of parts that have models of their own.
const LEVELS: usize = 8;

/// The coder's two directions, so that one walk serves both.
trait Coder {
    /// Codes `bit`, or ignores it and decodes; returns the decision.
    fn code(&mut self, model: &mut Bit, bit: bool) -> bool;
}
impl Coder for BinaryEncoder {
    #[inline(always)]
    fn code(&mut self, model: &mut Bit, bit: bool) -> bool {
        self.encode(model, bit);
        bit
    }
}
impl Coder for BinaryDecoder<'_> {
    #[inline(always)]
    fn code(&mut self, model: &mut Bit, _: bool) -> bool {
        self.decode(model)
    }
}

struct Models {
    repeats: [[Bit; 2]; LEVELS],
    repeated: [bool; LEVELS],
    element: [Bit; 256],
}

/// The shape without axes of length 1; at least one axis.
struct Shape(Vec<usize>);

impl Shape {
    /// Errors: `InvalidArgument` when `shape` has not `len` elements.
    fn new(shape: &[usize], len: usize) -> Result<Self> {
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            return Err(Error::invalid(format!("mask: expected {len} elements, found the shape {shape:?}")));
        }
        let mut axes: Vec<usize> = shape.iter().copied().filter(|&d| d != 1).collect();
        if axes.is_empty() {
            axes.push(1);
        }
        Ok(Shape(axes))
    }
    /// Elements between neighbours along axis `axis`.
    fn stride(&self, axis: usize) -> usize {
        self.0.iter().skip(axis + 1).product()
    }
}

/// Codes `bits`, the elements in C order of an array of shape `shape`. A shape of another size is taken as one axis.
pub fn encode_mask(bits: &[bool], shape: &[usize]) -> Vec<u8> {
    let shape = Shape::new(shape, bits.len()).unwrap_or_else(|_| Shape(vec![bits.len()]));
    let mut enc = BinaryEncoder::new();
    let Some(&first) = bits.first() else { return Vec::new() };
    let uniform = bits.iter().all(|b| *b == first);
    enc.encode(&mut Bit::new(), uniform);
    if uniform {
        enc.encode(&mut Bit::new(), first);
    } else {
        // The walk writes what it codes: here the same values over themselves.
        let mut bits = bits.to_vec();
        walk::<_, true>(&mut enc, &shape, &mut bits);
    }
    enc.finish()
}

/// Decodes a mask of shape `shape` into `out` from all of `bytes`. Errors: `Truncated` for every strict prefix of a stream,
/// `Corrupt` when no encoder wrote it, `InvalidArgument` when `out` has not the size of `shape`.
pub fn decode_mask(bytes: &[u8], shape: &[usize], out: &mut [bool]) -> Result<()> {
    let shape = Shape::new(shape, out.len())?;
    let mut dec = BinaryDecoder::new(bytes);
    if !out.is_empty() {
        if dec.decode(&mut Bit::new()) {
            out.fill(dec.decode(&mut Bit::new()));
        } else {
            walk::<_, false>(&mut dec, &shape, out);
        }
    }
    dec.finish()
}

/// Codes all parts. When encoding, `bits` holds the mask; when decoding, it is filled.
fn walk<C: Coder, const ENCODE: bool>(coder: &mut C, shape: &Shape, bits: &mut [bool]) {
    let last = shape.0.len() - 1;
    let width = shape.0[last];
    let strides: Vec<usize> = (0..=last).map(|axis| shape.stride(axis)).collect();
    let mut models =
        Models { repeats: [[Bit::new(); 2]; LEVELS], repeated: [false; LEVELS], element: [Bit::new(); 256] };
    let mut index = vec![0usize; last];
    let mut at = 0;
    // The outermost level whose part begins at `at`.
    let mut level = 0;
    while at < bits.len() {
        let mut repeats = false;
        while level < last && !repeats {
            let size = strides[level];
            let back = (0..=level).rev().find(|&axis| index[axis] > 0).map(|axis| strides[axis]);
            let same = ENCODE
                && match back {
                    Some(back) => bits[at - back..at - back + size] == bits[at..at + size],
                    None => bits[at..at + size].iter().all(|b| !b),
                };
            let k = level.min(LEVELS - 1);
            let model = &mut models.repeats[k][usize::from(models.repeated[k])];
            repeats = coder.code(model, same);
            models.repeated[k] = repeats;
            if repeats && !ENCODE {
                match back {
                    Some(back) => bits.copy_within(at - back..at - back + size, at),
                    None => bits[at..at + size].fill(false),
                }
            }
            level += 1;
        }
        if repeats {
            at += strides[level - 1];
        } else {
            row(coder, &mut models.element, bits, at, width, &index, &shape.0);
            at += width;
            level = last;
        }
        // On to the next part at this level, or of a level above.
        while level > 0 {
            index[level - 1] += 1;
            if index[level - 1] < shape.0[level - 1] {
                level -= 1;
                break;
            }
            index[level - 1] = 0;
            level -= 1;
        }
    }
}

/// Codes the row of `width` elements at `at`, whose index on the axes before the last is `index`.
fn row<C: Coder>(
    coder: &mut C,
    models: &mut [Bit; 256],
    bits: &mut [bool],
    at: usize,
    width: usize,
    index: &[usize],
    shape: &[usize],
) {
    let axes = shape.len();
    let y = index.last().copied().unwrap_or(0);
    let z = axes.checked_sub(3).map_or(0, |a| index[a]);
    let height = axes.checked_sub(2).map_or(1, |a| shape[a]);
    let (before, rest) = bits.split_at_mut(at);
    let current = &mut rest[..width];
    // A row before this one; no elements if it is outside the mask.
    let line = |exists: bool, back: usize| match at.checked_sub(back) {
        Some(start) if exists => &before[start..start + width],
        _ => &before[..0],
    };
    let north = line(y > 0, width);
    let north2 = line(y > 1, 2 * width);
    let below = line(z > 0, height * width);
    let below_south = line(z > 0 && y + 1 < height, (height - 1) * width);
    let get = |line: &[bool], x: usize| usize::from(line.get(x).copied().unwrap_or(false));
    let (mut west, mut west2, mut northwest) = (0, 0, 0);
    let mut here = get(north, 0);
    for (x, bit) in current.iter_mut().enumerate() {
        let northeast = get(north, x + 1);
        let context = west
            | west2 << 1
            | here << 2
            | northwest << 3
            | northeast << 4
            | get(north2, x) << 5
            | get(below, x) << 6
            | get(below_south, x) << 7;
        *bit = coder.code(&mut models[context], *bit);
        west2 = west;
        west = usize::from(*bit);
        northwest = here;
        here = northeast;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn check(bits: &[bool], shape: &[usize]) -> Vec<u8> {
        let bytes = encode_mask(bits, shape);
        let mut out: Vec<bool> = bits.iter().map(|b| !b).collect();
        decode_mask(&bytes, shape, &mut out).unwrap();
        assert!(out == bits, "{shape:?}");
        bytes
    }
    fn random(seed: u64, n: usize, p: u64) -> Vec<bool> {
        let mut s = seed | 1;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (s >> 40) % 256 < p
            })
            .collect()
    }
    /// The points of a box of the given shape that lie in a ball in its middle.
    fn ball(shape: &[usize]) -> Vec<bool> {
        let n: usize = shape.iter().product();
        (0..n)
            .map(|i| {
                let (mut rest, mut r2) = (i, 0.0);
                for &d in shape.iter().rev() {
                    let t = (rest % d) as f64 - d as f64 / 2.0;
                    r2 += t * t / (d * d) as f64;
                    rest /= d;
                }
                r2 < 0.15
            })
            .collect()
    }

    #[test]
    fn all_shapes_round_trip() {
        let shapes: [&[usize]; 12] = [
            &[],
            &[1],
            &[0],
            &[3, 0, 2],
            &[7],
            &[1, 9, 1],
            &[5, 6],
            &[3, 4, 5],
            &[2, 3, 1, 4],
            &[2, 2, 2, 2, 3],
            &[1; 9],
            &[13, 17],
        ];
        for shape in shapes {
            let n = shape.iter().product();
            for p in [0, 5, 100, 250, 256] {
                check(&random(n as u64 + p, n, p), shape);
            }
        }
        check(&ball(&[20, 30, 40]), &[20, 30, 40]);
        check(&ball(&[4, 9, 10, 11]), &[4, 9, 10, 11]);
        let deep = [2; 12];
        check(&random(3, 4096, 60), &deep);
        check(&ball(&deep), &deep);
    }

    #[test]
    fn uniform_and_blocky_masks_take_a_few_bytes() {
        for value in [false, true] {
            for shape in [[1usize, 1, 7], [3, 3, 3], [100, 200, 300]] {
                assert!(check(&vec![value; shape.iter().product()], &shape).len() <= 1);
            }
        }
        let shape = [64usize, 64, 64];
        let block: Vec<bool> =
            (0..64 * 64 * 64).map(|i| [i / 4096, i / 64 % 64, i % 64].iter().all(|c| (16..48).contains(c))).collect();
        let len = check(&block, &shape).len();
        assert!(len <= 32, "{len}");
        let stripe: Vec<bool> = (0..1_000_000).map(|i| (300_000..700_000).contains(&i)).collect();
        let len = check(&stripe, &[1_000_000]).len();
        assert!(len <= 24, "{len}");
    }

    #[test]
    fn edges_cost_little_and_noise_its_entropy() {
        let shape = [48usize, 50, 52];
        let len = check(&ball(&shape), &shape).len();
        // About 5700 elements lie on the surface.
        assert!(len < 900, "{len}");
        let len = check(&random(3, 300_000, 26), &[300, 1000]).len() as f64;
        let p: f64 = 26.0 / 256.0;
        let entropy = -(p * libm::log2(p) + (1.0 - p) * libm::log2(1.0 - p)) * 300_000.0 / 8.0;
        assert!(len < entropy * 1.03, "{len} against {entropy}");
    }

    #[test]
    fn every_prefix_is_truncated_and_hostile_bytes_never_panic() {
        let shape = [12usize, 11, 10];
        let mask = ball(&shape);
        let bytes = check(&mask, &shape);
        let mut out = vec![false; mask.len()];
        for cut in 0..bytes.len() {
            assert_eq!(decode_mask(&bytes[..cut], &shape, &mut out).unwrap_err().kind(), ErrorKind::Truncated);
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(decode_mask(&bad, &shape, &mut out).is_err() || out != mask);
            }
        }
        assert_eq!(decode_mask(&bytes, &[12, 11], &mut out).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(decode_mask(&[1], &[0], &mut []).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    /// A change of these is a change of the format.
    #[test]
    fn bytes_are_those_of_the_format() {
        let bytes = encode_mask(&ball(&[6, 9, 10, 11]), &[6, 9, 10, 11]);
        assert_eq!((bytes.len(), crate::bits::crc32c(&bytes)), (77, 0x8960_6b52));
    }
}
