//! Bytes that are parts of a file, or made from parts of it when they are first read.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::output::Output;
use crate::array::ReadAt;
use crate::error::{Error, ErrorKind, Result};

/// `length` bytes of a file from `start`, counted from 0.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) bytes: Arc<dyn ReadAt>,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Window {
    /// All of some bytes in memory.
    pub(crate) fn of(bytes: Vec<u8>) -> Window {
        let length = bytes.len() as u64;
        Window { bytes: Arc::new(bytes), start: 0, length }
    }
}

impl ReadAt for Window {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64);
        match self.start.checked_add(offset) {
            Some(at) if end.is_some_and(|e| e <= self.length) => self.bytes.read_at(at, out),
            _ => Err(Error::truncated(format!(
                "expected {} bytes at offset {offset}, found the end at {}",
                out.len(),
                self.length
            ))),
        }
    }
    fn size(&self) -> Result<u64> {
        Ok(self.length)
    }
}

/// Parts of files, one behind the other.
pub(crate) struct Joined {
    /// Where each begins.
    starts: Vec<u64>,
    parts: Vec<Window>,
    size: u64,
}

impl Joined {
    pub(crate) fn new(parts: Vec<Window>) -> Joined {
        let mut size = 0u64;
        let mut starts = Vec::with_capacity(parts.len());
        for p in &parts {
            starts.push(size);
            size = size.saturating_add(p.length);
        }
        Joined { starts, parts, size }
    }
}

impl ReadAt for Joined {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.size) {
            let n = out.len();
            return Err(Error::truncated(format!(
                "expected {n} bytes at offset {offset}, found the end at {}",
                self.size
            )));
        }
        let (mut at, mut rest) = (offset, out);
        let first = self.starts.partition_point(|s| *s <= offset).saturating_sub(1);
        for (start, part) in self.starts.iter().zip(&self.parts).skip(first) {
            if rest.is_empty() {
                break;
            }
            let inside = at - start;
            let n = part.length.saturating_sub(inside).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at_mut(n);
            if n > 0 {
                part.read_at(inside, now)?;
            }
            (at, rest) = (at + n as u64, later);
        }
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.size)
    }
}

/// Where the bytes of the last [`Lazy`] that was read are kept: one per file, since its arrays are read in turn.
pub(super) type Slot = Arc<Mutex<Option<(usize, Arc<Vec<u8>>)>>>;

/// Makes the bytes of a [`Lazy`].
pub(super) type Load = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;

/// Bytes that can only be had all at once (compressed, or written as text): made when first read.
pub(super) struct Lazy {
    /// Different for each part of a file.
    pub(super) key: usize,
    pub(super) slot: Slot,
    pub(super) size: u64,
    /// The first bytes, where they are known already.
    pub(super) prefix: Vec<u8>,
    /// Makes all `size` bytes.
    pub(super) load: Load,
}

impl ReadAt for Lazy {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if self.prefix.as_slice().read_at(offset, out).is_ok() {
            return Ok(());
        }
        let bytes = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match slot.as_ref().filter(|s| s.0 == self.key) {
                Some((_, bytes)) => bytes.clone(),
                None => {
                    // Two arrays in memory at once are not needed.
                    *slot = None;
                    let bytes = Arc::new((self.load)()?);
                    *slot = Some((self.key, bytes.clone()));
                    bytes
                }
            }
        };
        bytes.read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.size)
    }
}

/// A [`ReadAt`] as a stream.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) bytes: Arc<dyn ReadAt>,
    pub(super) at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.size().map_err(to_io)?.saturating_sub(self.at);
        let n = usize::try_from(rest).unwrap_or(usize::MAX).min(out.len());
        self.bytes.read_at(self.at, &mut out[..n]).map_err(to_io)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = sought(to, self.at, || self.bytes.size().map_err(to_io))?;
        Ok(self.at)
    }
}

/// An [`Output`] as a stream.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut dyn Output,
    pub(super) at: u64,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_at(self.at, bytes).map_err(to_io)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Writer<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = sought(to, self.at, || self.out.size().map_err(to_io))?;
        Ok(self.at)
    }
}

fn sought(to: SeekFrom, at: u64, size: impl Fn() -> io::Result<u64>) -> io::Result<u64> {
    let found = match to {
        SeekFrom::Start(n) => Some(n),
        SeekFrom::Current(n) => at.checked_add_signed(n),
        SeekFrom::End(n) => size()?.checked_add_signed(n),
    };
    found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected an offset from 0 to 2^64"))
}

fn to_io(e: Error) -> io::Error {
    let kind = if e.kind() == ErrorKind::Truncated { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::Other };
    io::Error::new(kind, e.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn windows_stay_inside() {
        let w = Window { bytes: Arc::new((0..10u8).collect::<Vec<_>>()), start: 3, length: 4 };
        let mut two = [0; 2];
        w.read_at(2, &mut two).unwrap();
        assert_eq!(two, [5, 6]);
        assert_eq!(w.read_at(3, &mut two).unwrap_err().kind(), ErrorKind::Truncated);
        assert!(w.read_at(u64::MAX, &mut two).is_err());
    }

    #[test]
    fn lazy_bytes_are_made_once_while_they_are_read() {
        let made = Arc::new(AtomicUsize::new(0));
        let slot = Slot::default();
        let lazy = |key: usize| {
            let made = made.clone();
            let load: Load = Box::new(move || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(vec![key as u8; 9])
            });
            Lazy { key, slot: slot.clone(), size: 9, prefix: vec![7; 2], load }
        };
        let (a, b) = (lazy(1), lazy(2));
        let mut out = [0; 2];
        for (source, offset, want, count) in [(&a, 0, 7, 0), (&a, 1, 1, 1), (&a, 7, 1, 1), (&b, 3, 2, 2), (&a, 3, 1, 3)]
        {
            source.read_at(offset, &mut out).unwrap();
            assert_eq!((out, made.load(Ordering::Relaxed)), ([want; 2], count));
        }
        assert!(a.read_at(8, &mut out).is_err());
    }

    #[test]
    fn streams_seek() {
        let mut r = Reader { bytes: Arc::new(vec![1, 2, 3u8]), at: 0 };
        r.seek(SeekFrom::End(-2)).unwrap();
        let mut rest = Vec::new();
        r.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [2, 3]);
        assert!(r.seek(SeekFrom::Current(-4)).is_err());
        let mut out = Vec::new();
        let mut w = Writer { out: &mut out, at: 0 };
        w.write_all(&[1, 2, 3]).unwrap();
        w.seek(SeekFrom::Start(1)).unwrap();
        w.write_all(&[9]).unwrap();
        assert_eq!(out, [1, 9, 3]);
    }
}
