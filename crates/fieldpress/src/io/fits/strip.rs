//! The same bytes of every row of a table, one row after the other, as if they were one piece.

use std::sync::Arc;

use crate::array::ReadAt;
use crate::error::{Error, Result};
use crate::io::output::Output;

/// So many bytes of a file are read at a time, where a row is no longer: a system call per row would take longer than
/// reading what lies between.
const SPAN: u64 = 1 << 18;

/// `length` bytes from `start`, and again every `width` bytes, `rows` times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Strip {
    start: u64,
    length: u64,
    width: u64,
    rows: u64,
}

impl Strip {
    /// Errors: `Corrupt` when the end overflows, or the rows overlap.
    pub(super) fn new(start: u64, length: u64, width: u64, rows: u64) -> Result<Strip> {
        let end = rows.checked_mul(width).and_then(|n| n.checked_add(start));
        match end {
            Some(_) if length <= width => Ok(Strip { start, length, width, rows }),
            _ => Err(Error::corrupt(format!(
                "expected {length} bytes in each of {rows} rows of {width}, found no room for them"
            ))),
        }
    }
    /// Bytes in all rows together.
    pub(super) fn size(&self) -> u64 {
        // No more than all rows, whose end does not overflow.
        self.length.saturating_mul(self.rows)
    }
    /// Where the byte `offset` lies in the file.
    fn place(&self, offset: u64) -> u64 {
        let (row, inside) = (offset / self.length.max(1), offset % self.length.max(1));
        self.start.saturating_add(row.saturating_mul(self.width)).saturating_add(inside)
    }
    /// How many of the next `n` bytes from `offset` are handled at once, and how far they reach in the file.
    fn step(&self, offset: u64, n: usize) -> (usize, usize) {
        let rows = if self.length == self.width { self.rows } else { (SPAN / self.width.max(1)).max(1) };
        let most = rows.saturating_mul(self.length).saturating_sub(offset % self.length.max(1));
        let n = n.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1);
        let last = self.place(offset.saturating_add(n as u64 - 1));
        (n, usize::try_from(last + 1 - self.place(offset)).unwrap_or(usize::MAX))
    }
    /// Calls `f(packed, apart, n)` for each run of the next `n` bytes from `offset`: where it lies among them, where it
    /// lies from the place of the first, and its length.
    fn runs(&self, offset: u64, n: usize, mut f: impl FnMut(usize, usize, usize)) {
        let (length, width) = (self.length as usize, self.width as usize);
        let mut inside = (offset % self.length.max(1)) as usize;
        let (mut packed, mut apart) = (0, 0);
        while packed < n {
            let run = (length - inside).min(n - packed);
            f(packed, apart, run);
            packed += run;
            apart += width - inside;
            inside = 0;
        }
    }
    fn check(&self, offset: u64, n: usize) -> Result<()> {
        if offset.checked_add(n as u64).is_some_and(|end| end <= self.size()) {
            return Ok(());
        }
        Err(Error::truncated(format!("expected {n} bytes at offset {offset}, found the end at {}", self.size())))
    }
    /// Fills `out` with the bytes from `offset` of all rows together.
    fn read(&self, file: &dyn ReadAt, mut offset: u64, out: &mut [u8]) -> Result<()> {
        self.check(offset, out.len())?;
        let (mut rest, mut span) = (out, Vec::new());
        while !rest.is_empty() {
            let (n, reach) = self.step(offset, rest.len());
            let (now, later) = rest.split_at_mut(n);
            if reach == n {
                file.read_at(self.place(offset), now)?;
            } else {
                span.resize(reach, 0);
                file.read_at(self.place(offset), &mut span)?;
                self.runs(offset, n, |packed, apart, run| {
                    now[packed..packed + run].copy_from_slice(&span[apart..apart + run]);
                });
            }
            (rest, offset) = (later, offset + n as u64);
        }
        Ok(())
    }
    /// Stores `bytes` from `offset` of all rows together. What lies between them stays as it is.
    fn write(&self, file: &mut dyn Output, mut offset: u64, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        let (mut rest, mut span) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (n, reach) = self.step(offset, rest.len());
            let (now, later) = rest.split_at(n);
            if reach == n {
                file.write_at(self.place(offset), now)?;
            } else {
                let end = self.place(offset) + reach as u64;
                if file.size()? < end {
                    file.write_at(end - 1, &[0])?;
                }
                span.resize(reach, 0);
                file.read_at(self.place(offset), &mut span)?;
                self.runs(offset, n, |packed, apart, run| {
                    span[apart..apart + run].copy_from_slice(&now[packed..packed + run]);
                });
                file.write_at(self.place(offset), &span)?;
            }
            (rest, offset) = (later, offset + n as u64);
        }
        Ok(())
    }
}

/// The bytes of a strip to be read.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) file: Arc<dyn ReadAt>,
    pub(super) strip: Strip,
}

impl ReadAt for Packed {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.strip.read(&self.file, offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.strip.size())
    }
}

/// The bytes of a strip to be written.
pub(super) struct Spread<'a> {
    pub(super) file: &'a mut dyn Output,
    pub(super) strip: Strip,
}

impl ReadAt for Spread<'_> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.strip.read(&*self.file, offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.strip.size())
    }
}

impl Output for Spread<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.strip.write(self.file, offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn strips_are_read_and_written_from_any_offset() {
        // Short rows, and rows longer than what is read at once.
        for (width, rows) in [(7u64, 9u64), (SPAN / 2 + 3, 5), (SPAN + 1, 3)] {
            let file: Vec<u8> = (0..width * rows + 5).map(|i| (i % 251) as u8).collect();
            for (start, length) in [(5, width), (6, 4), (5 + width - 1, 1)] {
                let strip = Strip::new(start, length, width, rows).unwrap();
                let want: Vec<u8> = (0..rows)
                    .flat_map(|r| {
                        let at = (start + r * width) as usize;
                        file[at..at + length as usize].to_vec()
                    })
                    .collect();
                let packed = Packed { file: Arc::new(file.clone()), strip };
                assert_eq!(packed.size(), Ok(want.len() as u64));
                for from in 0..want.len().min(12) {
                    let mut found = vec![0; want.len() - from];
                    packed.read_at(from as u64, &mut found).unwrap();
                    assert!(found == want[from..], "{width} {start} {from}");
                    let mut out = vec![0; file.len()];
                    let mut spread = Spread { file: &mut out, strip };
                    spread.write_at(from as u64, &want[from..]).unwrap();
                    let mut again = vec![0; want.len() - from];
                    spread.read_at(from as u64, &mut again).unwrap();
                    assert!(again == want[from..]);
                    let written = out.iter().zip(&file).filter(|(o, f)| o == f && **o != 0).count();
                    assert_eq!(written, want[from..].iter().filter(|b| **b != 0).count());
                }
                let kind = packed.read_at(want.len() as u64, &mut [0]).unwrap_err().kind();
                assert_eq!(kind, ErrorKind::Truncated);
            }
        }
        assert!(Strip::new(0, 3, 2, 2).is_err() && Strip::new(1, 1, u64::MAX, 1).is_err());
        let none = Packed { file: Arc::new(Vec::new()), strip: Strip::new(0, 0, 0, 1 << 60).unwrap() };
        assert!(none.read_at(0, &mut []).is_ok() && none.read_at(0, &mut [0]).is_err());
    }
}
