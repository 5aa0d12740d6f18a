//! Small unsigned integers in groups of 16, each group with one width: fast rather than small.
//!
//! Source: the frames of D. Lemire, L. Boytsov, "Decoding billions of integers per second through vectorization", 2015, with
//! groups of 16.
//!
//! # Format
//! The last group is filled up with zeros. The width of a group is the bit length of its largest value. The reader knows
//! how many groups there are.
//!
//! | bytes | content |
//! |---|---|
//! | varint e | groups of a width of 15 or more |
//! | half a byte for each group | its width, or 15 for those; the low half first; a last high half is 0 |
//! | e | the widths of those groups |
//! | rest | for each group of width `w` its values in `2 w` bytes: bit `j` of value `i` is bit `w i + j`, the low bit of the first byte being bit 0 |

use crate::bits::{put_varint, ByteReader};
use crate::error::{Error, Result};

/// Values of a group.
pub const GROUP: usize = 16;
/// Bytes of the largest group.
const MOST: usize = 64;
/// Half bytes of this value stand for a width of its own.
const ESCAPE: u8 = 15;
const WIDEST: u8 = 32;

/// Runs `$f::<W>($($a),*)` for the width `$w`.
macro_rules! with_width {
    ($w:expr, $f:ident($($a:expr),*)) => {
        match $w {
            0 => $f::<0>($($a),*), 1 => $f::<1>($($a),*), 2 => $f::<2>($($a),*), 3 => $f::<3>($($a),*),
            4 => $f::<4>($($a),*), 5 => $f::<5>($($a),*), 6 => $f::<6>($($a),*), 7 => $f::<7>($($a),*),
            8 => $f::<8>($($a),*), 9 => $f::<9>($($a),*), 10 => $f::<10>($($a),*), 11 => $f::<11>($($a),*),
            12 => $f::<12>($($a),*), 13 => $f::<13>($($a),*), 14 => $f::<14>($($a),*), 15 => $f::<15>($($a),*),
            16 => $f::<16>($($a),*), 17 => $f::<17>($($a),*), 18 => $f::<18>($($a),*), 19 => $f::<19>($($a),*),
            20 => $f::<20>($($a),*), 21 => $f::<21>($($a),*), 22 => $f::<22>($($a),*), 23 => $f::<23>($($a),*),
            24 => $f::<24>($($a),*), 25 => $f::<25>($($a),*), 26 => $f::<26>($($a),*), 27 => $f::<27>($($a),*),
            28 => $f::<28>($($a),*), 29 => $f::<29>($($a),*), 30 => $f::<30>($($a),*), 31 => $f::<31>($($a),*),
            _ => $f::<32>($($a),*),
        }
    };
}

/// The bit length of the largest value of a group.
#[inline(always)]
pub fn width(group: &[u32; GROUP]) -> u32 {
    32 - group.iter().fold(0, |o, &v| o | v).leading_zeros()
}

/// Whole words are written; those beyond the `2 W` bytes hold nothing. Eight values take `W` bytes, so that up to width 16 half a
/// group is one word, and nothing is left to run in a loop.
#[inline(always)]
fn pack<const W: usize>(group: &[u32; GROUP], out: &mut [u8; MOST]) {
    let (low, high) = group.split_at(8);
    if W <= 8 {
        put(out, 0, &eight::<W>(low).to_le_bytes());
        put(out, W, &eight::<W>(high).to_le_bytes());
    } else if W <= 16 {
        put(out, 0, &eight_wide::<W>(low).to_le_bytes());
        put(out, W, &eight_wide::<W>(high).to_le_bytes());
    } else {
        let mut words = [0u64; MOST / 8 + 1];
        for (i, &v) in group.iter().enumerate() {
            let (word, shift) = (i * W / 64, i * W % 64);
            words[word] |= u64::from(v) << shift;
            if shift + W > 64 {
                words[word + 1] |= u64::from(v) >> (64 - shift);
            }
        }
        for (bytes, word) in out.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[inline(always)]
fn put<const N: usize>(out: &mut [u8; MOST], at: usize, bytes: &[u8; N]) {
    if let Some(o) = out.get_mut(at..at + N) {
        o.copy_from_slice(bytes);
    }
}

#[inline(always)]
fn take<const N: usize>(bytes: &[u8; MOST], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[inline(always)]
fn eight<const W: usize>(v: &[u32]) -> u64 {
    v.iter().take(8).enumerate().fold(0, |word, (i, &v)| word | u64::from(v) << (i * W))
}

#[inline(always)]
fn eight_wide<const W: usize>(v: &[u32]) -> u128 {
    v.iter().take(8).enumerate().fold(0, |word, (i, &v)| word | u128::from(v) << (i * W))
}

#[inline(always)]
fn unpack<const W: usize>(bytes: &[u8; MOST], out: &mut [u32; GROUP]) {
    let mask = if W == 32 { u32::MAX } else { (1u32 << W) - 1 };
    let (low, high) = out.split_at_mut(8);
    if W <= 8 {
        for (half, at) in [(low, 0), (high, W)] {
            let word = u64::from_le_bytes(take(bytes, at));
            half.iter_mut().enumerate().for_each(|(i, o)| *o = (word >> (i * W)) as u32 & mask);
        }
    } else if W <= 16 {
        for (half, at) in [(low, 0), (high, W)] {
            let word = u128::from_le_bytes(take(bytes, at));
            half.iter_mut().enumerate().for_each(|(i, o)| *o = (word >> (i * W)) as u32 & mask);
        }
    } else {
        let mut words = [0u64; MOST / 8 + 1];
        for (word, b) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = b.try_into().map_or(0, u64::from_le_bytes);
        }
        for (i, o) in out.iter_mut().enumerate() {
            let (word, shift) = (i * W / 64, i * W % 64);
            let mut v = words[word] >> shift;
            if shift + W > 64 {
                v |= words[word + 1] << (64 - shift);
            }
            *o = v as u32 & mask;
        }
    }
}

/// Packs groups; see the module's documentation for the format.
#[derive(Debug, Default)]
pub struct Packer {
    widths: Vec<u8>,
    data: Vec<u8>,
}

impl Packer {
    /// A packer for about so many groups.
    pub fn new(groups: usize) -> Packer {
        Packer { widths: Vec::with_capacity(groups), data: Vec::with_capacity(groups * 8) }
    }
    /// Adds groups.
    #[inline(always)]
    pub fn put(&mut self, groups: &[[u32; GROUP]]) {
        // Written with room behind, then taken over: no group is copied byte by byte.
        let mut buffer = [0u8; 32 * MOST];
        for some in groups.chunks(32) {
            let mut at = 0;
            for group in some {
                let w = width(group);
                self.widths.push(w as u8);
                if let Some(out) = buffer.get_mut(at..).and_then(|b| b.first_chunk_mut::<MOST>()) {
                    with_width!(w, pack(group, out));
                }
                at += 2 * w as usize;
            }
            self.data.extend_from_slice(buffer.get(..at).unwrap_or_default());
        }
    }
    /// Bytes so far, but for the widths of wide groups.
    pub fn len(&self) -> usize {
        self.data.len() + self.widths.len() / 2
    }
    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.widths.is_empty()
    }
    /// Appends the stream to `out`.
    pub fn finish(&self, out: &mut Vec<u8>) {
        let wide = self.widths.iter().filter(|&&w| w >= ESCAPE);
        put_varint(out, wide.clone().count() as u64);
        let half = |w: Option<&u8>| w.map_or(0, |w| (*w).min(ESCAPE));
        out.extend(self.widths.chunks(2).map(|p| half(p.first()) | half(p.get(1)) << 4));
        out.extend(wide);
        out.extend_from_slice(&self.data);
    }
}

/// Reads what [`Packer`] wrote.
#[derive(Debug)]
pub struct Unpacker<'a> {
    widths: Vec<u8>,
    data: &'a [u8],
    /// The next group, and where it begins.
    next: usize,
    at: usize,
}

impl<'a> Unpacker<'a> {
    /// A reader of all of `bytes`, which hold so many `groups`. Errors: `Truncated` for every strict prefix of a stream, `Corrupt`.
    pub fn new(bytes: &'a [u8], groups: usize) -> Result<Unpacker<'a>> {
        let mut r = ByteReader::new(bytes);
        let count = r.count(groups)?;
        let halves = r.take(groups.div_ceil(2))?;
        let mut escaped = r.take(count)?.iter();
        let mut widths = Vec::new();
        widths
            .try_reserve_exact(halves.len() * 2)
            .map_err(|_| Error::limit(format!("expected memory for {groups} widths, found too little")))?;
        let mut total = 0;
        for half in halves.iter().flat_map(|b| [b & 15, b >> 4]) {
            let mut w = half;
            if half == ESCAPE {
                let wide = escaped.next().copied().filter(|w| (ESCAPE..=WIDEST).contains(w));
                w = wide.ok_or_else(|| Error::corrupt("expected the width of a group, 15 to 32, found another"))?;
            }
            total += 2 * usize::from(w);
            widths.push(w);
        }
        let spare = widths.get(groups..).is_some_and(|s| s.iter().any(|&w| w != 0));
        if spare || escaped.next().is_some() {
            return Err(Error::corrupt("expected as many widths as groups, found more"));
        }
        let data = r.take(total)?;
        r.end()?;
        Ok(Unpacker { widths, data, next: 0, at: 0 })
    }
    /// The next groups; zeros behind the last.
    #[inline(always)]
    pub fn get(&mut self, out: &mut [[u32; GROUP]]) {
        for group in out {
            let w = self.widths.get(self.next).copied().unwrap_or(0);
            let rest = self.data.get(self.at..).unwrap_or_default();
            match rest.first_chunk::<MOST>() {
                Some(bytes) => with_width!(w, unpack(bytes, group)),
                None => {
                    // The last few groups: fewer bytes are left than might be read.
                    let mut bytes = [0; MOST];
                    bytes.iter_mut().zip(rest).for_each(|(b, r)| *b = *r);
                    with_width!(w, unpack(&bytes, group));
                }
            }
            self.next += 1;
            self.at += 2 * usize::from(w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn groups(seed: u64, n: usize) -> Vec<[u32; GROUP]> {
        let mut s = seed;
        (0..n)
            .map(|i| {
                std::array::from_fn(|_| {
                    s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((s >> 32) as u32).checked_shr(32 - (i as u32 % 33)).unwrap_or(0)
                })
            })
            .collect()
    }
    fn packed(groups: &[[u32; GROUP]]) -> Vec<u8> {
        let (mut p, mut out) = (Packer::new(groups.len()), Vec::new());
        // In pieces of any length.
        groups.chunks(37).for_each(|g| p.put(g));
        p.finish(&mut out);
        assert!(p.len() <= out.len() && p.is_empty() == groups.is_empty());
        out
    }

    #[test]
    fn every_width_round_trips_and_every_prefix_is_truncated() {
        for n in [0, 1, 2, 5, 33, 34, 100] {
            let g = groups(n as u64, n);
            let bytes = packed(&g);
            let mut got = vec![[7; GROUP]; n + 1];
            Unpacker::new(&bytes, n).unwrap().get(&mut got);
            assert_eq!(got[..n], g);
            assert_eq!(got[n], [0; GROUP]);
            for cut in 0..bytes.len() {
                assert_eq!(Unpacker::new(&bytes[..cut], n).unwrap_err().kind(), ErrorKind::Truncated, "{n} {cut}");
            }
            assert!(Unpacker::new(&[&bytes[..], &[0]].concat(), n).is_err());
        }
    }

    #[test]
    fn values_lie_where_the_format_says() {
        let mut g = [0; GROUP];
        (g[0], g[3], g[15]) = (5, 7, 1);
        // Width 3: 6 bytes, bits 0-2, 9-11 and 45-47.
        assert_eq!(packed(&[g]), [0, 3, 5, 0b1110, 0, 0, 0, 0b10_0000]);
        let wide = [u32::MAX; GROUP];
        assert_eq!(packed(&[wide])[..3], [1, 15, 32]);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let g = groups(9, 40);
        let bytes = packed(&g);
        let mut got = vec![[0; GROUP]; 40];
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                if let Ok(mut u) = Unpacker::new(&bad, 40) {
                    u.get(&mut got);
                    assert_ne!(got, g);
                }
            }
        }
        for b in 0..=255 {
            let _ = Unpacker::new(&[b; 60], 40).map(|mut u| u.get(&mut got));
        }
    }
}
