//! How much memory and output untrusted bytes may ask for.

use crate::error::{Error, Result};

/// Limits that decoding keeps to; exceeding one is an error of kind `LimitExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one decoded block, of which a value has at least 8: that much is taken while it is decoded, now and then a few
    /// times over. Several blocks are in flight at once, two a thread at most, and together not more than this.
    pub block_bytes: usize,
    /// Bytes of one decoded array that is read into memory.
    pub array_bytes: usize,
    /// Bytes of the directory of an archive, unpacked.
    pub directory_bytes: usize,
    /// Bytes of one verbatim blob, unpacked.
    pub blob_bytes: usize,
}

impl Limits {
    /// 1 GiB a block, 64 GiB an array in memory, 32 MiB of directory, 4 GiB a blob. What is beyond these is not written either.
    pub const DEFAULT: Limits =
        Limits { block_bytes: 1 << 30, array_bytes: 1 << 36, directory_bytes: 1 << 25, blob_bytes: 1 << 32 };
    /// How many blocks of `values` may be in flight. Errors: `LimitExceeded` when one is too large.
    pub fn blocks(&self, values: usize) -> Result<usize> {
        let bytes = values.max(1).saturating_mul(8);
        match self.block_bytes / bytes {
            0 => {
                Err(Error::limit(format!("expected blocks of at most {} values, found {values}", self.block_bytes / 8)))
            }
            n => Ok(n.min(2 * rayon::current_num_threads())),
        }
    }
}

impl Default for Limits {
    /// [`Limits::DEFAULT`].
    fn default() -> Self {
        Limits::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn large_blocks_are_alone_and_larger_ones_refused() {
        let l = Limits { block_bytes: 800, ..Limits::default() };
        assert_eq!(l.blocks(100), Ok(1));
        assert_eq!(l.blocks(51), Ok(1));
        assert_eq!(l.blocks(0), l.blocks(1));
        assert_eq!(l.blocks(101).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
