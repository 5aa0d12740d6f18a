//! Embedded bit planes: magnitudes and signs of coefficients, most significant plane first, so that decoding can stop at
//! any plane and a prefix of the stream gives all planes it holds whole.
//!
//! Source: J. M. Shapiro, "Embedded image coding using zerotrees of wavelet coefficients", 1993, with the contexts of block
//! coding in JPEG 2000 (D. Taubman, "High performance scalable image compression with EBCOT", 2000), made of magnitudes
//! instead of significance, and its run mode for zeros among zeros.
//!
//! # Format
//!
//! No coefficients are no bytes. Otherwise byte 0 is `P`, the number of bits of the largest magnitude, byte 1 the lowest
//! plane coded `L`; the rest is one range-coded stream, with planes `P - 1` down to `L` (none if `P <= L`). Axes of length
//! 1 are dropped; the last three axes that are left are `z, y, x`, and there are no neighbours along others. Each plane `p` goes through the rows (along `x`) in C
//! order, and each row through its segments: 16 coefficients, or what is left of the row. If a segment and all neighbours of
//! its coefficients that are named below are 0 so far, the decision "all bits are 0" is coded first (one model); if true,
//! that is the segment. Otherwise each coefficient gives:
//!
//! | its magnitude so far, `m` | decisions |
//! |---|---|
//! | 0 | bit `p`, with a significance model; if true, whether it is negative, with a sign model |
//! | not 0 | bit `p`, with a refinement model |
//!
//! `m` has the bits above `p`, and for coefficients before this one bit `p` too; outside the array it is 0.
//! `a` is the sum of `min(m >> p, 15)` over the two neighbours on `x`; `b` the same over the neighbours on `y` and `z`;
//! `d` the same over the neighbours `(y-1, x-1) (y-1, x+1) (y+1, x-1) (y+1, x+1)`, if there is a `y`.
//!
//! | model | chosen by |
//! |---|---|
//! | significance | class of `a` (0, 1, 2, 3..4, 5..), class of `b` (0, 1, 2, 3..4, 5..8, 9..), class of `d` (0, 1..2, 3..) |
//! | sign | sum of the signs of the significant neighbours on `x`; the same on `y`; each clamped to -1..=1 |
//! | refinement | refined never, once, more often; class of `a + b` (0..2, 3..8, 9..) |

use super::range::{BinaryDecoder, BinaryEncoder, Bit};
use crate::error::{Error, Result};
use std::ops::Range;

/// An unsigned integer type of magnitudes: `u32` or `u64`.
pub trait Magnitude: Copy + Default + Into<u64> {
    /// Number of bits of the type.
    const BITS: u32;
    /// The low bits of `v`.
    fn from_u64(v: u64) -> Self;
}
impl Magnitude for u32 {
    const BITS: u32 = 32;
    #[inline(always)]
    fn from_u64(v: u64) -> Self {
        v as u32
    }
}
impl Magnitude for u64 {
    const BITS: u32 = 64;
    #[inline(always)]
    fn from_u64(v: u64) -> Self {
        v
    }
}

/// The two directions of coding, so that one walk serves both. Each call codes, or decodes and keeps, what it names.
trait Direction {
    /// Whether bit `p` is 0 in all coefficients of a range that are 0 so far.
    fn zeros(&mut self, model: &mut Bit, p: u32, range: Range<usize>) -> bool;
    /// Bit `p` of coefficient `i`.
    fn bit(&mut self, model: &mut Bit, p: u32, i: usize) -> bool;
    /// Whether coefficient `i` is negative.
    fn sign(&mut self, model: &mut Bit, i: usize) -> bool;
}

struct Encoding<'a, M> {
    enc: BinaryEncoder,
    mags: &'a [M],
    signs: &'a [bool],
}
impl<M: Magnitude> Direction for Encoding<'_, M> {
    #[inline(always)]
    fn zeros(&mut self, model: &mut Bit, p: u32, range: Range<usize>) -> bool {
        let all = self.mags[range].iter().fold(0, |all, &m| all | m.into()) >> p == 0;
        self.enc.encode(model, all);
        all
    }
    #[inline(always)]
    fn bit(&mut self, model: &mut Bit, p: u32, i: usize) -> bool {
        let bit = self.mags[i].into() >> p & 1 != 0;
        self.enc.encode(model, bit);
        bit
    }
    #[inline(always)]
    fn sign(&mut self, model: &mut Bit, i: usize) -> bool {
        self.enc.encode(model, self.signs[i]);
        self.signs[i]
    }
}

struct Decoding<'a, 'b, M> {
    dec: BinaryDecoder<'b>,
    mags: &'a mut [M],
    signs: &'a mut [bool],
}
impl<M: Magnitude> Direction for Decoding<'_, '_, M> {
    #[inline(always)]
    fn zeros(&mut self, model: &mut Bit, _: u32, _: Range<usize>) -> bool {
        self.dec.decode(model)
    }
    #[inline(always)]
    fn bit(&mut self, model: &mut Bit, p: u32, i: usize) -> bool {
        let bit = self.dec.decode(model);
        self.mags[i] = M::from_u64(self.mags[i].into() | u64::from(bit) << p);
        bit
    }
    #[inline(always)]
    fn sign(&mut self, model: &mut Bit, i: usize) -> bool {
        self.signs[i] = self.dec.decode(model);
        self.signs[i]
    }
}

/// Coefficients of a segment.
const SEGMENT: usize = 16;

struct Models {
    zeros: Bit,
    /// By class of `a`, then `3 * class of b + class of d`.
    significance: [[Bit; 18]; 5],
    sign: [[Bit; 3]; 3],
    refinement: [[Bit; 3]; 3],
}

/// What is known of the coefficients so far, with a border of zeros that rows and slabs share.
struct Walk {
    /// `min(m >> p, 15)`.
    levels: Vec<u8>,
    /// -1, 1, or 0 while not significant.
    signs: Vec<i8>,
    models: Models,
    /// Number of slabs, the axes before the last three included, and of those that are neighbours.
    slabs: usize,
    depth: usize,
    height: usize,
    width: usize,
    /// Cells from one slab, and one row, to the next.
    slab: usize,
    row: usize,
}

impl Walk {
    /// Errors: `InvalidArgument` when `shape` has not `len` elements, or there is no memory for it.
    fn new(shape: &[usize], len: usize) -> Result<Self> {
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            return Err(Error::invalid(format!("bit planes: expected {len} elements, found the shape {shape:?}")));
        }
        // Nothing is walked if there is nothing, whatever the other axes say.
        let mut axes = shape.iter().rev().copied().filter(|d| *d != 1 && len > 0);
        let [width, height, depth] = [0; 3].map(|_: i32| axes.next().unwrap_or(1));
        let slabs = if len > 0 { depth * axes.product::<usize>() } else { 0 };
        let too_large = || Error::invalid(format!("bit planes: the shape {shape:?} is too large"));
        let row = width + 1;
        // Without neighbours on `y` there are no rows of zeros between.
        let slab = if height > 1 { (height + 1).checked_mul(row) } else { Some(row) };
        let cells =
            slab.and_then(|n| n.checked_mul(slabs)).and_then(|n| n.checked_add(row + 1)).ok_or_else(too_large)?;
        let (mut levels, mut signs) = (Vec::new(), Vec::new());
        levels.try_reserve_exact(cells).map_err(|_| too_large())?;
        signs.try_reserve_exact(cells).map_err(|_| too_large())?;
        levels.resize(cells, 0);
        signs.resize(cells, 0);
        let new = Bit::new();
        let models =
            Models { zeros: new, significance: [[new; 18]; 5], sign: [[new; 3]; 3], refinement: [[new; 3]; 3] };
        let slab = slab.unwrap_or(row);
        Ok(Walk { levels, signs, models, slabs, depth, height, width, slab, row })
    }

    /// Codes plane `p` of all coefficients.
    fn plane(&mut self, coder: &mut impl Direction, p: u32) {
        for level in &mut self.levels {
            *level = (*level * 2).min(15);
        }
        let none = vec![0u8; self.width + 2];
        let mut side = vec![(0u8, 0u8); self.width];
        let mut i = 0;
        for z in 0..self.slabs {
            for y in 0..self.height {
                // The cell before the row's first.
                let at = self.row * usize::from(self.height > 1) + z * self.slab + y * self.row;
                let line =
                    |start: Option<usize>| start.and_then(|s| self.levels.get(s..s + self.width + 2)).unwrap_or(&none);
                let flat = self.height == 1;
                let north = line(at.checked_sub(self.row).filter(|_| !flat));
                let south = line(Some(at + self.row).filter(|_| !flat));
                let above = line(at.checked_sub(self.slab).filter(|_| z % self.depth > 0));
                let below = line(Some(at + self.slab).filter(|_| (z + 1) % self.depth > 0));
                let busy = sides(&mut side, north, south, above, below);
                self.code_row(coder, p, at, i, &side, busy);
                i += self.width;
            }
        }
    }

    /// Codes plane `p` of the row after cell `at`, whose first coefficient is `i`.
    #[inline(always)]
    fn code_row(&mut self, coder: &mut impl Direction, p: u32, at: usize, i: usize, side: &[(u8, u8)], busy: bool) {
        let width = side.len();
        let levels = &mut self.levels[at..at + width + 2];
        let models = &mut self.models;
        let mut x = 0;
        while x < width {
            let end = (x + SEGMENT).min(width);
            let quiet = levels[x..end + 2].iter().fold(0, |all, l| all | l) == 0
                && (!busy || side[x..end].iter().fold(0, |all, s| all | s.1) == 0);
            if quiet && coder.zeros(&mut models.zeros, p, i + x..i + end) {
                x = end;
                continue;
            }
            for (x, &(b, class)) in (x..end).zip(&side[x..end]) {
                let a = levels[x] + levels[x + 2];
                let level = levels[x + 1];
                if level == 0 {
                    let a = [0, 1, 2, 3, 3, 4][usize::from(a).min(5)];
                    let model = &mut models.significance[a][usize::from(class).min(17)];
                    if coder.bit(model, p, i + x) {
                        let j = at + x + 1;
                        let sx = self.signs[j - 1] + self.signs[j + 1];
                        let sy = if self.height > 1 { self.signs[j - self.row] + self.signs[j + self.row] } else { 0 };
                        let model = &mut models.sign[(sx.signum() + 1) as usize][(sy.signum() + 1) as usize];
                        self.signs[j] = if coder.sign(model, i + x) { -1 } else { 1 };
                        levels[x + 1] = 1;
                    }
                } else {
                    let refined = level.ilog2().saturating_sub(1).min(2) as usize;
                    let class = [0, 0, 0, 1, 1, 1, 1, 1, 1, 2][usize::from(a + b).min(9)];
                    let bit = coder.bit(&mut models.refinement[refined][class], p, i + x);
                    levels[x + 1] |= u8::from(bit);
                }
            }
            x = end;
        }
    }
}

/// For each coefficient of a row `b`, and `3 * class of b + class of d`; from the rows around it, each with one cell more at
/// both ends. Returns whether any of it is not 0.
fn sides(side: &mut [(u8, u8)], north: &[u8], south: &[u8], above: &[u8], below: &[u8]) -> bool {
    let n = side.len();
    let (north, south) = (&north[..n + 2], &south[..n + 2]);
    let (above, below) = (&above[1..n + 1], &below[1..n + 1]);
    let mut busy = 0;
    for x in 0..n {
        let b = north[x + 1] + south[x + 1] + above[x] + below[x];
        let d = north[x] + north[x + 2] + south[x] + south[x + 2];
        let at_least = |v: u8, limit: u8| u8::from(v >= limit);
        let class_b = at_least(b, 1) + at_least(b, 2) + at_least(b, 3) + at_least(b, 5) + at_least(b, 9);
        let class = 3 * class_b + at_least(d, 1) + at_least(d, 3);
        side[x] = (b, class);
        busy |= class;
    }
    busy != 0
}

/// Codes planes `lowest_plane` and up of the coefficients with magnitudes `mags` and signs `signs` (true is negative, of no
/// account for 0), in C order in an array of shape `shape`. A shape of another size is taken as one axis, and signs that
/// are missing as positive.
pub fn encode_planes<M: Magnitude>(mags: &[M], signs: &[bool], shape: &[usize], lowest_plane: u32) -> Vec<u8> {
    debug_assert!(mags.len() == signs.len());
    let walk = Walk::new(shape, mags.len()).or_else(|_| Walk::new(&[mags.len()], mags.len()));
    let (Ok(mut walk), false) = (walk, mags.is_empty()) else { return Vec::new() };
    let mut all_signs = Vec::new();
    if signs.len() < mags.len() {
        all_signs.extend_from_slice(signs);
        all_signs.resize(mags.len(), false);
    }
    let signs = if signs.len() < mags.len() { &all_signs[..] } else { signs };
    let all = mags.iter().fold(0, |all, &m| all | m.into());
    let top = 64 - all.leading_zeros();
    let mut coder = Encoding { enc: BinaryEncoder::new(), mags, signs };
    for p in (lowest_plane..top).rev() {
        walk.plane(&mut coder, p);
    }
    let mut out = vec![top as u8, lowest_plane.min(64) as u8];
    out.extend(coder.enc.finish());
    out
}

/// Decodes planes `lowest_plane` and up, or as many as were coded, from all of `bytes` into `mags` and `signs`; the bits of
/// other planes are 0, and so is the sign of a coefficient without bits. Errors: `Truncated` for every strict prefix that
/// does not hold these planes; `Corrupt` when no encoder wrote it; `InvalidArgument` when the sizes do not agree.
pub fn decode_planes<M: Magnitude>(
    bytes: &[u8],
    shape: &[usize],
    lowest_plane: u32,
    mags: &mut [M],
    signs: &mut [bool],
) -> Result<()> {
    let (lowest, reached) = decode(bytes, shape, lowest_plane, mags, signs)?;
    if reached > lowest {
        return Err(Error::truncated(format!("bit planes: expected planes down to {lowest}, found {reached}")));
    }
    Ok(())
}

/// Decodes the planes that a prefix of a stream holds whole, as [`decode_planes`], and returns the lowest of them: the
/// number of bits of the largest magnitude if there are none. Errors: `Truncated` for a prefix of less than two bytes,
/// `Corrupt` and `InvalidArgument` as [`decode_planes`].
pub fn decode_planes_prefix<M: Magnitude>(
    bytes: &[u8],
    shape: &[usize],
    mags: &mut [M],
    signs: &mut [bool],
) -> Result<u32> {
    Ok(decode(bytes, shape, 0, mags, signs)?.1)
}

/// Returns the lowest plane to be decoded and the one that was reached.
fn decode<M: Magnitude>(
    bytes: &[u8],
    shape: &[usize],
    lowest_plane: u32,
    mags: &mut [M],
    signs: &mut [bool],
) -> Result<(u32, u32)> {
    let mut walk = Walk::new(shape, mags.len())?;
    if signs.len() != mags.len() {
        return Err(Error::invalid(format!("bit planes: expected {} signs, found {}", mags.len(), signs.len())));
    }
    let (top, coded, rest) = match bytes {
        [] if mags.is_empty() => return Ok((0, 0)),
        _ if mags.is_empty() => return Err(Error::corrupt("bit planes: expected no bytes for no coefficients")),
        [top, coded, rest @ ..] => (u32::from(*top), u32::from(*coded), rest),
        _ => return Err(Error::truncated("bit planes: expected two bytes of header")),
    };
    if top > M::BITS || coded > 64 {
        return Err(Error::corrupt(format!("bit planes: expected at most {} planes, found {top}", M::BITS)));
    }
    mags.fill(M::default());
    signs.fill(false);
    let lowest = lowest_plane.max(coded).min(top);
    let mut coder = Decoding { dec: BinaryDecoder::new(rest), mags, signs };
    let mut reached = top;
    while reached > lowest {
        walk.plane(&mut coder, reached - 1);
        if !coder.dec.is_determined() {
            // Some of this plane was made up: leave all of it out.
            for (m, s) in coder.mags.iter_mut().zip(coder.signs) {
                let v = (*m).into().checked_shr(reached).map_or(0, |v| v << reached);
                *m = M::from_u64(v);
                *s &= v != 0;
            }
            return Ok((lowest, reached));
        }
        reached -= 1;
    }
    if reached <= coded {
        coder.dec.finish()?;
    }
    Ok((lowest, reached))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Coefficients whose size falls off from the first corner, as those of a transform do.
    fn coefficients(shape: &[usize], scale: f64) -> (Vec<u32>, Vec<bool>) {
        let n: usize = shape.iter().product();
        let mut s = n as u64 + 17;
        (0..n)
            .map(|i| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                let (mut rest, mut r) = (i, 1.0);
                for &d in shape.iter().rev() {
                    r += (rest % d) as f64;
                    rest /= d;
                }
                let u = ((s >> 12) as f64 + 1.0) / (1u64 << 52) as f64;
                ((-libm::log(u) * scale / (r * r)) as u32, s & 1 != 0)
            })
            .unzip()
    }
    fn zero_signs(mags: &[u32], signs: &[bool]) -> Vec<bool> {
        mags.iter().zip(signs).map(|(&m, &s)| m != 0 && s).collect()
    }

    #[test]
    fn all_shapes_round_trip_and_stop_at_any_plane() {
        let shapes: [&[usize]; 10] =
            [&[], &[0, 3], &[1], &[9], &[1, 8, 1], &[5, 7], &[4, 5, 6], &[3, 2, 4, 5], &[2, 1, 3, 2, 2, 3], &[33, 2]];
        for shape in shapes {
            let (mags, signs) = coefficients(shape, 3e6);
            for lowest in [0, 3, 31, 32, 40] {
                let bytes = encode_planes(&mags, &signs, shape, lowest);
                let (mut m, mut s) = (vec![1u32; mags.len()], vec![true; mags.len()]);
                for stop in [0, 2, 3, 4, 11, 32, 99] {
                    decode_planes(&bytes, shape, stop, &mut m, &mut s).unwrap();
                    let cut = stop.max(lowest).min(32);
                    let want: Vec<u32> = mags.iter().map(|m| (u64::from(*m) >> cut << cut) as u32).collect();
                    assert_eq!(m, want, "{shape:?} {lowest} {stop}");
                    assert_eq!(s, zero_signs(&want, &signs));
                }
            }
        }
    }

    #[test]
    fn all_of_u64_round_trips() {
        let mags: Vec<u64> = (0..64).map(|i| 1u64 << i).chain([u64::MAX, 0, 5, u64::MAX - 1]).collect();
        let signs: Vec<bool> = (0..mags.len()).map(|i| i % 3 == 0 && mags[i] != 0).collect();
        let bytes = encode_planes(&mags, &signs, &[4, 17], 0);
        let (mut m, mut s) = (vec![0u64; mags.len()], vec![false; mags.len()]);
        decode_planes(&bytes, &[4, 17], 0, &mut m, &mut s).unwrap();
        assert_eq!((m, s), (mags, signs));
        let e = decode_planes(&bytes, &[4, 17], 0, &mut [0u32; 68], &mut [false; 68]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn costs_little_more_than_if_the_scale_were_known() {
        for (scale, limit) in [(1e3, 1.13), (3e4, 1.03), (1e6, 1.02)] {
            let shape = [32usize, 32, 32];
            let (mags, signs) = coefficients(&shape, scale);
            let bits = encode_planes(&mags, &signs, &shape, 0).len() as f64 * 8.0;
            // Each magnitude is geometric with ratio q; each sign takes a bit.
            let mut ideal = 0.0;
            for (i, &m) in mags.iter().enumerate() {
                let r = (1 + i / 1024 + i / 32 % 32 + i % 32) as f64;
                let q = libm::exp(-r * r / scale);
                ideal -= (f64::from(m) * libm::log(q) + libm::log(1.0 - q)) / core::f64::consts::LN_2;
                ideal += f64::from(m.min(1));
            }
            assert!(bits < limit * ideal, "scale {scale}: {bits} against {ideal}");
        }
    }

    #[test]
    fn a_prefix_gives_its_whole_planes_and_is_truncated() {
        let shape = [6usize, 7, 8];
        let (mags, signs) = coefficients(&shape, 1e5);
        let bytes = encode_planes(&mags, &signs, &shape, 2);
        let (mut m, mut s) = (vec![0u32; mags.len()], vec![false; mags.len()]);
        let mut last = 32;
        for cut in 0..bytes.len() {
            let e = decode_planes(&bytes[..cut], &shape, 0, &mut m, &mut s).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "cut {cut}");
            if cut < 2 {
                assert!(decode_planes_prefix(&bytes[..cut], &shape, &mut m, &mut s).is_err());
                continue;
            }
            let reached = decode_planes_prefix(&bytes[..cut], &shape, &mut m, &mut s).unwrap();
            assert!(reached <= last);
            last = reached;
            let want: Vec<u32> = mags.iter().map(|m| m >> reached << reached).collect();
            assert_eq!(m, want, "cut {cut} reached {reached}");
            assert_eq!(s, zero_signs(&want, &signs));
        }
        assert!(last <= 4);
        assert_eq!(decode_planes_prefix(&bytes, &shape, &mut m, &mut s), Ok(2));
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [3usize, 6, 5, 4];
        let (mags, signs) = coefficients(&shape, 1e5);
        let signs = zero_signs(&mags, &signs);
        let bytes = encode_planes(&mags, &signs, &shape, 0);
        let (mut m, mut s) = (vec![0u32; mags.len()], vec![false; mags.len()]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let wrong = decode_planes(&bad, &shape, 0, &mut m, &mut s).is_err() || m != mags || s != signs;
                assert!(wrong, "byte {at} bit {bit}");
                let _ = decode_planes_prefix(&bad, &shape, &mut m, &mut s);
            }
        }
        assert_eq!(decode_planes(&bytes, &[3, 6], 0, &mut m, &mut s).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    /// A change of these is a change of the format.
    #[test]
    fn bytes_are_those_of_the_format() {
        let shape = [2usize, 6, 7, 40];
        let (mags, signs) = coefficients(&shape, 1e5);
        let bytes = encode_planes(&mags, &signs, &shape, 1);
        assert_eq!((bytes.len(), crate::bits::crc32c(&bytes)), (3890, 0xa9cd_ca3e));
    }
}
