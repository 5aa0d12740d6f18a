//! Where restored files go: memory, or a file that appears only when it is complete.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::array::{DType, Endian, Placement, ReadAt, Region, Sink, Slice, View};
use crate::error::{Error, Result};

/// Bytes that can be written and read back at any offset. Gaps are zeros.
pub trait Output: ReadAt + Send {
    /// Stores `bytes` from `offset`, growing the output where needed.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
}

impl Output for Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = usize::try_from(offset).ok().and_then(|o| o.checked_add(bytes.len()));
        let end = end.ok_or_else(|| Error::limit(format!("expected an offset that fits memory, found {offset}")))?;
        if end > self.len() {
            self.try_reserve(end - self.len())
                .map_err(|_| Error::limit(format!("expected memory for {end} bytes, found too little")))?;
            self.resize(end, 0);
        }
        self[end - bytes.len()..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// A file under a temporary name beside its goal; [`PendingFile::commit`] renames it, dropping it removes it.
#[derive(Debug)]
pub struct PendingFile {
    file: Mutex<File>,
    temporary: PathBuf,
    goal: PathBuf,
    committed: bool,
}

impl PendingFile {
    /// Takes over the permissions of a file that is overwritten. Errors: `InvalidArgument` when `goal` exists and `overwrite` is
    /// false, or when it is not a file; `Io`.
    pub fn create(goal: &Path, overwrite: bool) -> Result<PendingFile> {
        // Through a symbolic link the file it names is meant.
        let named = if goal.is_symlink() { goal.canonicalize().ok() } else { None };
        let goal = named.as_deref().unwrap_or(goal);
        let place = |e: std::io::Error| Error::from(e).at(goal.display());
        let old = goal.metadata().ok();
        if old.as_ref().is_some_and(|m| !m.is_file()) {
            let found = if goal.is_dir() { "a folder" } else { "a device or pipe" };
            let what = format!("expected a file to write, found {found}; -o - writes to standard output");
            return Err(Error::invalid(what).at(goal.display()));
        }
        if !overwrite && old.is_some() {
            return Err(
                Error::invalid("expected a new file, found an existing one; overwrite with -f").at(goal.display())
            );
        }
        let name = goal.file_name().ok_or_else(|| Error::invalid("expected a file name").at(goal.display()))?;
        let mut attempt = 0;
        loop {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{attempt}.part", std::process::id()));
            let temporary = goal.with_file_name(hidden);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Ok(f) => {
                    if let Some(old) = &old {
                        // A file system without permissions is no reason to fail.
                        let _ = std::fs::set_permissions(&temporary, old.permissions());
                    }
                    return Ok(PendingFile { file: Mutex::new(f), temporary, goal: goal.into(), committed: false });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
                Err(e) => return Err(place(e)),
            }
        }
    }
    /// Gives the file its name. Errors: `Io`.
    pub fn commit(mut self) -> Result<()> {
        let place = |e: std::io::Error| Error::from(e).at(self.goal.display());
        self.file.get_mut().unwrap_or_else(PoisonError::into_inner).sync_all().map_err(place)?;
        std::fs::rename(&self.temporary, &self.goal).map_err(place)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here, and the goal was never touched.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Sequential writing, for archives.
impl Write for PendingFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.file.get_mut().unwrap_or_else(PoisonError::into_inner).write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.get_mut().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl ReadAt for PendingFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut f = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        f.seek(SeekFrom::Start(offset))?;
        Ok(f.read_exact(out)?)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.len())
    }
}

impl Output for PendingFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let f = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        f.seek(SeekFrom::Start(offset))?;
        Ok(f.write_all(bytes)?)
    }
}

/// Puts values into an [`Output`] as a [`Placement`] says.
pub(super) struct StridedSink<'a> {
    pub(super) out: &'a mut dyn Output,
    pub(super) placement: &'a Placement,
    pub(super) dtype: DType,
}

impl Sink for StridedSink<'_> {
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()> {
        let fits = self.placement.strides.len() == region.shape().rank() && values.len() == region.shape().len();
        if values.dtype() != self.dtype || !fits {
            return Err(Error::invalid(format!("expected {} values of type {}", region.shape(), self.dtype)));
        }
        match self.placement.file_order() {
            None => self.put(self.placement, region, values),
            Some((axes, placement)) => {
                let from = region.shape().strides();
                let strides: Vec<isize> = axes.iter().map(|&a| from[a] as isize).collect();
                let region = region.permuted(&axes);
                let view = View::strided(values, region.shape(), &strides, 0)?;
                let permuted = view.gather(&Region::all(region.shape()))?;
                self.put(&placement, &region, permuted.as_slice())
            }
        }
    }
}

impl StridedSink<'_> {
    fn put(&mut self, placement: &Placement, region: &Region, values: Slice<'_>) -> Result<()> {
        let size = self.dtype.size();
        let bytes = file_bytes(values, placement.endian);
        let mut rest = bytes.as_slice();
        placement.runs(region, self.dtype, |offset, n| {
            let (head, tail) = rest.split_at(rest.len().min(n * size));
            rest = tail;
            self.out.write_at(offset, head)
        })
    }
}

/// The bytes of `values` in file order.
pub(crate) fn file_bytes(values: Slice<'_>, endian: Endian) -> Vec<u8> {
    let mut bytes = values.to_le_bytes();
    if endian == Endian::Big {
        bytes.chunks_exact_mut(values.dtype().size()).for_each(<[u8]>::reverse);
    }
    bytes
}
