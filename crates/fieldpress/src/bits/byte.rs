//! Byte-wise reading and writing: little-endian integers, LEB128 variable-length integers, sections.

use crate::error::{Error, Result};

/// Appends `v` as an LEB128 integer: seven bits a byte, lowest first, the high bit set on all but the last byte.
pub fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v as u8) | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Appends a section: its length as a varint, then its bytes.
pub fn put_section(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps 0, -1, 1, -2, 2, ... to 0, 1, 2, 3, 4, ...
#[inline(always)]
pub fn zigzag(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}

/// The inverse of [`zigzag`].
#[inline(always)]
pub fn unzigzag(v: u32) -> i32 {
    ((v >> 1) as i32) ^ -((v & 1) as i32)
}

/// [`zigzag`] for 64-bit integers.
#[inline(always)]
pub fn zigzag64(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

/// The inverse of [`zigzag64`].
#[inline(always)]
pub fn unzigzag64(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

/// A cursor over untrusted bytes. Every read checks its length and says what was missing.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// A reader at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        ByteReader { rest: bytes }
    }
    /// The bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    /// How many bytes are not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// The next `n` bytes. Errors: `Truncated` when fewer remain.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(Error::truncated(format!("expected {n} more bytes, found {}", self.rest.len()))),
        }
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut a = [0; N];
        a.copy_from_slice(self.take(N)?);
        Ok(a)
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    /// A little-endian `u16`.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }
    /// A little-endian `u32`.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }
    /// A little-endian `u64`.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
    /// A little-endian `f64`.
    pub fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }
    /// An LEB128 integer (see [`put_varint`]). Errors: `Truncated`; `Corrupt` when it does not fit 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.u8()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            v |= part << shift;
            if b & 0x80 == 0 {
                return Ok(v);
            }
        }
        Err(Error::corrupt("expected a variable-length integer of at most 64 bits, found a longer one"))
    }
    /// A varint that counts things in memory. Errors: `Corrupt` when above `limit`.
    pub fn count(&mut self, limit: usize) -> Result<usize> {
        let v = self.varint()?;
        match usize::try_from(v) {
            Ok(n) if n <= limit => Ok(n),
            _ => Err(Error::corrupt(format!("expected a count of at most {limit}, found {v}"))),
        }
    }
    /// A section written by [`put_section`].
    pub fn section(&mut self) -> Result<&'a [u8]> {
        let v = self.varint()?;
        self.take(usize::try_from(v).unwrap_or(usize::MAX))
    }
    /// Errors with `Corrupt` unless everything has been read.
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("expected the end, found {} more bytes", self.rest.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn varints_round_trip_and_refuse_overlong() {
        for v in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut b = Vec::new();
            put_varint(&mut b, v);
            let mut r = ByteReader::new(&b);
            assert_eq!(r.varint(), Ok(v));
            assert!(r.end().is_ok());
            for cut in 0..b.len() {
                assert_eq!(ByteReader::new(&b[..cut]).varint().unwrap_err().kind(), ErrorKind::Truncated);
            }
        }
        let long = [0xff; 11];
        assert_eq!(ByteReader::new(&long).varint().unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn zigzag_is_a_bijection() {
        for v in [0, -1, 1, i32::MIN, i32::MAX, 77, -78] {
            assert_eq!(unzigzag(zigzag(v)), v);
            assert_eq!(unzigzag64(zigzag64(i64::from(v) << 20)), i64::from(v) << 20);
        }
        assert_eq!([zigzag(0), zigzag(-1), zigzag(1)], [0, 1, 2]);
    }

    #[test]
    fn sections_do_not_trust_their_length() {
        let mut b = Vec::new();
        put_varint(&mut b, u64::MAX);
        assert_eq!(ByteReader::new(&b).section().unwrap_err().kind(), ErrorKind::Truncated);
    }
}
