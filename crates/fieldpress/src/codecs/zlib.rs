//! `zlib`: DEFLATE in the zlib wrapper, RFC 1950 and RFC 1951.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | all | one zlib stream, to the end |

use std::io::{Read, Write};

use flate2::{read::ZlibDecoder, write::ZlibEncoder, Compression};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, ByteCodec};
use crate::error::{Error, ErrorKind, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "zlib",
    doc: "DEFLATE in the zlib wrapper: understood everywhere.",
    params: &[("level", "effort, 0 (stored) to 9; default 6")],
    make: Make::Bytes(|v| Ok(Box::new(parse_config::<Zlib>("zlib", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Zlib {
    /// Effort, 0 (stored) to 9.
    pub level: u32,
}

impl Default for Zlib {
    fn default() -> Self {
        Zlib { level: 6 }
    }
}

impl Zlib {
    fn checked(self) -> Result<Self> {
        if self.level > 9 {
            return Err(Error::invalid(format!("zlib: expected a level of 0 to 9, found {}", self.level)));
        }
        Ok(self)
    }
}

impl ByteCodec for Zlib {
    fn id(&self) -> &'static str {
        "zlib"
    }
    fn config(&self) -> Value {
        json!({ "level": self.level })
    }
    fn encode(&self, bytes: &[u8], _element: usize) -> Result<Vec<u8>> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(self.level));
        encoder.write_all(bytes)?;
        Ok(encoder.finish()?)
    }
    fn decode(&self, bytes: &[u8], _element: usize, limit: usize) -> Result<Vec<u8>> {
        let mut decoder = ZlibDecoder::new(bytes);
        let mut out = Vec::new();
        decoder.by_ref().take((limit as u64).saturating_add(1)).read_to_end(&mut out).map_err(
            |e| match Error::from(e) {
                e if e.kind() == ErrorKind::Truncated => {
                    Error::truncated(format!("expected a whole zlib stream: {}", e.message()))
                }
                e => Error::corrupt(format!("expected a zlib stream: {}", e.message())),
            },
        )?;
        if out.len() > limit {
            return Err(Error::limit(format!("expected at most {limit} unpacked bytes, found more")));
        }
        let used = decoder.total_in();
        if used != bytes.len() as u64 {
            return Err(Error::corrupt(format!("expected the end, found {} more bytes", bytes.len() as u64 - used)));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_zlib_and_limits_hold() {
        let data: Vec<u8> = (0..50_000u32).map(|i| (i / 100) as u8).collect();
        for level in [0, 1, 6, 9] {
            let codec = Zlib { level };
            let packed = codec.encode(&data, 4).unwrap();
            assert_eq!(packed[0], 0x78, "deflate with a window of 32 KiB");
            assert_eq!(codec.decode(&packed, 4, data.len()).unwrap(), data);
            let e = codec.decode(&packed, 4, data.len() - 1).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::LimitExceeded);
            let mut long = packed.clone();
            long.push(0);
            assert_eq!(codec.decode(&long, 4, data.len()).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert!(Zlib { level: 9 }.encode(&data, 4).unwrap().len() < 2000);
        assert_eq!(Zlib::default().decode(&Zlib::default().encode(&[], 1).unwrap(), 1, 0).unwrap(), Vec::<u8>::new());
        assert!(crate::Chain::parse("zlib:level=10").is_err() && crate::Chain::parse("zlib:effort=1").is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let data: Vec<u8> = (0..3000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let packed = Zlib::default().encode(&data, 1).unwrap();
        for cut in 0..packed.len() {
            let e = Zlib::default().decode(&packed[..cut], 1, data.len()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "prefix {cut}: {e}");
        }
        for i in 0..packed.len() {
            for bit in 0..8 {
                let mut bad = packed.clone();
                bad[i] ^= 1 << bit;
                if let Ok(out) = Zlib::default().decode(&bad, 1, data.len()) {
                    // The header byte of the effort is not covered by the checksum, but its own check bits are.
                    assert_eq!(out, data);
                }
            }
        }
    }
}
