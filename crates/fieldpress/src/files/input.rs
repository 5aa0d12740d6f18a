//! Files as bytes with a name, and how far the work on them is.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::array::ReadAt;
use crate::error::{Error, ErrorKind, Result};
use crate::io;
use crate::io::vlsv::Vlsv;

/// A file to be read: its name without folders, and its bytes.
#[derive(Clone)]
pub struct Input {
    /// The name, kept in the archive; a hint at the format.
    pub name: String,
    /// The content.
    pub bytes: Arc<dyn ReadAt>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Input {
    /// The file at `path`. Errors: `Io`, naming the path.
    pub fn open(path: &Path) -> Result<Input> {
        let open = || -> Result<File> {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(Error::new(ErrorKind::Io, "expected a file, found a directory"));
            }
            Ok(file)
        };
        let file = open().map_err(|e| e.at(path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Input { name, bytes: Arc::new(Mutex::new(file)) })
    }
    /// The same VLSV file as if only these spatial cells kept their velocity distributions.
    /// Errors: `InvalidArgument` for a file that is none, and as [`Vlsv::of_cells`].
    pub fn of_cells(&self, cells: &[u64]) -> Result<Input> {
        if !io::format("vlsv")?.matches(&self.name, &[]) {
            return Err(Error::invalid(format!("expected a VLSV file to choose cells of, found {:?}", self.name)));
        }
        Ok(Input { name: self.name.clone(), bytes: Vlsv::open(self.bytes.clone())?.of_cells(cells)? })
    }
    /// Bytes in memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Input {
        Input { name: name.into(), bytes: Arc::new(bytes) }
    }
}

/// A step of the work on files.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An array is begun.
    Array {
        /// Its name.
        name: &'a str,
        /// Its bytes when decoded.
        bytes: u64,
    },
    /// So many more bytes of it were dealt with. Bounds over the whole array take several passes.
    Bytes(u64),
}

/// Told of every step, from any thread.
pub type Watch<'a> = &'a (dyn Fn(Event<'_>) + Sync);
