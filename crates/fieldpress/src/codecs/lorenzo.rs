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
//! | varint | zigzag of the offset o of all codes, at most 2^50 |
//! | 1 | bits 0-1: order of the differences, 1 or 2; other bits 0 |
//! | 1 | the axes along which differences were taken, bit k for axis k |
//! | rest | the differences, as rows of [`crate::entropy::rows`] |
//!
//! A value is `(o + c) * step`, where the codes c are the sums of the differences, modulo 2^32.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, round, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::entropy::{decode_rows, encode_rows};
use crate::error::{Error, Result};
use crate::predict::lorenzo::{accumulate, difference};
use crate::quantize::Lattice;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "lorenzo",
    doc: "Rounding to twice the tolerance, then n-dimensional integer differences of order 1 or 2.",
    params: &[("order", "1, 2, or 0 to choose by size (default 0)")],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Lorenzo>("lorenzo", v)?))),
    idempotent: true,
    unbounded: false,
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
        let (lattice, mut codes, claim) = round(x, mask, tolerance, hint)?;
        let (axes, order) = self.choose(&codes);
        difference(&mut codes, &self.shape, axes, order);
        lattice.write(tolerance, out);
        out.push(order as u8);
        out.push(axes as u8);
        encode_rows(&codes, &self.shape, out);
        Ok(claim)
    }
    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let lattice = Lattice::read::<T>(&mut r)?;
        let order = u32::from(r.u8()?);
        let axes = u32::from(r.u8()?);
        if order != 1 && order != 2 {
            return Err(Error::corrupt(format!("expected differences of order 1 or 2, found {order}")));
        }
        let mut codes = vec![0i32; out.len()];
        decode_rows(r.rest(), &self.shape, &mut codes)?;
        accumulate(&mut codes, &self.shape, axes, order);
        lattice.values(&codes, out);
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
