//! ZFP streams: blocks of `4^d` values in block floating point, a decorrelating transform, and bit planes cut off where a rate, a
//! precision or a tolerance says so. The same bits as the original, both ways.
//!
//! P. Lindstrom, "Fixed-rate compressed floating-point arrays", 2014; J. Diffenderfer, A. Fox, J. Hittinger, G. Sanders,
//! P. Lindstrom, "Error analysis of ZFP compression for floating-point data", 2019; the documentation of ZFP 1.0, of the modes, the
//! header and the padding of blocks.
//!
//! # Format
//! A stream is bits, the least significant of a number first, in 64-bit little-endian words, the last filled with zeros. Arrays
//! have 1 to 4 axes and the types `i32 i64 f32 f64`.
//!
//! | bits | header |
//! |---|---|
//! | 24, 8 | `zfp`, the version 5 |
//! | 2 | type: 0 `i32`, 1 `i64`, 2 `f32`, 3 `f64` |
//! | 2 | d, the number of axes, less one |
//! | 48 | the extents less one in 48/d bits each, the last axis first |
//! | 12 | mode: below 2048 the rate, the bits of a block less one; below 2176 the precision, 2048 and the planes less one; 2176 reversible; below 4095 the accuracy, 3251 and the exponent; 4095 all limits follow |
//! | 15, 15, 7, 15 | all limits: least and most bits of a block, most planes, each less one; the least exponent and 16495 |
//!
//! The limits of the modes, where nothing else is said, are 1 to 16658 bits, 64 planes, exponent -1074; of the reversible mode
//! exponent -1075, and that of all that have a lesser one.
//!
//! Blocks of `4^d` values follow, the last axis fastest, inside as well. What a block at the far end of an axis lacks of four values is
//! filled along it, the last axis first: of `a` as `aaaa`, `ab` as `abba`, `abc` as `abca`. A block ends when it has its most bits, and
//! has zeros up to its least.
//!
//! **Lossy, floats**: a bit 0 for a block of zeros; else 1 and e in 8 (`f64`: 11) bits, which is 128 (1024) more than the
//! exponent of the largest magnitude, but 1 at least. The values times `2^(157 - e)` (`2^(1085 - e)`), truncated, are transformed and
//! coded in at most `e - 127 (1023) - exponent + 2 (d + 1)` planes. A block with no plane is one of zeros. **Lossy, integers**: the values as
//! they are, of magnitudes below `2^30` (`2^62`).
//!
//! The transform takes lines of four values along the last axis, then along each before it, halves rounded down:
//! `x += w; x >>= 1; w -= x; z += y; z >>= 1; y -= z; x += z; x >>= 1; z -= x; w += y; w >>= 1; y -= w; w += y >> 1; y -= w >> 1`. Reading, along the first axis
//! first: `y += w >> 1; w -= y >> 1; y += w; w <<= 1; w -= y; z += x; x <<= 1; x -= z; y += z; z <<= 1; z -= y; w += x; x <<= 1; x -= w`.
//! A float is its integer in the type times `2^(e - 157)` (`2^(e - 1085)`), rounded to a number of the type, in the arithmetic of the type.
//!
//! **Reversible, floats**: a bit 0 for a block of +0; else 1, and 0 and e as above, if the truncated values give back the very
//! bits and `e >= 30` (62); else 1, and the values are the integers of their bits, all but the sign flipped where it is set. **Integers**: as they are. Then
//! the number of planes less one in 5 (64-bit types: 6) bits, so that those left out are zero. The transform takes `w -= z; z -= y; y -= x; w -= z; z -= y; w -= z`.
//!
//! **Planes**: the integers, wrapped to their width, in base -2, in the order tabled in the file `lift.rs`, by the sum of frequencies. Of each
//! plane, the highest first, the bits of the n values reached before (0 at first) follow as they are. Then, until all are reached: a bit 0 if no
//! other is set; else 1, and the bits up to and with the next 1, which is left out if it is the last value's; those are reached.

mod block;
mod grid;
mod lift;
mod params;
mod planes;
mod stream;

pub use block::Scalar;
pub use params::{exponent, extent_bits, Header, Params};

use crate::bits::{widest, Work};
use crate::error::{Error, Result};
use grid::Grid;
use stream::{Reader, Writer};

/// Appends the stream of `x`, in C order, to `out`. Floats must be finite, and integers of lossy modes below a quarter of the
/// largest; others come back as anything. Errors: `InvalidArgument` unless the header is that of such values.
pub fn encode<T: Scalar>(x: &[T], header: &Header, out: &mut Vec<u8>) -> Result<()> {
    if header.dtype != T::DTYPE || header.values() != Some(x.len()) {
        return Err(Error::invalid(format!("expected values of {header:?}, found {} of {}", x.len(), T::DTYPE)));
    }
    let mut w = Writer::new(out);
    header.write(&mut w)?;
    let w = match header.rank {
        1 => widest(Encode::<T, 4, 4, 1> { x, header, w }),
        2 => widest(Encode::<T, 16, 16, 1> { x, header, w }),
        3 => widest(Encode::<T, 64, 64, 1> { x, header, w }),
        _ => widest(Encode::<T, 256, 64, 4> { x, header, w }),
    };
    w.finish();
    Ok(())
}

/// Fills `out`, an array of these extents in C order, with what the stream holds. Total on all bytes.
/// Errors: `Corrupt` when it holds another type or other extents, `Truncated`, and those of [`Header::read`].
pub fn decode<T: Scalar>(bytes: &[u8], extents: &[usize], out: &mut [T]) -> Result<()> {
    let mut r = Reader::new(bytes);
    let header = Header::take(&mut r)?;
    let known = header.dtype == T::DTYPE && header.extents() == extents;
    if !known || header.values() != Some(out.len()) {
        return Err(Error::corrupt(format!("expected a stream of {extents:?} {}, found {header:?}", T::DTYPE)));
    }
    let h = &header;
    let r = match h.rank {
        1 => widest(Decode::<T, 4, 4, 1> { out, header: h, r }),
        2 => widest(Decode::<T, 16, 16, 1> { out, header: h, r }),
        3 => widest(Decode::<T, 64, 64, 1> { out, header: h, r }),
        _ => widest(Decode::<T, 256, 64, 4> { out, header: h, r }),
    };
    r.finish()
}

/// At most `most` blocks of an array of these extents, spread evenly, one after the other: an array itself, whose extents are 4
/// but for the first. Errors: `InvalidArgument` unless `x` has such extents.
pub fn sample<T: Scalar>(x: &[T], extents: &[usize], most: usize) -> Result<Vec<T>> {
    let header = Header::new(T::DTYPE, extents, Params::ALL)?;
    if header.values() != Some(x.len()) {
        return Err(Error::invalid(format!("expected values of extents {extents:?}, found {}", x.len())));
    }
    let grid = Grid::new(&header);
    let n = grid.len().min(most);
    let mut out = Vec::with_capacity(n << (2 * header.rank));
    for i in 0..n {
        let place = grid.place((2 * i + 1) * grid.len() / (2 * n));
        match header.rank {
            1 => out.extend(grid.gather::<T, 4>(x, &place)),
            2 => out.extend(grid.gather::<T, 16>(x, &place)),
            3 => out.extend(grid.gather::<T, 64>(x, &place)),
            _ => out.extend(grid.gather::<T, 256>(x, &place)),
        }
    }
    Ok(out)
}

/// Encodes all blocks of `N = 4^d` values, whose planes are `W` words of `R` bits.
struct Encode<'a, T, const N: usize, const R: usize, const W: usize> {
    x: &'a [T],
    header: &'a Header,
    w: Writer<'a>,
}

impl<'a, T: Scalar, const N: usize, const R: usize, const W: usize> Work for Encode<'a, T, N, R, W> {
    type Output = Writer<'a>;
    #[inline(always)]
    fn run(self) -> Writer<'a> {
        let (grid, params, mut w) = (Grid::new(self.header), self.header.params, self.w);
        for p in grid.blocks() {
            block::encode::<T, N, R, W>(&grid.gather(self.x, &p), &params, &mut w);
        }
        w
    }
}

/// The inverse of [`Encode`].
struct Decode<'a, 'b, T, const N: usize, const R: usize, const W: usize> {
    out: &'b mut [T],
    header: &'a Header,
    r: Reader<'a>,
}

impl<'a, T: Scalar, const N: usize, const R: usize, const W: usize> Work for Decode<'a, '_, T, N, R, W> {
    type Output = Reader<'a>;
    #[inline(always)]
    fn run(self) -> Reader<'a> {
        let (grid, params, mut r, out) = (Grid::new(self.header), self.header.params, self.r, self.out);
        for p in grid.blocks() {
            grid.scatter::<T, N>(&block::decode::<T, N, R, W>(&params, &mut r), &p, out);
        }
        r
    }
}
