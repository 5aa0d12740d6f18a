//! What a file format does: find the arrays of a file, and put the file together again from decoded arrays.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::output::Output;
use crate::array::{Array, DType, Endian, ReadAt, Shape, Sink, Source};
pub(super) use crate::container::Role;
use crate::error::Result;
use crate::sem::OnElements;
use crate::vdf::Velocities;

/// One array of a file, ready to be read.
pub struct FileArray {
    /// Its name, unique within the file; `/` separates levels.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What the file says of it (units, mesh, population, ...); kept in the archive.
    pub attributes: Map<String, Value>,
    /// A chain made for such arrays, as [`Chain::from_json`](crate::Chain::from_json) reads it; its companions are arrays of the file.
    pub suits: Option<Value>,
    /// How its values are velocity distributions, if they are; the names are those of arrays of the file.
    pub velocities: Option<Velocities>,
    /// How its values lie on spectral elements, if they do; the names are those of arrays of the file.
    pub elements: Option<OnElements>,
    /// Its values.
    pub source: Box<dyn Source + Send>,
}

/// The arrays of a file, and all that is needed besides them to put the file together again.
pub struct Dataset {
    /// The id of the [`Format`].
    pub format: &'static str,
    /// How to rebuild the file, as the format likes it (for most: a [`Layout`](super::Layout)).
    pub template: Value,
    /// Bytes of the file that belong to no array.
    pub verbatim: Vec<u8>,
    /// The arrays, in the order of the file.
    pub arrays: Vec<FileArray>,
}

/// What a user may say about a file that does not describe itself.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The shape of raw binary data.
    pub shape: Option<Shape>,
    /// The element type of raw binary data.
    pub dtype: Option<DType>,
    /// The byte order of raw binary data.
    pub endian: Endian,
    /// Bytes to skip at the head of raw binary data.
    pub offset: u64,
}

/// The decoded arrays of an archive, as [`Format::restore`] sees them.
pub trait Arrays {
    /// The element type and shape of the array `name`. Errors: `Corrupt` when there is none.
    fn spec(&self, name: &str) -> Result<(DType, Shape)>;
    /// Decodes the array `name` into `sink`, block by block.
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()>;
    /// Decodes the array `name` into memory.
    fn read(&self, name: &str) -> Result<Array> {
        let (dtype, shape) = self.spec(name)?;
        let mut a = Array::zeros(dtype, shape)?;
        self.read_into(name, &mut a)?;
        Ok(a)
    }
}

/// A file format.
pub trait Format: Sync {
    /// The short name: `npy`, `vlsv`, `nek`, ...
    fn id(&self) -> &'static str;
    /// One sentence for `fieldpress list`.
    fn doc(&self) -> &'static str;
    /// Whether a file with this name and these first bytes (up to 512) is of this format.
    fn matches(&self, name: &str, head: &[u8]) -> bool;
    /// Finds the arrays of a file. Must not read array data beyond what it needs to describe them.
    /// Errors: `Corrupt`, `Truncated`, `Unsupported`, `InvalidArgument`, `Io`.
    fn open(&self, name: &str, bytes: Arc<dyn ReadAt>, options: &OpenOptions) -> Result<Dataset>;
    /// Writes the file that `template` and `verbatim` (from [`Dataset`]) describe, with the values of `arrays`.
    /// Both come from an archive and are not to be trusted.
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()>;
}
