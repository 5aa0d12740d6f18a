//! `lorenzo`: values rounded to multiples of twice the tolerance, then integer differences along every axis, entropy coded
//! by the magnitudes of differences already known.
//!
//! Ibarria, Lindstrom, Rossignac, Szymczak, "Out-of-core compression and decompression of large n-dimensional scalar
//! fields" (2003). Rounding before predicting (as cuSZ does, Tian et al. 2020) makes the predictor pure integer arithmetic:
//! exact, vectorisable, and idempotent, since decoded values are their own roundings.
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | tolerance t, `f64`; the step is `2 t`, for integers `2 floor(t) + 1` |
//! | varint | zigzag of the offset o of all codes |
//! | 1 | bits 0-1: order of the differences, 1 or 2; other bits 0 |
//! | 1 | the axes along which differences were taken, bit k for axis k |
//! | rest | the differences in C order, as static rANS with the classes of [`magnitude`] |
//!
//! A value is `(o + c) * step`, where the codes c are the sums of the differences, modulo 2^32. The class of a difference
//! is that of the sum of magnitudes `6 a + 4 b + 3 c + 2 d + d'` where a is the difference before, b the one a row before, c
//! the one a plane before, d and d' the ones after and before b; rows and planes as `Shape::to_3d` joins the axes, and what lies
//! before the first difference counts 0.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape};
use crate::bits::{put_varint, unzigzag64, zigzag64, ByteReader};
use crate::bound::{within, Term};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::entropy::{encode_classes, RansDecoder};
use crate::error::{Error, Result};
use crate::predict::lorenzo::{accumulate, difference};
use crate::predict::magnitude::{magnitude, CLASSES, CLASS_TABLE};
use crate::quantize::Lattice;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "lorenzo",
    doc: "Rounding to twice the tolerance, then n-dimensional integer differences of order 1 or 2.",
    params: &[("order", "1, 2, or 0 to choose by size (default 0)")],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Lorenzo>("lorenzo", v)?))),
    idempotent: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lorenzo {
    /// Order of the differences: 1, 2, or 0 to choose.
    #[serde(skip_serializing_if = "is_zero")]
    pub order: u8,
}

fn is_zero(v: &u8) -> bool {
    *v == 0
}

impl Codec for Lorenzo {
    fn id(&self) -> &'static str {
        "lorenzo"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        if self.order > 2 {
            return Err(Error::invalid(format!("expected order 0, 1 or 2, found {}", self.order)));
        }
        Ok(Box::new(KernelBlocks(BoundLorenzo { config: *self, shape: spec.shape })))
    }
}

struct BoundLorenzo {
    config: Lorenzo,
    shape: Shape,
}

impl Kernel for BoundLorenzo {
    fn encode<T: Element>(
        &self,
        x: &[T],
        mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        let lattice = Lattice::around(tolerance, x)?;
        let mut codes = Vec::with_capacity(x.len());
        let mut bounded = true;
        for (i, &v) in x.iter().enumerate() {
            let c = lattice.code(v.to_f64());
            bounded &= within(v, lattice.value(c), hint) || mask.is_some_and(|m| m.is_masked(i));
            codes.push(c);
        }
        let (axes, order) = self.choose(&codes);
        difference(&mut codes, &self.shape, axes, order);
        out.extend_from_slice(&tolerance.to_le_bytes());
        put_varint(out, zigzag64(lattice.offset()));
        out.push(order as u8);
        out.push(axes as u8);
        let mut rows = Rows::new(&self.shape);
        let mut classes = vec![0; codes.len()];
        for (row, class) in codes.chunks(rows.length).zip(classes.chunks_mut(rows.length)) {
            rows.begin();
            for (i, (&d, c)) in row.iter().zip(class).enumerate() {
                *c = rows.class(i);
                rows.set(i, d);
            }
            rows.end();
        }
        encode_classes(&codes, &classes, CLASSES, out);
        Ok(if bounded { Claim::Bounded } else { Claim::Unchecked })
    }
    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let tolerance = r.f64()?;
        let offset = unzigzag64(r.varint()?);
        let order = u32::from(r.u8()?);
        let axes = u32::from(r.u8()?);
        if order != 1 && order != 2 {
            return Err(Error::corrupt(format!("expected differences of order 1 or 2, found {order}")));
        }
        let lattice = Lattice::new::<T>(tolerance, offset);
        let mut codes = vec![0i32; out.len()];
        let mut dec = RansDecoder::new(r.rest(), CLASSES)?;
        let mut rows = Rows::new(&self.shape);
        for row in codes.chunks_mut(rows.length) {
            rows.begin();
            for (i, d) in row.iter_mut().enumerate() {
                *d = dec.next(rows.class(i));
                rows.set(i, *d);
            }
            rows.end();
        }
        dec.finish()?;
        accumulate(&mut codes, &self.shape, axes, order);
        for (o, &c) in out.iter_mut().zip(&codes) {
            *o = lattice.value(c);
        }
        Ok(())
    }
}

impl BoundLorenzo {
    /// The axes and the order with the shortest differences, by the sum of their bit lengths.
    fn choose(&self, codes: &[i32]) -> (u32, u32) {
        let all = (1u32 << self.shape.rank()) - 1;
        let orders: &[u32] = match self.config.order {
            1 => &[1],
            2 => &[2],
            _ => &[1, 2],
        };
        let last = all & !(all >> 1);
        // Leading axes may not be smooth (variables, levels): try all axes, all but the first, and the last alone.
        let mut choices = vec![all, all & !1, last];
        choices.retain(|&a| a != 0);
        choices.dedup();
        let mut best = (u64::MAX, (all, orders[0]));
        // A slab of whole trailing planes is a fair sample and keeps differences along all axes.
        let planes = self.shape.first().copied().unwrap_or(1).max(1);
        let plane = codes.len() / planes;
        let take = (1usize << 17).div_ceil(plane.max(1)).clamp(planes.min(4), planes);
        let from = (planes - take) / 2;
        let mut dims = self.shape.to_vec();
        if let Some(d) = dims.first_mut() {
            *d = take;
        }
        let Ok(shape) = Shape::new(&dims) else { return best.1 };
        let sample = codes.get(from * plane..(from + take) * plane).unwrap_or(codes);
        let shape = if sample.len() == shape.len() { shape } else { self.shape };
        for &axes in &choices {
            for &order in orders {
                let mut d = sample.to_vec();
                difference(&mut d, &shape, axes, order);
                // Twice the bits, so that half a bit counts.
                let cost = d
                    .iter()
                    .map(|&v| {
                        u64::from(65 - (u64::from(v.unsigned_abs()) * u64::from(v.unsigned_abs())).leading_zeros())
                    })
                    .sum();
                if cost < best.0 {
                    best = (cost, (axes, order));
                }
            }
        }
        best.1
    }
}

/// Magnitudes of the rows that contexts look back to: this one, and those of one plane before it.
struct Rows {
    length: usize,
    /// Rows in a plane.
    period: usize,
    /// `period + 1` rows of magnitudes, each with one zero in front and behind, used in turn.
    ring: Vec<u8>,
    now: usize,
    left: u8,
    /// The part of the sum that does not depend on this row.
    sums: Vec<u16>,
}

impl Rows {
    fn new(shape: &Shape) -> Rows {
        let [_, ny, nx] = shape.to_3d();
        let (length, period) = (nx.max(1), ny.max(1));
        Rows { length, period, ring: vec![0; (period + 1) * (length + 2)], now: 0, left: 0, sums: vec![0; length] }
    }
    fn row(&self, back: usize) -> &[u8] {
        let slots = self.period + 1;
        let slot = (self.now + slots - back) % slots;
        &self.ring[slot * (self.length + 2)..(slot + 1) * (self.length + 2)]
    }
    /// Before the first value of a row.
    fn begin(&mut self) {
        let mut sums = std::mem::take(&mut self.sums);
        let (up, plane) = (self.row(1), self.row(self.period));
        for (i, s) in sums.iter_mut().enumerate() {
            let (b, c) = (u16::from(up[i + 1]), u16::from(plane[i + 1]));
            *s = 4 * b + 3 * c + 2 * u16::from(up[i + 2]) + u16::from(up[i]);
        }
        self.sums = sums;
        self.left = 0;
    }
    #[inline(always)]
    fn class(&self, i: usize) -> u8 {
        CLASS_TABLE.class(usize::from(self.sums[i]) + 6 * usize::from(self.left))
    }
    #[inline(always)]
    fn set(&mut self, i: usize, d: i32) {
        self.left = magnitude(d);
        let at = self.now * (self.length + 2) + i + 1;
        self.ring[at] = self.left;
    }
    /// After the last value of a row.
    fn end(&mut self) {
        self.now = (self.now + 1) % (self.period + 1);
    }
}
