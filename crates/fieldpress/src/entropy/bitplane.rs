//! Embedded bit planes: magnitudes and signs of coefficients, most significant plane first, so that decoding can stop at
//! any plane and a prefix of the stream gives all planes it holds whole.
//!
//! Source: J. M. Shapiro, "Embedded image coding using zerotrees of wavelet coefficients", 1993, with the contexts of block
//! coding in JPEG 2000 (D. Taubman, "High performance scalable image compression with EBCOT", 2000) made magnitudes
//! instead of significance.
//!
//! # Format
//!
//! No coefficients are no bytes. Otherwise byte 0 is `P`, the number of bits of the largest magnitude, byte 1 the lowest
//! plane coded `L`; the rest is one range-coded stream, with planes `P - 1` down to `L` (none if `P <= L`). Axes of length
//! 1 are dropped; the last three axes that are left are `z, y, x`. In each plane `p` every coefficient, in C order, gives:
//!
//! | its magnitude so far, `m` | decisions |
//! |---|---|
//! | 0 | bit `p`, with a significance model; if true, whether it is negative, with a sign model |
//! | not 0 | bit `p`, with a refinement model |
//!
//! `m` has the bits above `p`, and for coefficients before this one bit `p` too; outside the array it is 0.
//! `a` is the sum of `min(m >> p, 15)` over the two neighbours on `x`; `b` the same over the neighbours on `y` and `z`.
//! `d` is the sum over the (up to 4) neighbours `(y-1, x-1) (y-1, x+1) (y+1, x-1) (y+1, x+1)`, if there is a `y`.
//!
//! | model | chosen by |
//! |---|---|
//! | significance | class of `a` (0, 1, 2, 3..4, 5..), class of `b` (0, 1, 2, 3..4, 5..8, 9..), class of `d` (0, 1..2, 3..) |
//! | sign | sum of the signs of the significant neighbours on `x`; the same on `y`; each clamped to -1..=1 |
//! | refinement | refined never, once, more often; class of `a + b` (0..2, 3..8, 9..) |

use super::range::{BinaryDecoder, BinaryEncoder, Bit};
use crate::error::{Error, Result};

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

/// The coder's two directions, so that one walk serves both.
trait Coder {
    /// Codes `bit()`, or decodes without asking for it; returns the decision.
    fn code(&mut self, model: &mut Bit, bit: impl FnOnce() -> bool) -> bool;
}
impl Coder for BinaryEncoder {
    #[inline(always)]
    fn code(&mut self, model: &mut Bit, bit: impl FnOnce() -> bool) -> bool {
        let bit = bit();
        self.encode(model, bit);
        bit
    }
}
impl Coder for BinaryDecoder<'_> {
    #[inline(always)]
    fn code(&mut self, model: &mut Bit, _: impl FnOnce() -> bool) -> bool {
        self.decode(model)
    }
}

const A_CLASS: [u8; 32] =
    [0, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4];

struct Models {
    significance: [[[Bit; 3]; 6]; 5],
    sign: [[Bit; 3]; 3],
    refinement: [[Bit; 3]; 3],
}

/// What is known of the coefficients so far, with a border of zeros that rows and planes share.
struct Known<M> {
    mags: Vec<M>,
    /// -1, 1, or 0 while not significant.
    signs: Vec<i8>,
    /// Lengths of the last three axes and of all others together.
    outer: usize,
    dims: [usize; 3],
    /// Axes with neighbours: 1 to 3.
    axes: usize,
    strides: [usize; 2],
    /// Cell of the first coefficient.
    base: usize,
}

impl<M: Magnitude> Known<M> {
    /// Errors: `InvalidArgument` when `shape` has not `len` elements.
    fn new(shape: &[usize], len: usize) -> Result<Self> {
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            return Err(Error::invalid(format!("bit planes: expected {len} elements, found the shape {shape:?}")));
        }
        let mut dims = [1; 3];
        let mut axes = 0;
        let mut outer = 1;
        for &d in shape.iter().rev().filter(|d| **d != 1) {
            if axes < 3 {
                dims[2 - axes] = d;
                axes += 1;
            } else {
                outer *= d;
            }
        }
        let too_large = || Error::invalid(format!("bit planes: the shape {shape:?} is too large"));
        let row = dims[2].checked_add(1).ok_or_else(too_large)?;
        let slab = if axes > 1 { dims[1].checked_add(1).and_then(|n| n.checked_mul(row)) } else { Some(row) };
        let slab = slab.ok_or_else(too_large)?;
        let base = if axes > 1 { 1 + row } else { 1 };
        let cells = slab.checked_mul(dims[0]).and_then(|n| n.checked_mul(outer));
        let cells = cells.and_then(|n| n.checked_add(base)).ok_or_else(too_large)?;
        // Stacked arrays follow each other directly: the neighbours on `z` of the first and last slab are not looked at.
        let mut known = Known { mags: Vec::new(), signs: Vec::new(), outer, dims, axes, strides: [slab, row], base };
        known.mags.try_reserve_exact(cells).map_err(|_| too_large())?;
        known.signs.try_reserve_exact(cells).map_err(|_| too_large())?;
        known.mags.resize(cells, M::default());
        known.signs.resize(cells, 0);
        Ok(known)
    }

    /// Codes plane `p` of all coefficients; `get` gives magnitude and sign when encoding.
    fn plane<C: Coder>(&mut self, coder: &mut C, models: &mut Models, p: u32, get: impl Fn(usize) -> (M, bool)) {
        match self.axes {
            0 | 1 => self.plane_of::<1, C>(coder, models, p, get),
            2 => self.plane_of::<2, C>(coder, models, p, get),
            _ => self.plane_of::<3, C>(coder, models, p, get),
        }
    }

    fn plane_of<const AXES: usize, C: Coder>(
        &mut self,
        coder: &mut C,
        models: &mut Models,
        p: u32,
        get: impl Fn(usize) -> (M, bool),
    ) {
        let [slab, row] = self.strides;
        let [depth, height, width] = self.dims;
        let mut coefficient = 0;
        for z in 0..self.outer * depth {
            for y in 0..height {
                let first = self.base + z * slab + y * row;
                let (near, far) = (z % depth > 0, z % depth + 1 < depth);
                for i in first..first + width {
                    let at = |j: usize| (self.mags[j].into() >> p).min(15) as usize;
                    let a = at(i - 1) + at(i + 1);
                    let (mut b, mut d) = (0, 0);
                    if AXES > 1 {
                        b += at(i - row) + at(i + row);
                        d = at(i - row - 1) + at(i - row + 1) + at(i + row - 1) + at(i + row + 1);
                    }
                    if AXES > 2 {
                        b += if near { at(i - slab) } else { 0 } + if far { at(i + slab) } else { 0 };
                    }
                    let m: u64 = self.mags[i].into();
                    if m == 0 {
                        let b = [0, 1, 2, 3, 3, 4, 4, 4, 4, 5][b.min(9)];
                        let d = [0, 1, 1, 2][d.min(3)];
                        let model = &mut models.significance[usize::from(A_CLASS[a & 31])][b][d];
                        if coder.code(model, || get(coefficient).0.into() >> p & 1 != 0) {
                            let side = |l: i8, r: i8| (l + r).signum() as usize;
                            let sx = side(self.signs[i - 1], self.signs[i + 1]).wrapping_add(1);
                            let sy = if AXES > 1 { side(self.signs[i - row], self.signs[i + row]) } else { 0 };
                            let model = &mut models.sign[sx.min(2)][sy.wrapping_add(1).min(2)];
                            let negative = coder.code(model, || get(coefficient).1);
                            self.mags[i] = M::from_u64(1 << p);
                            self.signs[i] = if negative { -1 } else { 1 };
                        }
                    } else {
                        let refined = (m >> p).ilog2().saturating_sub(1).min(2) as usize;
                        let class = [0, 0, 0, 1, 1, 1, 1, 1, 1, 2][(a + b).min(9)];
                        let model = &mut models.refinement[refined][class];
                        let bit = coder.code(model, || get(coefficient).0.into() >> p & 1 != 0);
                        self.mags[i] = M::from_u64(m | u64::from(bit) << p);
                    }
                    coefficient += 1;
                }
            }
        }
    }

    /// The first cell of each row, in C order.
    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.outer * self.dims[0])
            .flat_map(move |z| (0..self.dims[1]).map(move |y| self.base + z * self.strides[0] + y * self.strides[1]))
    }

    /// Copies what is known, planes below `lowest` left out.
    fn copy_to(&self, lowest: u32, mags: &mut [M], signs: &mut [bool]) {
        let width = self.dims[2];
        let rows = self.rows().zip(mags.chunks_exact_mut(width.max(1)).zip(signs.chunks_exact_mut(width.max(1))));
        for (first, (mags, signs)) in rows {
            let cells = self.mags[first..first + width].iter().zip(&self.signs[first..first + width]);
            for ((m, s), (&known, &sign)) in mags.iter_mut().zip(signs).zip(cells) {
                let v = known.into().checked_shr(lowest).unwrap_or(0).checked_shl(lowest).unwrap_or(0);
                *m = M::from_u64(v);
                *s = v != 0 && sign < 0;
            }
        }
    }
}

fn models() -> Models {
    let new = Bit::new();
    Models { significance: [[[new; 3]; 6]; 5], sign: [[new; 3]; 3], refinement: [[new; 3]; 3] }
}

/// Codes planes `lowest_plane` and up of the coefficients with magnitudes `mags` and signs `signs` (true is negative, of no
/// account for 0), in C order in an array of shape `shape`. A shape of another size is taken as one axis.
pub fn encode_planes<M: Magnitude>(mags: &[M], signs: &[bool], shape: &[usize], lowest_plane: u32) -> Vec<u8> {
    debug_assert!(mags.len() == signs.len());
    let known = Known::<M>::new(shape, mags.len()).or_else(|_| Known::new(&[mags.len()], mags.len()));
    let (Ok(mut known), false) = (known, mags.is_empty()) else { return Vec::new() };
    let all = mags.iter().fold(0, |all, &m| all | m.into());
    let top = 64 - all.leading_zeros();
    let mut enc = BinaryEncoder::new();
    let mut models = models();
    for p in (lowest_plane..top).rev() {
        let get = |i: usize| (mags.get(i).copied().unwrap_or_default(), signs.get(i).copied().unwrap_or(false));
        known.plane(&mut enc, &mut models, p, get);
    }
    let mut out = vec![top as u8, lowest_plane.min(64) as u8];
    out.extend(enc.finish());
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
    let mut known = Known::new(shape, mags.len())?;
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
    let lowest = lowest_plane.max(coded).min(top);
    let mut dec = BinaryDecoder::new(rest);
    let mut models = models();
    let mut reached = top;
    while reached > lowest {
        known.plane(&mut dec, &mut models, reached - 1, |_| (M::default(), false));
        if !dec.is_determined() {
            break;
        }
        reached -= 1;
    }
    if reached <= coded {
        dec.finish()?;
    }
    known.copy_to(reached, mags, signs);
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
}
