//! `lz4`: the LZ4 block format.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | varint n | how many bytes there are unpacked |
//! | rest | one LZ4 block, as the LZ4 block format description defines it, to the end |

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, ByteCodec};
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "lz4",
    doc: "LZ4: the fastest to pack and unpack.",
    params: &[],
    make: Make::Bytes(|v| Ok(Box::new(parse_config::<Lz4>("lz4", v)?))),
    idempotent: true,
    unbounded: true,
};

/// A byte of a block stands for at most this many unpacked bytes: the lengths of matches grow by 255 a byte.
const MAX_RATIO: usize = 255;
/// What the token and offset of the last match may add.
const SLACK: usize = 64;

/// The configuration: there is nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lz4 {}

impl ByteCodec for Lz4 {
    fn id(&self) -> &'static str {
        "lz4"
    }
    fn config(&self) -> Value {
        json!({})
    }
    fn encode(&self, bytes: &[u8], _element: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        put_varint(&mut out, bytes.len() as u64);
        out.extend_from_slice(&lz4_flex::block::compress(bytes));
        Ok(out)
    }
    fn decode(&self, bytes: &[u8], _element: usize, limit: usize) -> Result<Vec<u8>> {
        use lz4_flex::block::DecompressError as E;
        let mut r = ByteReader::new(bytes);
        let n = r.varint()?;
        let n = usize::try_from(n)
            .ok()
            .filter(|&n| n <= limit)
            .ok_or_else(|| Error::limit(format!("expected at most {limit} unpacked bytes, found {n}")))?;
        let block = r.rest();
        if n > block.len().saturating_mul(MAX_RATIO).saturating_add(SLACK) {
            let short = block.len();
            return Err(Error::truncated(format!("expected an LZ4 block of {n} unpacked bytes, found {short} bytes")));
        }
        let mut out = vec![0; n];
        let found = lz4_flex::block::decompress_into(block, &mut out).map_err(|e| match e {
            E::ExpectedAnotherByte => Error::truncated("expected a whole LZ4 block, found a part"),
            e => Error::corrupt(format!("expected an LZ4 block of {n} unpacked bytes: {e}")),
        })?;
        if found != n {
            return Err(Error::truncated(format!("expected {n} unpacked bytes, found {found}")));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn blocks_round_trip_and_limits_hold() {
        for n in [0usize, 1, 5, 12, 13, 300_000] {
            let data: Vec<u8> = (0..n).map(|i| (i / 100) as u8).collect();
            let packed = Lz4 {}.encode(&data, 4).unwrap();
            assert_eq!(Lz4 {}.decode(&packed, 4, n).unwrap(), data);
            if n > 0 {
                assert_eq!(Lz4 {}.decode(&packed, 4, n - 1).unwrap_err().kind(), ErrorKind::LimitExceeded);
            }
        }
        // One long match: the ratio that the check of the announced length must allow.
        let zeros = vec![0u8; 10_000_000];
        let packed = Lz4 {}.encode(&zeros, 8).unwrap();
        assert!(packed.len() < 40_000);
        assert_eq!(Lz4 {}.decode(&packed, 8, zeros.len()).unwrap(), zeros);
        assert!(crate::Chain::parse("lz4:level=1").is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let data: Vec<u8> = (0..3000u32).map(|i| ((i * i) >> 9) as u8).collect();
        let lz4 = Lz4 {};
        let packed = lz4.encode(&data, 1).unwrap();
        assert!(packed.len() < data.len());
        for cut in 0..packed.len() {
            assert!(Lz4 {}.decode(&packed[..cut], 1, data.len()).is_err(), "prefix {cut}");
        }
        for i in 0..packed.len() {
            for bit in 0..8 {
                let mut bad = packed.clone();
                bad[i] ^= 1 << bit;
                if let Ok(out) = lz4.decode(&bad, 1, 1 << 20) {
                    assert!(out.len() <= 1 << 20);
                }
            }
        }
        // A length that the bytes have not earned is refused before memory is asked for.
        let mut huge = Vec::new();
        put_varint(&mut huge, 1 << 40);
        huge.extend_from_slice(&packed);
        assert!(Lz4 {}.decode(&huge, 1, usize::MAX).is_err());
    }
}
