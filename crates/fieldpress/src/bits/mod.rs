//! L0: bits and bytes: readers that never trust a length, writers that append to a `Vec<u8>`. Loops and sums of numbers.

mod bit;
mod byte;
mod sum;
mod widest;

pub use bit::{BitReader, BitWriter};
pub use byte::{put_section, put_varint, unzigzag, unzigzag64, zigzag, zigzag64, ByteReader};
pub(crate) use sum::{two_sum, Sum};
pub use widest::{widest, Work};

/// CRC32C (Castagnoli, reflected, initial value and final xor `0xFFFF_FFFF`) of `bytes`, as in RFC 3720.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}
