//! How much memory and output untrusted bytes may ask for.

/// Limits that decoding keeps to; exceeding one is an error of kind `LimitExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one decoded block. Several blocks are in flight at once, one a thread.
    pub block_bytes: usize,
    /// Bytes of one decoded array that is read into memory.
    pub array_bytes: usize,
    /// Bytes of the directory of an archive, unpacked.
    pub directory_bytes: usize,
    /// Bytes of one verbatim blob, unpacked.
    pub blob_bytes: usize,
}

impl Default for Limits {
    /// 1 GiB a block, 64 GiB an array in memory, 256 MiB of directory, 4 GiB a blob.
    fn default() -> Self {
        Limits { block_bytes: 1 << 30, array_bytes: 1 << 36, directory_bytes: 1 << 28, blob_bytes: 1 << 32 }
    }
}
