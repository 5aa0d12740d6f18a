//! `zstd`: Zstandard, RFC 8878.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | all | one Zstandard frame, to the end |

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, ByteCodec};
use crate::error::{Error, ErrorKind, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "zstd",
    doc: "Zstandard: fast to unpack, good ratios.",
    params: &[("level", "effort, 1 to 22, or negative for more speed; default 3")],
    make: Make::Bytes(|v| Ok(Box::new(parse_config::<Zstd>("zstd", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// The largest window a frame may ask for, as a power of two; what levels up to 22 use.
const MAX_WINDOW_LOG: u32 = 27;

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Zstd {
    /// Effort, 1 to 22, or negative for more speed.
    pub level: i32,
}

impl Default for Zstd {
    fn default() -> Self {
        Zstd { level: 3 }
    }
}

impl Zstd {
    fn checked(self) -> Result<Self> {
        let range = zstd::compression_level_range();
        if !range.contains(&self.level) {
            return Err(Error::invalid(format!(
                "zstd: expected a level of {} to {}, found {}",
                range.start(),
                range.end(),
                self.level
            )));
        }
        Ok(self)
    }
}

impl ByteCodec for Zstd {
    fn id(&self) -> &'static str {
        "zstd"
    }
    fn config(&self) -> Value {
        json!({ "level": self.level })
    }
    fn encode(&self, bytes: &[u8], _element: usize) -> Result<Vec<u8>> {
        Ok(zstd::bulk::compress(bytes, self.level)?)
    }
    fn decode(&self, bytes: &[u8], _element: usize, limit: usize) -> Result<Vec<u8>> {
        // The bytes grow as they are unpacked, whatever size the frame announces.
        let bad = |e: std::io::Error| match Error::from(e) {
            e if e.kind() == ErrorKind::Truncated => Error::truncated("expected a whole Zstandard frame, found a part"),
            e => Error::corrupt(format!("expected a Zstandard frame: {}", e.message())),
        };
        if bytes.is_empty() {
            return Err(Error::truncated("expected a Zstandard frame, found nothing"));
        }
        let mut rest = bytes;
        let mut out = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(bad)?.single_frame();
        decoder.window_log_max(MAX_WINDOW_LOG).map_err(bad)?;
        decoder.by_ref().take((limit as u64).saturating_add(1)).read_to_end(&mut out).map_err(bad)?;
        drop(decoder);
        if out.len() > limit {
            return Err(Error::limit(format!("expected at most {limit} unpacked bytes, found more")));
        }
        if !rest.is_empty() {
            return Err(Error::corrupt(format!("expected the end, found {} more bytes", rest.len())));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_zstandard_and_limits_hold() {
        let data: Vec<u8> = (0..300_000u32).map(|i| (i / 100) as u8).collect();
        for level in [-5, 1, 3, 19] {
            let codec = Zstd { level };
            let packed = codec.encode(&data, 4).unwrap();
            assert_eq!(packed[..4], [0x28, 0xb5, 0x2f, 0xfd]);
            assert_eq!(codec.decode(&packed, 4, data.len()).unwrap(), data);
            assert_eq!(codec.decode(&packed, 4, data.len() - 1).unwrap_err().kind(), ErrorKind::LimitExceeded);
            let mut long = packed.clone();
            long.extend_from_slice(&packed);
            assert_eq!(codec.decode(&long, 4, 1 << 20).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(Zstd::default().decode(&Zstd::default().encode(&[], 1).unwrap(), 1, 0).unwrap(), Vec::<u8>::new());
        assert!(crate::Chain::parse("zstd:level=23").is_err() && crate::Chain::parse("zstd:threads=1").is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let data: Vec<u8> = (0..3000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let packed = Zstd::default().encode(&data, 1).unwrap();
        for cut in 0..packed.len() {
            let e = Zstd::default().decode(&packed[..cut], 1, data.len()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "prefix {cut}: {e}");
        }
        for i in 0..packed.len() {
            for bit in 0..8 {
                let mut bad = packed.clone();
                bad[i] ^= 1 << bit;
                // Frames carry no checksum here: the container's does. A flipped bit may give other bytes.
                if let Ok(out) = Zstd::default().decode(&bad, 1, data.len()) {
                    assert!(out.len() <= data.len());
                }
            }
        }
        // A frame that announces 2^60 bytes and has none.
        let mut huge = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        huge.extend_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(Zstd::default().decode(&huge, 1, 1 << 20).is_err());
    }
}
