//! Finds the format of a file.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::format::{Dataset, Format, OpenOptions};
use super::{raw, FORMATS};
use crate::array::ReadAt;
use crate::error::{Error, ErrorKind, Result};

/// How many bytes [`Format::matches`] gets to see.
const HEAD: u64 = 512;

/// The format called `id`. Errors: `Unsupported`, with the names there are.
pub fn format(id: &str) -> Result<&'static dyn Format> {
    FORMATS
        .iter()
        .copied()
        .find(|f| f.id() == id)
        .ok_or_else(|| Error::unsupported(format!("expected a known file format ({}), found {id:?}", ids())))
}

fn ids() -> String {
    FORMATS.iter().map(|f| f.id()).collect::<Vec<_>>().join(", ")
}

/// Opens a file given its name (only a hint) and bytes: as raw binary where `options` give a shape or an element type,
/// otherwise in the first format that recognises it.
/// Errors: `Unsupported` when none does; otherwise as [`Format::open`].
pub fn open(name: &str, bytes: Arc<dyn ReadAt>, options: &OpenOptions) -> Result<Dataset> {
    if options.shape.is_some() || options.dtype.is_some() {
        return raw::Raw.open(name, bytes, options);
    }
    let mut head = vec![0; bytes.size()?.min(HEAD) as usize];
    bytes.read_at(0, &mut head)?;
    match FORMATS.iter().find(|f| f.matches(name, &head)) {
        Some(f) => f.open(name, bytes, options),
        None => Err(Error::unsupported(format!(
            "expected a file in a known format ({}), found another; for raw binary give --shape and --dtype",
            ids()
        ))),
    }
}

/// Opens the file at `path`; see [`open`]. Errors name the path.
pub fn open_path(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let file = || -> Result<Dataset> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(Error::new(ErrorKind::Io, "expected a file, found a directory"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        open(&name, Arc::new(Mutex::new(file)), options)
    };
    file().map_err(|e| e.at(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{DType, Shape};

    #[test]
    fn files_are_recognised_and_unknown_ones_explained() {
        let open = |name: &str, bytes: &[u8], o: &OpenOptions| open(name, Arc::new(bytes.to_vec()), o);
        let npy = crate::io::npy::header(DType::F32, &Shape::new(&[0]).unwrap());
        assert_eq!(open("a.bin", &npy, &OpenOptions::default()).map(|d| d.format), Ok("npy"));
        let raw = OpenOptions { shape: Shape::new(&[npy.len()]).ok(), dtype: Some(DType::U8), ..Default::default() };
        assert_eq!(open("a.npy", &npy, &raw).map(|d| d.format), Ok("raw"));
        for bytes in [&b""[..], b"hello"] {
            let e = open("a.txt", bytes, &OpenOptions::default()).map(|d| d.format).unwrap_err();
            assert!(e.kind() == ErrorKind::Unsupported, "{e}");
            assert!(FORMATS.iter().all(|f| e.message().contains(f.id())) && e.message().contains("--shape"), "{e}");
        }
        assert_eq!(format("npy").map(Format::id), Ok("npy"));
        assert_eq!(format("nope").map(Format::id).unwrap_err().kind(), ErrorKind::Unsupported);
        let e = open_path(Path::new("/no/such/file"), &OpenOptions::default()).map(|d| d.format).unwrap_err();
        assert!(e.kind() == ErrorKind::Io && e.message().contains("/no/such/file"));
        assert!(open_path(Path::new("/"), &OpenOptions::default()).is_err());
    }
}
