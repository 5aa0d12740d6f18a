//! Run-length coding of bytes: long runs of one value, and stretches of literals between them.
//!
//! Source: PackBits (TIFF 6.0, section 9), with lengths of any size.
//!
//! # Format
//!
//! Pieces follow one another until all bytes are given; the reader knows their number. Each piece begins with a varint `t`:
//!
//! | `t` | what follows |
//! |---|---|
//! | even | `t / 2 + 1` bytes, which are the next bytes |
//! | odd | one byte, which is the next `(t - 1) / 2 + 3` bytes |

use crate::bits::{put_varint, ByteReader};
use crate::error::{Error, Result};

/// Shortest run that is coded as one.
const MIN_RUN: usize = 3;

/// Codes `bytes`.
pub fn encode_runs(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut literals: &[u8] = &[];
    let mut rest = bytes;
    while let Some(&value) = rest.first() {
        let run = rest.iter().take_while(|b| **b == value).count();
        let (head, tail) = rest.split_at(run);
        if run >= MIN_RUN {
            put_literals(&mut out, literals);
            put_varint(&mut out, 2 * (run - MIN_RUN) as u64 + 1);
            out.push(value);
            literals = &[];
        } else {
            // The literals so far end where this run begins.
            let start = bytes.len() - rest.len() - literals.len();
            literals = bytes.get(start..start + literals.len() + head.len()).unwrap_or_default();
        }
        rest = tail;
    }
    put_literals(&mut out, literals);
    out
}

fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    if !literals.is_empty() {
        put_varint(out, 2 * (literals.len() as u64 - 1));
        out.extend_from_slice(literals);
    }
}

/// Decodes into all of `out` from all of `bytes`. Errors: `Truncated` for every strict prefix of a stream; `Corrupt` when
/// the pieces are longer than `out` or bytes are left over.
pub fn decode_runs(bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let mut r = ByteReader::new(bytes);
    let mut rest = out;
    while !rest.is_empty() {
        let t = r.varint()?;
        let shortest = if t % 2 == 0 { 1 } else { MIN_RUN as u64 };
        let n = usize::try_from((t / 2).saturating_add(shortest)).unwrap_or(usize::MAX);
        let room = rest.len();
        let Some((head, tail)) = rest.split_at_mut_checked(n) else {
            return Err(Error::corrupt(format!("runs: expected at most {room} more bytes, found a piece of {n}")));
        };
        if t % 2 == 0 {
            head.copy_from_slice(r.take(n)?);
        } else {
            head.fill(r.u8()?);
        }
        rest = tail;
    }
    r.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn samples() -> Vec<Vec<u8>> {
        let mut s = 5u64;
        let mut all = vec![vec![], vec![7], vec![7; 2], vec![7; 3], vec![0; 100_000], vec![1, 1, 2, 2, 2, 3, 3, 4]];
        for period in [1, 2, 3, 5, 40] {
            let mut v = Vec::new();
            while v.len() < 3000 {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                v.resize(v.len() + 1 + (s >> 33) as usize % period, (s >> 56) as u8);
            }
            all.push(v);
        }
        all
    }

    #[test]
    fn round_trips_and_every_prefix_is_truncated() {
        for v in samples() {
            let bytes = encode_runs(&v);
            assert!(bytes.len() <= v.len() + 3);
            let mut out = vec![9; v.len()];
            decode_runs(&bytes, &mut out).unwrap();
            assert_eq!(out, v);
            for cut in 0..bytes.len() {
                assert_eq!(decode_runs(&bytes[..cut], &mut out).unwrap_err().kind(), ErrorKind::Truncated);
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(decode_runs(&longer, &mut out).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(encode_runs(&[0; 100_000]).len(), 4);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let v = &samples()[8];
        let bytes = encode_runs(v);
        let mut out = vec![0; v.len()];
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(decode_runs(&bad, &mut out).is_err() || out != *v);
            }
        }
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 3];
        assert_eq!(decode_runs(&huge, &mut out).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    /// A change of these is a change of the format.
    #[test]
    fn bytes_are_those_of_the_format() {
        let bytes: Vec<u8> = samples().iter().flat_map(|v| encode_runs(v)).collect();
        assert_eq!((bytes.len(), crate::bits::crc32c(&bytes)), (11200, 0x4eeb_f636));
    }
}
