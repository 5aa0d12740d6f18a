//! A file of an archive as bytes, of which only those are decoded that are read.

use std::sync::{Arc, Mutex, PoisonError};

use super::restore::file_header;
use crate::array::{Endian, ReadAt, Region};
use crate::container::Archive;
use crate::error::{Error, Result};
use crate::io::bytes::{Joined, Window};
use crate::io::{file_bytes, Layout};

/// The bytes of file number `file` of the archive, without restoring it.
/// Errors: `Unsupported` for formats whose arrays do not lie in one piece each; `InvalidArgument` when there is no such file; `Corrupt`.
pub(super) fn archived_file(archive: &Arc<Archive>, file: usize) -> Result<Arc<dyn ReadAt>> {
    let header = file_header(archive, file)?;
    let layout = Layout::from_template(&header.template).map_err(|_| {
        Error::unsupported(format!("expected a format whose arrays lie as they are, found {}", header.format))
    })?;
    let verbatim: Arc<dyn ReadAt> = Arc::new(header.verbatim.map_or(Ok(Vec::new()), |i| archive.blob(i))?);
    let mut parts = Vec::new();
    let mut start = 0;
    for s in layout.stretches()? {
        parts.push(match s.array {
            None => {
                let window = Window { bytes: verbatim.clone(), start, length: s.length };
                start += s.length;
                window
            }
            Some((name, endian)) => {
                let array = DecodedArray::new(archive.clone(), format!("{}{name}", header.prefix), endian)?;
                if array.size()? != s.length {
                    return Err(Error::corrupt(format!(
                        "expected {} bytes of {name:?}, found {}",
                        s.length,
                        array.size()?
                    )));
                }
                Window { bytes: Arc::new(array), start: 0, length: s.length }
            }
        });
    }
    if start != verbatim.size()? {
        return Err(Error::corrupt(format!("expected {start} verbatim bytes, found {}", verbatim.size()?)));
    }
    Ok(Arc::new(Joined::new(parts)))
}

/// Rows of an array, as bytes: where they begin, and the first row after them.
type Rows = Option<(usize, usize, Vec<u8>)>;

/// An array of an archive as the bytes of a file. The blocks read last stay decoded.
struct DecodedArray {
    archive: Arc<Archive>,
    name: String,
    endian: Endian,
    last: Mutex<Rows>,
}

impl DecodedArray {
    fn new(archive: Arc<Archive>, name: String, endian: Endian) -> Result<DecodedArray> {
        archive.array(&name).map_err(|e| Error::corrupt(e.message()))?;
        Ok(DecodedArray { archive, name, endian, last: Mutex::new(None) })
    }
    /// All blocks that hold values of a row.
    fn rows(&self, row: usize) -> Result<(usize, usize, Vec<u8>)> {
        let grid = self.archive.array(&self.name)?.grid()?;
        let shape = grid.shape();
        let (mut origin, mut dims) = (vec![0; shape.rank()], shape.to_vec());
        let set = |v: &mut [usize], n: usize| v.iter_mut().take(1).for_each(|v| *v = n);
        set(&mut origin, row);
        set(&mut dims, 1);
        let one = Region::new(&shape, &origin, &dims)?;
        let first = |v: &[usize]| v.first().copied().unwrap_or(0);
        let (mut from, mut to) = (row, row + 1);
        for block in grid.touching(&one) {
            let region = grid.region(block);
            from = from.min(first(region.origin()));
            to = to.max(first(region.origin()) + region.shape().first().copied().unwrap_or(1));
        }
        set(&mut origin, from);
        set(&mut dims, to - from);
        let values = self.archive.read_region(&self.name, &Region::new(&shape, &origin, &dims)?)?;
        Ok((from, to, file_bytes(values.data(), self.endian)))
    }
}

impl ReadAt for DecodedArray {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let shape = self.archive.array(&self.name)?.grid()?.shape();
        let size = (self.size()? / shape.first().copied().unwrap_or(1).max(1) as u64).max(1);
        let (mut at, mut rest) = (offset, out);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        while !rest.is_empty() {
            let row = usize::try_from(at / size).unwrap_or(usize::MAX);
            if last.as_ref().is_none_or(|(from, to, _)| !(*from..*to).contains(&row)) {
                *last = None;
                *last = Some(self.rows(row)?);
            }
            let Some((from, _, bytes)) = last.as_ref() else { break };
            let inside = usize::try_from(at - *from as u64 * size).unwrap_or(usize::MAX);
            let known = bytes.get(inside..).unwrap_or_default();
            let n = known.len().min(rest.len());
            if n == 0 {
                return Err(Error::truncated(format!("expected {} bytes at offset {at}, found the end", rest.len())));
            }
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&known[..n]);
            (at, rest) = (at + n as u64, later);
        }
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.archive.array(&self.name)?.raw_bytes())
    }
}
