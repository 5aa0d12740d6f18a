//! The frame of an archive.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | magic `89 46 50 5A 0D 0A 1A 0A` |
//! | 2, 2 | major and minor version, little-endian `u16` |
//! | ... | parts, back to back: the bytes of a part, then their CRC32C (4 bytes, little-endian) |
//! | t | the tail: one Zstandard frame made with the dictionary `dictionary.txt`; unpacked: varint j, j bytes of directory (JSON), then the index |
//! | 8 | t, little-endian `u64` |
//! | 4 | CRC32C of the tail |
//! | 4 | CRC32C of the 12 bytes of magic and version, then the 12 bytes before this field |
//! | 4 | end magic `89 46 50 45` |
//!
//! The index: for each array of the directory, in order: a varint for each of its chains, the bytes of the part with its
//! shared information (0: no such part), then a varint for each block in C order of the grid, the bytes of its part. The parts
//! of an array lie in this order from the array's offset; checksums are not counted in the lengths.

use crate::bits::{crc32c, put_varint, ByteReader};
use crate::codec::Limits;
use crate::error::{Error, Result};

pub(super) const MAGIC: [u8; 8] = [0x89, b'F', b'P', b'Z', 0x0d, 0x0a, 0x1a, 0x0a];
pub(super) const END: [u8; 4] = [0x89, b'F', b'P', b'E'];
pub(super) const HEADER_BYTES: usize = 12;
pub(super) const FOOTER_BYTES: usize = 20;
pub(super) const CRC_BYTES: usize = 4;

/// The version this library writes. A reader takes every minor version of its major version: additions that older readers
/// must not ignore are named under `requires` in the directory.
pub const FORMAT_VERSION: (u16, u16) = (1, 0);

/// What the directory requires of its reader where the payload of any block is in the order of levels.
pub(super) const LEVELS: &str = "levels";
/// The same where blocks have other extents along the first axis than the array's header says.
pub(super) const CUTS: &str = "cuts";
/// The same where payloads may hold repairs, or negative values to be replaced.
pub(super) const REPAIRS: &str = "repairs";

const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
const LEVEL: i32 = 19;

pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut h = [0; HEADER_BYTES];
    h[..8].copy_from_slice(&MAGIC);
    h[8..10].copy_from_slice(&FORMAT_VERSION.0.to_le_bytes());
    h[10..].copy_from_slice(&FORMAT_VERSION.1.to_le_bytes());
    h
}

/// Checks magic and version. Errors: `Truncated`, `Corrupt` (not an archive), `Unsupported` (newer).
pub(super) fn check_header(bytes: &[u8]) -> Result<(u16, u16)> {
    let known = bytes.len().min(MAGIC.len());
    if bytes.get(..known) != MAGIC.get(..known) {
        return Err(Error::corrupt("expected a fieldpress archive, found another kind of file"));
    }
    if bytes.len() < HEADER_BYTES {
        return Err(Error::truncated(format!("expected a header of {HEADER_BYTES} bytes, found {}", bytes.len())));
    }
    let mut r = ByteReader::new(bytes.get(8..).unwrap_or_default());
    let (major, minor) = (r.u16()?, r.u16()?);
    if major != FORMAT_VERSION.0 {
        return Err(Error::unsupported(format!(
            "expected format version {}.x, found {major}.{minor}; a newer fieldpress may read it",
            FORMAT_VERSION.0
        )));
    }
    Ok((major, minor))
}

/// The tail and the footer.
pub(super) fn tail(directory: &str, index: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    put_varint(&mut plain, directory.len() as u64);
    plain.extend_from_slice(directory.as_bytes());
    plain.extend_from_slice(index);
    let mut out = zstd::bulk::Compressor::with_dictionary(LEVEL, DICTIONARY)?.compress(&plain)?;
    let (length, crc) = (out.len() as u64, crc32c(&out));
    let fixed = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    let check = footer_crc(&header(), out.get(fixed..).unwrap_or_default());
    out.extend_from_slice(&check.to_le_bytes());
    out.extend_from_slice(&END);
    Ok(out)
}

fn footer_crc(header: &[u8], footer: &[u8]) -> u32 {
    crc32c(&[header, footer].concat())
}

/// Length and checksum of the tail, from the last bytes of a file. Errors: `Truncated` where the end is missing, `Corrupt`.
pub(super) fn check_footer(header: &[u8], footer: &[u8]) -> Result<(u64, u32)> {
    let mut r = ByteReader::new(footer);
    let (length, crc) = (r.u64()?, r.u32()?);
    let check = r.u32()?;
    if r.rest() != END {
        return Err(Error::truncated(
            "expected the end of an archive, found other bytes: it was cut or is still being written",
        ));
    }
    if check != footer_crc(header, footer.get(..12).unwrap_or_default()) {
        return Err(Error::corrupt("expected a footer with a matching checksum"));
    }
    Ok((length, crc))
}

/// Directory text and index bytes from a tail.
pub(super) fn open_tail(tail: &[u8], crc: u32, limits: &Limits) -> Result<(String, Vec<u8>)> {
    if crc32c(tail) != crc {
        return Err(Error::corrupt("expected a directory with a matching checksum"));
    }
    // A frame says how large it unpacks; it is not trusted beyond the limit.
    let size = zstd::zstd_safe::get_frame_content_size(tail).ok().flatten().unwrap_or(u64::MAX);
    let capacity = usize::try_from(size).ok().filter(|&n| n <= limits.directory_bytes);
    let capacity = capacity.ok_or_else(|| {
        Error::limit(format!("expected a directory of at most {} bytes, found {size}", limits.directory_bytes))
    })?;
    let plain = zstd::bulk::Decompressor::with_dictionary(DICTIONARY)
        .and_then(|mut d| d.decompress(tail, capacity))
        .map_err(|e| Error::corrupt(format!("expected a directory packed by Zstandard: {e}")))?;
    let mut r = ByteReader::new(&plain);
    let text = r.section()?;
    let text = std::str::from_utf8(text).map_err(|e| Error::corrupt(format!("expected a directory in UTF-8: {e}")))?;
    Ok((text.to_string(), r.rest().to_vec()))
}
