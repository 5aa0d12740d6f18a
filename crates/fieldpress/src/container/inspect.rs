//! How the blocks of an archive are stored, from their lengths and flags, without decoding them.

use super::format;
use super::reader::{Archive, BlockInfo};
use crate::array::ReadAt;
use crate::codec::{inspect_payload, Outcome, StageBytes};
use crate::error::{Error, Result};

/// A block: where it lies and how it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBlock {
    /// Where it lies.
    pub info: BlockInfo,
    /// How it is stored.
    pub outcome: Outcome,
    /// Bytes by stage.
    pub stages: StageBytes,
}

/// The payload of one block.
pub(super) struct Payload<'a> {
    pub(super) archive: &'a dyn ReadAt,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl ReadAt for Payload<'_> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64).filter(|&e| e <= self.bytes);
        match end.and(self.offset.checked_add(offset)) {
            Some(at) => self.archive.read_at(at, out),
            None => Err(Error::truncated(format!("expected a longer payload, found {} bytes", self.bytes))),
        }
    }
    fn size(&self) -> Result<u64> {
        Ok(self.bytes)
    }
}

impl Archive {
    /// Whether `bytes` begin as an archive does.
    pub fn matches(bytes: &dyn ReadAt) -> bool {
        let mut head = format::MAGIC;
        head.fill(0);
        bytes.read_at(0, &mut head).is_ok() && head == format::MAGIC
    }
    /// How the blocks of an array are stored, in C order of the grid. Only their first bytes are read, and no checksums
    /// compared. Errors: `InvalidArgument` when there is no such array; `Corrupt`, `Truncated`, `Io`.
    pub fn inspect(&self, name: &str) -> Result<Vec<StoredBlock>> {
        let dtype = self.array(name)?.dtype;
        let one = |info: BlockInfo| -> Result<StoredBlock> {
            let payload = Payload { archive: &self.bytes, offset: info.offset, bytes: info.bytes };
            let (outcome, stages) =
                inspect_payload(&payload, dtype).map_err(|e| e.at(format!("array {name:?}: block {}", info.index)))?;
            Ok(StoredBlock { info, outcome, stages })
        };
        self.blocks(name)?.into_iter().map(one).collect()
    }
    /// Bytes that the blocks of an array share, by chain. Errors: `InvalidArgument` when there is no such array.
    pub fn shared_bytes(&self, name: &str) -> Result<Vec<u64>> {
        let (i, _) = self.find(name)?;
        Ok(self.parts.get(i).map(|p| p.shared.iter().map(|s| s.1).collect()).unwrap_or_default())
    }
}
