//! A file out of an archive, in its own format.

use std::sync::Arc;

use super::archived::archived_file;
use super::input::{Event, Watch};
use crate::array::{DType, ReadAt as _, Region, Shape, Sink};
use crate::container::{Archive, FileHeader};
use crate::error::{Error, Result};
use crate::io::vlsv::Vlsv;
use crate::io::{self, Arrays, Output};

/// The arrays of one file of an archive.
pub(super) struct Decoder<'a> {
    pub(super) archive: &'a Archive,
    pub(super) prefix: &'a str,
    /// Which level of them; 0 for the arrays themselves.
    pub(super) level: u32,
    pub(super) watch: Option<Watch<'a>>,
}

impl Arrays for Decoder<'_> {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        let name = format!("{}{name}", self.prefix);
        let header = self.archive.array(&name).map_err(|e| Error::corrupt(e.message()))?;
        Ok((header.dtype, header.grid()?.shape().coarse(self.level)))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let (dtype, shape) = self.spec(name)?;
        let name = format!("{}{name}", self.prefix);
        if let Some(w) = self.watch {
            w(Event::Array { name: &name, bytes: (shape.len() * dtype.size()) as u64 });
        }
        let progress = |n: u64| {
            if let Some(w) = self.watch {
                w(Event::Bytes(n));
            }
        };
        self.archive.read_level_into(&name, self.level, &Region::all(shape), sink, Some(&progress))
    }
}

/// The header of a file of the archive. Errors: `InvalidArgument`.
pub(super) fn file_header(archive: &Archive, file: usize) -> Result<&FileHeader> {
    let files = &archive.directory().files;
    files.get(file).ok_or_else(|| {
        Error::invalid(format!("expected one of the {} files of the archive, found number {file}", files.len()))
    })
}

/// Puts file number `file` of the archive together in `out`, which is to be empty.
/// Errors: `InvalidArgument` when there is no such file; `Unsupported` for a format this build does not have; those of
/// [`Archive::read_into`] and of the format; `Io`.
pub fn restore_file(archive: &Archive, file: usize, out: &mut dyn Output, watch: Option<Watch<'_>>) -> Result<()> {
    let header = file_header(archive, file)?;
    let verbatim = header.verbatim.map_or(Ok(Vec::new()), |i| archive.blob(i))?;
    let arrays = Decoder { archive, prefix: &header.prefix, level: 0, watch };
    let place = |e: Error| e.at(format!("file {:?}", header.name));
    io::format(&header.format).and_then(|f| f.restore(&header.template, &verbatim, &arrays, out)).map_err(place)
}

/// Puts a VLSV file of the archive together in `out`, which is to be empty, as if only these spatial cells kept their velocity distributions. Only
/// blocks that hold values of them are decoded.
/// Errors: `InvalidArgument` when there is no such file or it is no VLSV file; as [`Vlsv::of_cells`]; those of [`Archive::read_region`]; `Io`.
pub fn restore_cells(
    archive: &Arc<Archive>,
    file: usize,
    cells: &[u64],
    out: &mut dyn Output,
    watch: Option<Watch<'_>>,
) -> Result<()> {
    const PIECE: u64 = 1 << 20;
    let header = file_header(archive, file)?;
    let place = |e: Error| e.at(format!("file {:?}", header.name));
    if header.format != "vlsv" {
        return Err(place(Error::invalid(format!("expected a VLSV file to choose cells of, found {}", header.format))));
    }
    let copy = |out: &mut dyn Output| -> Result<()> {
        let bytes = Vlsv::open(archived_file(archive, file)?)?.of_cells(cells)?;
        let size = bytes.size()?;
        if let Some(w) = watch {
            w(Event::Array { name: &header.name, bytes: size });
        }
        let mut at = 0;
        while at < size {
            let mut piece = vec![0; PIECE.min(size - at) as usize];
            bytes.read_at(at, &mut piece)?;
            out.write_at(at, &piece)?;
            at += piece.len() as u64;
            if let Some(w) = watch {
                w(Event::Bytes(piece.len() as u64));
            }
        }
        Ok(())
    };
    copy(out).map_err(place)
}

/// Puts a spectral-element file of the archive together in `out`, which is to be empty, with `points` points along each axis of its elements.
/// Errors: `InvalidArgument` when there is no such file, it is of another format, or for fewer than 2 or more than 32 points; as [`restore_file`].
pub fn restore_points(
    archive: &Archive,
    file: usize,
    points: usize,
    out: &mut dyn Output,
    watch: Option<Watch<'_>>,
) -> Result<()> {
    let header = file_header(archive, file)?;
    let place = |e: Error| e.at(format!("file {:?}", header.name));
    if header.format != "nek" {
        return Err(place(Error::invalid(format!(
            "expected a field file of spectral elements, found {}",
            header.format
        ))));
    }
    let verbatim = header.verbatim.map_or(Ok(Vec::new()), |i| archive.blob(i))?;
    let arrays = Decoder { archive, prefix: &header.prefix, level: 0, watch };
    io::restore_with_points(points, &header.template, &verbatim, &arrays, out).map_err(place)
}
