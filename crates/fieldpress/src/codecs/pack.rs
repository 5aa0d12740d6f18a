//! `pack`: rounding to twice the tolerance, n-dimensional integer differences, groups of 16 with one width each. For speed.
//!
//! Source: L. Ibarria, P. Lindstrom, J. Rossignac, A. Szymczak, "Out-of-core compression and decompression of large
//! n-dimensional scalar fields", 2003 (the Lorenzo predictor, here on the rounded integers, so that rows need not wait for one
//! another).
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | tolerance t, `f64` |
//! | 1 | bit `k`: differences are taken along axis `k` |
//! | rest | the differences, zigzag, in C order, as [`crate::entropy::packing`] packs them |
//!
//! A value is `q` times the step, in `f64`, cast to the type; the step is `2 t`, for integers `2 floor(t) + 1`. The
//! differences, modulo 2^32, are taken of `q` along one axis after the other; before the first index of an axis is 0.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape};
use crate::bits::{widest, ByteReader, Work};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::entropy::{Packer, Unpacker, GROUP};
use crate::error::{Error, Result};
use crate::quantize::{before_rounding, Uniform, ROUNDING};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "pack",
    doc: "Rounding, n-dimensional integer differences, and groups of bits of one width: the fastest.",
    params: &[],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Pack>("pack", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration: nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {}

impl Codec for Pack {
    fn id(&self) -> &'static str {
        "pack"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(KernelBlocks(BoundPack { shape: spec.shape })))
    }
}

/// Values handled at a time: all that is known of them stays in the nearest cache.
const PIECE: usize = 1024;
/// Groups of a piece.
const GROUPS: usize = PIECE / GROUP;
/// Largest magnitude of a rounded value.
const LARGEST: f64 = (1 << 30) as f64;

struct BoundPack {
    shape: Shape,
}

impl Kernel for BoundPack {
    fn encode<T: Element>(
        &self,
        x: &[T],
        _mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        let tolerance = before_rounding(tolerance, x);
        let rounding = Rounding::new::<T>(tolerance, hint.abs);
        let axes = choose(x, &self.shape, &rounding);
        out.extend_from_slice(&tolerance.to_le_bytes());
        out.push(axes);
        let mut differences = Differences::new(&self.shape, axes);
        let mut packer = Packer::new(x.len().div_ceil(GROUP));
        let (mut inside, mut fits) = (true, true);
        // Rows are filled into whole groups, whatever their length.
        let mut groups = [[0u32; GROUP]; 2 * GROUPS];
        let mut filled = 0;
        let mut q = [0i32; PIECE];
        for (at, n) in differences.pieces() {
            let q = &mut q[..n];
            let out = &mut groups.as_flattened_mut()[filled..filled + n];
            let piece = Forward { rounding: &rounding, x: &x[at..at + n], q, differences: &mut differences, at, out };
            let (good, small) = widest(piece);
            inside &= good;
            fits &= small;
            filled += n;
            if filled >= PIECE {
                let whole = filled / GROUP;
                packer.put(&groups[..whole]);
                let flat = groups.as_flattened_mut();
                flat.copy_within(whole * GROUP..filled, 0);
                filled -= whole * GROUP;
            }
        }
        if !fits {
            return Err(Error::invalid(format!(
                "expected values of at most 2^30 steps, found a step of {:e}",
                rounding.step
            )));
        }
        groups.as_flattened_mut()[filled..].fill(0);
        packer.put(&groups[..filled.div_ceil(GROUP)]);
        packer.finish(out);
        // Integers of 64 bits are not all numbers of `f64`, in which errors were computed.
        let known = T::DTYPE.is_float() || T::BITS < 64;
        Ok(if inside && known { Claim::Bounded } else { Claim::Unchecked })
    }

    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let step = Uniform::new::<T>(r.f64()?).step();
        let axes = r.u8()?;
        let mut unpacker = Unpacker::new(r.rest(), out.len().div_ceil(GROUP))?;
        let mut differences = Differences::new(&self.shape, axes);
        let mut groups = [[0u32; GROUP]; 2 * GROUPS];
        // Values that are unpacked but not used yet lie in `from..to`.
        let (mut from, mut to) = (0, 0);
        let mut q = [0i32; PIECE];
        for (at, n) in differences.pieces() {
            if to - from < n {
                let flat = groups.as_flattened_mut();
                flat.copy_within(from / GROUP * GROUP..to, 0);
                (from, to) = (from % GROUP, to - from / GROUP * GROUP);
                let first = to / GROUP;
                unpacker.get(&mut groups[first..first + GROUPS]);
                to += PIECE;
            }
            let q = &mut q[..n];
            let packed = &groups.as_flattened()[from..from + n];
            widest(Inverse { step, packed, q, differences: &mut differences, at, out: &mut out[at..at + n] });
            from += n;
        }
        Ok(())
    }
}

/// Rounds a piece and takes its differences.
struct Forward<'a, T> {
    rounding: &'a Rounding,
    x: &'a [T],
    q: &'a mut [i32],
    differences: &'a mut Differences,
    at: usize,
    out: &'a mut [u32],
}

impl<T: Element> Work for Forward<'_, T> {
    type Output = (bool, bool);
    #[inline(always)]
    fn run(self) -> (bool, bool) {
        let known = self.rounding.round(self.x, self.q);
        self.differences.forward(self.at, self.q, self.out);
        known
    }
}

/// Sums the differences of a piece up to values.
struct Inverse<'a, T> {
    step: f64,
    packed: &'a [u32],
    q: &'a mut [i32],
    differences: &'a mut Differences,
    at: usize,
    out: &'a mut [T],
}

impl<T: Element> Work for Inverse<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.differences.inverse(self.at, self.packed, self.q);
        for (o, &q) in self.out.iter_mut().zip(&*self.q) {
            *o = T::from_f64(f64::from(q) * self.step);
        }
    }
}

/// How values become integers.
struct Rounding {
    step: f64,
    inverse: f64,
    /// Errors that round below this are below the tolerance.
    limit: f64,
}

impl Rounding {
    fn new<T: Element>(tolerance: f64, limit: f64) -> Rounding {
        let step = Uniform::new::<T>(tolerance).step();
        Rounding { step, inverse: 1.0 / step, limit }
    }
    /// Rounds `x` to `q`. Returns whether all errors are below the limit, and whether all integers are small.
    #[inline(always)]
    fn round<T: Element>(&self, x: &[T], q: &mut [i32]) -> (bool, bool) {
        let (mut near, mut small) = (true, true);
        for (q, &x) in q.iter_mut().zip(x) {
            let x = x.to_f64();
            let sum = x * self.inverse + ROUNDING;
            let rounded = sum - ROUNDING;
            let y = T::from_f64(rounded * self.step).to_f64();
            // What is not a number is neither.
            near &= (x - y).abs() < self.limit;
            small &= rounded.abs() < LARGEST;
            *q = sum.to_bits() as i32;
        }
        (near, small)
    }
}

/// Differences along some axes, piece by piece in C order.
struct Differences {
    /// Length of the rows, and whether differences are taken along them.
    row: usize,
    along: bool,
    len: usize,
    /// The other axes, the outermost first.
    axes: Vec<Axis>,
    /// The last value of the piece before.
    last: i32,
}

struct Axis {
    extent: usize,
    /// Distance between neighbours, and the values of that many places before.
    stride: usize,
    before: Vec<i32>,
}

impl Axis {
    /// What lies one index behind the values `q` from `at`; at the first index nothing does, and `q` is kept for the next.
    #[inline(always)]
    fn behind(&mut self, at: usize, q: &[i32]) -> Option<&mut [i32]> {
        let place = at % self.stride;
        let before = &mut self.before[place..place + q.len()];
        let first = (at / self.stride).is_multiple_of(self.extent);
        if first {
            before.copy_from_slice(q);
        }
        (!first).then_some(before)
    }
}

impl Differences {
    fn new(shape: &Shape, axes: u8) -> Differences {
        let strides = shape.strides();
        let last = row_axis(shape);
        let wanted = |k: &usize| axes >> *k & 1 == 1 && shape[*k] > 1;
        let axis = |k: usize| Axis { extent: shape[k], stride: strides[k], before: vec![0; strides[k]] };
        Differences {
            row: shape.get(last).copied().unwrap_or(1),
            along: axes >> last & 1 == 1,
            len: shape.len(),
            axes: (0..last).filter(wanted).map(axis).collect(),
            last: 0,
        }
    }
    /// Stretches of rows, as start and length.
    fn pieces(&self) -> impl Iterator<Item = (usize, usize)> {
        let (len, row) = (self.len, self.row.max(1));
        let mut at = 0;
        std::iter::from_fn(move || {
            let n = (row - at % row).min(PIECE).min(len - at);
            let piece = (n > 0).then_some((at, n));
            at += n;
            piece
        })
    }
    /// Takes differences of `q`, the values from `at`, and writes them zigzag. `q` is overwritten.
    #[inline(always)]
    fn forward(&mut self, at: usize, q: &mut [i32], out: &mut [u32]) {
        for axis in &mut self.axes {
            let Some(before) = axis.behind(at, q) else { continue };
            for (v, b) in q.iter_mut().zip(before) {
                let old = std::mem::replace(b, *v);
                *v = v.wrapping_sub(old);
            }
        }
        let zigzag = |d: i32| (d << 1 ^ d >> 31) as u32;
        if !self.along {
            out.iter_mut().zip(q).for_each(|(o, v)| *o = zigzag(*v));
            return;
        }
        let first = if at.is_multiple_of(self.row) { 0 } else { self.last };
        if let (Some(o), Some(v)) = (out.first_mut(), q.first()) {
            *o = zigzag(v.wrapping_sub(first));
        }
        for ((o, v), left) in out.iter_mut().skip(1).zip(q.iter().skip(1)).zip(&*q) {
            *o = zigzag(v.wrapping_sub(*left));
        }
        self.last = q.last().copied().unwrap_or(0);
    }
    /// The inverse of [`Differences::forward`].
    #[inline(always)]
    fn inverse(&mut self, at: usize, from: &[u32], q: &mut [i32]) {
        let signed = |z: u32| (z >> 1) as i32 ^ -((z & 1) as i32);
        if self.along {
            let mut sum = if at.is_multiple_of(self.row) { 0 } else { self.last };
            for (v, z) in q.iter_mut().zip(from) {
                sum = sum.wrapping_add(signed(*z));
                *v = sum;
            }
            self.last = sum;
        } else {
            q.iter_mut().zip(from).for_each(|(v, z)| *v = signed(*z));
        }
        for axis in self.axes.iter_mut().rev() {
            let Some(before) = axis.behind(at, q) else { continue };
            for (v, b) in q.iter_mut().zip(before) {
                *v = v.wrapping_add(*b);
                *b = *v;
            }
        }
    }
}

/// The last axis longer than 1.
fn row_axis(shape: &Shape) -> usize {
    shape.iter().rposition(|&d| d > 1).unwrap_or(0)
}

/// Rows that are looked at to choose axes, and how many values of each.
const ROWS: usize = 16;
const WIDTH: usize = 128;

/// The axes along which differences are shortest: all, all but the first, or the last alone.
fn choose<T: Element>(x: &[T], shape: &Shape, rounding: &Rounding) -> u8 {
    let last = row_axis(shape);
    let all = ((2u32 << last) - 1) as u8;
    let mut best = (f64::INFINITY, all);
    let mut choices = vec![all, all & !1, 1 << last];
    choices.dedup();
    if choices.len() == 1 || x.is_empty() {
        return all;
    }
    let row = shape.get(last).copied().unwrap_or(1).max(1);
    let rows = x.len() / row;
    let strides = shape.strides();
    for axes in choices.into_iter().filter(|&a| a != 0) {
        let outer: Vec<usize> = (0..last).filter(|&k| axes >> k & 1 == 1 && shape[k] > 1).collect();
        let mut cost = 0.0;
        for i in 0..ROWS.min(rows) {
            // A row from anywhere but the faces, where that is possible.
            let number = (2 * i + 1) * rows / (2 * ROWS.min(rows));
            let mut at = number * row;
            for &k in &outer {
                at += if (at / strides[k]).is_multiple_of(shape[k]) { strides[k] } else { 0 };
            }
            let from = (row.saturating_sub(WIDTH)) / 2;
            let n = row.min(WIDTH);
            let mut sum = [0i32; WIDTH];
            let mut q = [0i32; WIDTH];
            for corner in 0..1usize << outer.len() {
                let back: usize =
                    outer.iter().enumerate().filter(|(b, _)| corner >> b & 1 == 1).map(|(_, &k)| strides[k]).sum();
                let start = (at + from).saturating_sub(back);
                let Some(part) = x.get(start..start + n) else { continue };
                rounding.round(part, &mut q[..n]);
                let odd = corner.count_ones() % 2 == 1;
                for (s, q) in sum.iter_mut().zip(&q[..n]) {
                    *s = if odd { s.wrapping_sub(*q) } else { s.wrapping_add(*q) };
                }
            }
            for k in (1..n).rev() {
                sum[k] = sum[k].wrapping_sub(sum[k - 1]);
            }
            for group in sum[1.min(n)..n].chunks(GROUP) {
                let any = group.iter().fold(0u32, |o, d| o | (d << 1 ^ d >> 31) as u32);
                cost += f64::from(32 - any.leading_zeros());
            }
        }
        if cost < best.0 {
            best = (cost, axes);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Element>(x: &[T], shape: &[usize], axes: u8) {
        let shape = Shape::new(shape).unwrap();
        let q: Vec<i32> = x.iter().map(|v| v.to_f64() as i32).collect();
        let (mut d, mut back) = (vec![0; q.len()], vec![0; q.len()]);
        let mut f = Differences::new(&shape, axes);
        for (at, n) in f.pieces() {
            f.forward(at, &mut q.clone()[at..at + n], &mut d[at..at + n]);
        }
        let mut f = Differences::new(&shape, axes);
        for (at, n) in f.pieces() {
            f.inverse(at, &d[at..at + n], &mut back[at..at + n]);
        }
        assert_eq!(q, back, "{shape:?} {axes}");
    }

    #[test]
    fn differences_come_back_for_any_shape_and_axes() {
        for shape in [&[][..], &[1], &[0], &[3000], &[5, 7], &[3, 1, 4], &[2, 3, 4, 5], &[3, 1500]] {
            let n: usize = shape.iter().product();
            let x: Vec<i32> = (0..n as i32).map(|i| i * i % 1013 - 500).collect();
            (0..16).for_each(|axes| round_trip(&x, shape, axes));
        }
    }

    #[test]
    fn smooth_axes_are_found() {
        let r = Rounding::new::<f32>(0.5, 0.5);
        let noise = |i: usize| {
            let s = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let s = (s ^ s >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            ((s ^ s >> 27) % 997) as f32
        };
        let shape = Shape::new(&[6, 40, 50]).unwrap();
        // Planes that have nothing to do with each other, smooth inside.
        let x: Vec<f32> =
            (0..12_000).map(|i| 900.0 * noise(i / 2000) + (i % 50 * 7 + i / 50 % 40 * 11) as f32).collect();
        assert_eq!(choose(&x, &shape, &r), 0b111, "a constant between planes goes with the differences inside");
        // Noise: every axis more makes differences larger.
        let x: Vec<f32> = (0..12_000).map(noise).collect();
        assert_eq!(choose(&x, &shape, &r), 0b100);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = Shape::new(&[9, 20, 13]).unwrap();
        let codec = BoundPack { shape };
        let x: Vec<f32> = (0..shape.len()).map(|i| (i * i % 1009) as f32).collect();
        let mut bytes = Vec::new();
        codec.encode(&x, None, 0.3, &Term { abs: 0.3, rel: 0.0 }, &mut bytes).unwrap();
        let mut y = vec![0f32; x.len()];
        codec.decode(&bytes, None, &mut y).unwrap();
        assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() <= 0.3));
        for cut in 0..bytes.len() {
            assert!(codec.decode(&bytes[..cut], None, &mut y).is_err());
        }
        for at in 0..bytes.len().min(300) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = codec.decode(&bad, None, &mut y);
        }
        for b in 0..=255 {
            let _ = codec.decode(&[b; 90], None, &mut y);
        }
    }
}
