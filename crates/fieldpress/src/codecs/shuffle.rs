//! `shuffle`: byte 0 of every element, then byte 1 of every element, and so on; the filter of HDF5 and Blosc.
//!
//! # Format
//! For `n` bytes and elements of `e` bytes, with `m = n / e` rounded down:
//!
//! | bytes | content |
//! |---|---|
//! | m | byte 0 of elements 0 to m - 1 |
//! | ... | likewise bytes 1 to e - 1 |
//! | n - m * e | the bytes left over, as they were |

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, ByteCodec};
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "shuffle",
    doc: "Bytes of equal rank side by side, for the byte codec that follows.",
    params: &[("element", "bytes of an element; default 0, those of the array's")],
    make: Make::Bytes(|v| Ok(Box::new(parse_config::<Shuffle>("shuffle", v)?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shuffle {
    /// Bytes of an element; 0 for those of the array's.
    pub element: usize,
}

/// Elements handled at a time, so that every pass but the first reads from the cache.
const TILE: usize = 2048;

impl Shuffle {
    fn size(&self, element: usize) -> usize {
        if self.element == 0 { element } else { self.element }.max(1)
    }
}

impl ByteCodec for Shuffle {
    fn id(&self) -> &'static str {
        "shuffle"
    }
    fn config(&self) -> Value {
        json!({ "element": self.element })
    }
    fn encode(&self, bytes: &[u8], element: usize) -> Result<Vec<u8>> {
        let mut out = bytes.to_vec();
        match self.size(element) {
            1 => {}
            2 => split::<2>(bytes, &mut out),
            4 => split::<4>(bytes, &mut out),
            8 => split::<8>(bytes, &mut out),
            e => {
                let m = bytes.len() / e;
                if m > 0 {
                    for (b, plane) in out.chunks_exact_mut(m).take(e).enumerate() {
                        plane.iter_mut().zip(bytes.iter().skip(b).step_by(e)).for_each(|(o, &v)| *o = v);
                    }
                }
            }
        }
        Ok(out)
    }
    fn decode(&self, bytes: &[u8], element: usize, limit: usize) -> Result<Vec<u8>> {
        if bytes.len() > limit {
            return Err(Error::limit(format!("expected at most {limit} bytes, found {}", bytes.len())));
        }
        let mut out = bytes.to_vec();
        match self.size(element) {
            1 => {}
            2 => join::<2>(bytes, &mut out),
            4 => join::<4>(bytes, &mut out),
            8 => join::<8>(bytes, &mut out),
            e => {
                let m = bytes.len() / e;
                if m > 0 {
                    for (b, plane) in bytes.chunks_exact(m).take(e).enumerate() {
                        out.iter_mut().skip(b).step_by(e).zip(plane).for_each(|(o, &v)| *o = v);
                    }
                }
            }
        }
        Ok(out)
    }
}

/// Shuffles whole elements of `E` bytes from `bytes` into the planes at the beginning of `out`.
fn split<const E: usize>(bytes: &[u8], out: &mut [u8]) {
    let m = bytes.len() / E;
    if m == 0 {
        return;
    }
    for (t, tile) in bytes[..m * E].chunks(TILE * E).enumerate() {
        for (b, plane) in out.chunks_exact_mut(m).take(E).enumerate() {
            plane[t * TILE..].iter_mut().zip(tile.chunks_exact(E)).for_each(|(o, v)| *o = v[b]);
        }
    }
}

/// The inverse of [`split`].
fn join<const E: usize>(bytes: &[u8], out: &mut [u8]) {
    let m = bytes.len() / E;
    if m == 0 {
        return;
    }
    for (t, tile) in out[..m * E].chunks_mut(TILE * E).enumerate() {
        for (b, plane) in bytes.chunks_exact(m).take(E).enumerate() {
            tile.chunks_exact_mut(E).zip(&plane[t * TILE..]).for_each(|(o, &v)| o[b] = v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn bytes_of_equal_rank_lie_side_by_side() {
        let s = Shuffle::default();
        assert_eq!(s.encode(b"abcABC12", 3).unwrap(), b"aAbBcC12");
        assert_eq!(s.encode(b"a1b2c3d", 2).unwrap(), b"abc123d");
        assert_eq!(s.encode(b"abcd1234xyz", 4).unwrap(), b"a1b2c3d4xyz");
        assert_eq!(Shuffle { element: 2 }.encode(b"a1b2", 4).unwrap(), b"ab12");
        assert_eq!(s.encode(b"abc", 8).unwrap(), b"abc");
    }

    #[test]
    fn every_length_and_element_round_trips() {
        for e in [0usize, 1, 2, 3, 4, 5, 8, 16, 1 << 40] {
            for n in [0usize, 1, 2, 7, 8, 63, 64, 65, 8 * TILE - 1, 8 * TILE + 9, 17 * TILE] {
                let data: Vec<u8> = (0..n).map(|i| ((i * 31) >> 3) as u8).collect();
                let s = Shuffle { element: e };
                let packed = s.encode(&data, 4).unwrap();
                assert_eq!(s.decode(&packed, 4, n).unwrap(), data, "{n} bytes, element {e}");
                if n > 0 {
                    assert_eq!(s.decode(&packed, 4, n - 1).unwrap_err().kind(), ErrorKind::LimitExceeded);
                }
            }
        }
    }
}
