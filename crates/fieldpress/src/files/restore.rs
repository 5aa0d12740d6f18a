//! A file out of an archive, in its own format.

use super::input::{Event, Watch};
use crate::array::{DType, Region, Shape, Sink};
use crate::container::{Archive, FileHeader};
use crate::error::{Error, Result};
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
