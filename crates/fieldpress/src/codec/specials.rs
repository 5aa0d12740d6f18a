//! Values that take no part in arithmetic: NaN with their payloads, infinities, -0.0, and the fill value.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | bit 0: a map follows (else every point of the block is special); bits 1-2: how values are stored: 0 all are the array's fill value, 1 dictionary, 2 plain; other bits 0 |
//! | section | with bit 0: the map of special points, as [`encode_mask`](crate::entropy::encode_mask) writes it |
//! | varint k, k * size | dictionary: the distinct bit patterns, little-endian, in order of first appearance, 2 <= k + 1 <= 257 |
//! | rest | dictionary with k > 1: for each special point in C order its index, range coded with one integer model whose context is the previous index (at most 15) |
//! | count * size | plain: the bit patterns of the special points in C order |

use crate::array::{Element, Mask, Shape};
use crate::bits::{put_section, put_varint, ByteReader};
use crate::entropy::{decode_mask, encode_mask, BinaryDecoder, BinaryEncoder, IntModel};
use crate::error::{Error, Result};

const FILL: u8 = 0;
const DICTIONARY: u8 = 1;
const PLAIN: u8 = 2;
const CONTEXTS: usize = 16;

/// Whether `v` is kept apart.
#[inline(always)]
pub(super) fn is_special<T: Element>(v: T, fill: Option<u64>) -> bool {
    !v.is_finite() || v.is_negative_zero() || fill == Some(v.to_bits64())
}

/// Whether any value is kept apart.
pub(super) fn any<T: Element>(values: &[T], fill: Option<u64>) -> bool {
    // A piece at a time without leaving early, so that it vectorises.
    values.chunks(1024).any(|piece| match fill {
        None => piece.iter().fold(false, |any, &v| any | !v.is_finite() | v.is_negative_zero()),
        Some(_) => piece.iter().fold(false, |any, &v| any | is_special(v, fill)),
    })
}

/// Appends the map and the values of the special points.
pub(super) fn encode<T: Element>(values: &[T], mask: &Mask, shape: &Shape, fill: Option<u64>, out: &mut Vec<u8>) {
    let special: Vec<u64> = values.iter().zip(mask.flags()).filter(|(_, &m)| m).map(|(v, _)| v.to_bits64()).collect();
    let mut dictionary: Vec<u64> = Vec::new();
    for &bits in &special {
        if !dictionary.contains(&bits) {
            dictionary.push(bits);
            if dictionary.len() > 256 {
                break;
            }
        }
    }
    let how = match dictionary.len() {
        1 if fill == Some(dictionary[0]) => FILL,
        0..=256 => DICTIONARY,
        _ => PLAIN,
    };
    out.push(u8::from(!mask.is_full()) | how << 1);
    if !mask.is_full() {
        put_section(out, &encode_mask(mask.flags(), shape));
    }
    if how == DICTIONARY {
        put_varint(out, dictionary.len() as u64);
        dictionary.iter().for_each(|&b| T::from_bits64(b).put_le(out));
        if dictionary.len() > 1 {
            let mut enc = BinaryEncoder::new();
            let mut model = IntModel::new(CONTEXTS);
            let mut previous = 0;
            for bits in &special {
                let index = dictionary.iter().position(|d| d == bits).unwrap_or(0);
                model.encode(&mut enc, index as i64, previous);
                previous = index.min(CONTEXTS - 1);
            }
            out.extend_from_slice(&enc.finish());
        }
    } else if how == PLAIN {
        special.iter().for_each(|&b| T::from_bits64(b).put_le(out));
    }
}

/// Which points are special, and their bit patterns in C order.
pub(super) struct Specials {
    pub(super) mask: Mask,
    bits: Vec<u64>,
}

impl Specials {
    /// Reads what [`encode`] wrote for `n` points. Total on hostile bytes.
    pub(super) fn decode<T: Element>(bytes: &[u8], shape: &Shape, fill: Option<u64>) -> Result<Specials> {
        let size = T::DTYPE.size();
        let n = shape.len();
        let mut r = ByteReader::new(bytes);
        let flags = r.u8()?;
        let mut map = vec![true; n];
        if flags & 1 != 0 {
            decode_mask(r.section()?, shape, &mut map)?;
        }
        let mask = Mask::new(map);
        let count = mask.count();
        let bits = match flags >> 1 {
            FILL => {
                let fill = fill.ok_or_else(|| Error::corrupt("expected the array to have a fill value, found none"))?;
                vec![fill; count]
            }
            DICTIONARY => {
                let k = r.count(256)?;
                let entries = r.take(k * size)?.chunks_exact(size);
                let dictionary: Vec<u64> = entries.map(|b| T::get_le(b).to_bits64()).collect();
                let first =
                    *dictionary.first().ok_or_else(|| Error::corrupt("expected a special value, found none"))?;
                let mut bits = vec![first; count];
                if k > 1 {
                    let mut dec = BinaryDecoder::new(r.take(r.remaining())?);
                    let mut model = IntModel::new(CONTEXTS);
                    let mut previous = 0;
                    for b in &mut bits {
                        let index = usize::try_from(model.decode(&mut dec, previous)).unwrap_or(usize::MAX);
                        *b = *dictionary.get(index).ok_or_else(|| {
                            Error::corrupt(format!("expected one of {k} special values, found number {index}"))
                        })?;
                        previous = index.min(CONTEXTS - 1);
                    }
                    dec.finish()?;
                }
                bits
            }
            PLAIN => r.take(count * size)?.chunks_exact(size).map(|b| T::get_le(b).to_bits64()).collect(),
            other => return Err(Error::corrupt(format!("expected special values of kind 0 to 2, found {other}"))),
        };
        r.end()?;
        Ok(Specials { mask, bits })
    }
    /// Those at the points of level `level` of a block of `shape`.
    pub(super) fn coarse(&self, shape: &Shape, level: u32) -> Specials {
        let (mut flags, mut bits) = (Vec::new(), Vec::new());
        // How many special points there are before point `next`.
        let (mut next, mut before) = (0, 0);
        let all = self.mask.flags();
        shape.for_each_coarse(level, |i| {
            before += all.get(next..i).unwrap_or_default().iter().filter(|&&m| m).count();
            next = i;
            let masked = self.mask.is_masked(i);
            flags.push(masked);
            if masked {
                bits.extend(self.bits.get(before));
            }
        });
        Specials { mask: Mask::new(flags), bits }
    }
    /// Puts the special values in their places.
    pub(super) fn restore<T: Element>(&self, out: &mut [T]) {
        let masked = out.iter_mut().zip(self.mask.flags()).filter(|(_, &m)| m);
        for ((v, _), &bits) in masked.zip(&self.bits) {
            *v = T::from_bits64(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[f32], fill: Option<f32>) -> usize {
        let shape = Shape::new(&[values.len()]).unwrap();
        let fill = fill.map(|f| u64::from(f.to_bits()));
        let mask = Mask::new(values.iter().map(|&v| is_special(v, fill)).collect());
        let mut bytes = Vec::new();
        encode(values, &mask, &shape, fill, &mut bytes);
        let s = Specials::decode::<f32>(&bytes, &shape, fill).unwrap();
        assert_eq!(s.mask, mask);
        let mut out: Vec<f32> = values.iter().map(|&v| if is_special(v, fill) { 7.0 } else { v }).collect();
        s.restore(&mut out);
        assert!(values.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits()));
        for cut in 0..bytes.len() {
            assert!(Specials::decode::<f32>(&bytes[..cut], &shape, fill).is_err(), "prefix {cut} of {}", bytes.len());
        }
        bytes.len()
    }

    #[test]
    fn every_special_value_comes_back_bit_for_bit() {
        let mut v: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        v[300..700].fill(1e20);
        assert!(round_trip(&v, Some(1e20)) < 40);
        v[5] = f32::NAN;
        v[6] = -0.0;
        v[900] = f32::NEG_INFINITY;
        v[901] = f32::from_bits(0xffc0_0001);
        round_trip(&v, Some(1e20));
        let many: Vec<f32> = (0..600).map(|i| f32::from_bits(0x7fc0_0000 + i)).collect();
        round_trip(&many, None);
        round_trip(&[f32::NAN; 50], None);
    }
}
