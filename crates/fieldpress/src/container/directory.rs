//! The directory of an archive: what it holds, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::array::{DType, Grid, Shape};
use crate::bound::{Bound, Criterion, Term};
use crate::error::{Error, Result};
use crate::sem::OnElements;
use crate::vdf::Velocities;

pub use super::format::FORMAT_VERSION;

/// Everything an archive holds besides the bytes of its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// The program that wrote the archive.
    pub generator: String,
    /// Features a reader must know to decode this archive; unknown ones are an error of kind `Unsupported`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The files that can be put together again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileHeader>,
    /// The arrays, companions before those that need them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<ArrayHeader>,
    /// Verbatim bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobHeader>,
}

/// A file that can be put together again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileHeader {
    /// The name it had, without folders.
    pub name: String,
    /// What stands before the names of its arrays in this archive.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The file format's id.
    pub format: String,
    /// How the format puts the file together.
    pub template: Value,
    /// The blob with the bytes that belong to no array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbatim: Option<usize>,
}

/// What an array is to its file. Only floating-point fields may be lossy unless the user names others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Data: a physical quantity sampled in space, time or velocity.
    Field,
    /// Positions of mesh points, nodes, times.
    Coordinate,
    /// Identifiers, connectivity, counts.
    Id,
    /// Scalars that steer or describe a run.
    Parameter,
}

/// An array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArrayHeader {
    /// Unique in the archive.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The extents in C order.
    pub shape: Vec<usize>,
    /// The extents of inner blocks.
    pub block: Vec<usize>,
    /// The extents of the blocks along the first axis, where they are not all alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<usize>,
    /// How its values are velocity distributions, where something is asked of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocities: Option<Velocities>,
    /// How its values lie on spectral elements, where something is asked of integrals over the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<OnElements>,
    /// The chains its blocks choose from, as [`Chain::to_json`](crate::codec::Chain::to_json) writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Value>,
    /// What the user asked for.
    pub bound: Bound,
    /// What that came to.
    pub criterion: Criterion,
    /// The tolerance handed to the chains; corrections are multiples of it.
    pub hint: Term,
    /// The bit pattern of the fill value, in hexadecimal with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
    /// What the array is to its file.
    #[serde(default = "field", skip_serializing_if = "is_field")]
    pub role: Role,
    /// What the file says of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// Arrays that must be decoded before this one, by their names in this archive, paired with the names the chains use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<(String, String)>,
    /// The offset of its first part.
    pub at: u64,
}

fn field() -> Role {
    Role::Field
}

fn is_field(r: &Role) -> bool {
    *r == Role::Field
}

impl ArrayHeader {
    /// The bit pattern of the fill value. Errors: `Corrupt`.
    pub fn fill_bits(&self) -> Result<Option<u64>> {
        let parse = |s: &String| {
            let digits = s.strip_prefix("0x").unwrap_or("?");
            u64::from_str_radix(digits, 16)
                .map_err(|_| Error::corrupt(format!("expected a fill value in hexadecimal, found {s:?}")))
        };
        self.fill.as_ref().map(parse).transpose()
    }
    /// The grid of blocks. Errors: `Corrupt`.
    pub fn grid(&self) -> Result<Grid> {
        let corrupt = |e: Error| Error::corrupt(format!("array {:?}: {}", self.name, e.message()));
        let shape = Shape::new(&self.shape).map_err(corrupt)?;
        match self.cuts.is_empty() {
            true => Grid::new(shape, &self.block).map_err(corrupt),
            false => Grid::with_cuts(shape, &self.block, &self.cuts).map_err(corrupt),
        }
    }
    /// Bytes of the decoded array; saturates.
    pub fn raw_bytes(&self) -> u64 {
        let n = self.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        n.saturating_mul(self.dtype.size() as u64)
    }
}

/// Verbatim bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlobHeader {
    /// Unique in the archive.
    pub name: String,
    /// Bytes when unpacked.
    pub bytes: u64,
    /// Whether the part is a Zstandard frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub packed: bool,
    /// The offset of its part.
    pub at: u64,
    /// The bytes of its part.
    pub stored: u64,
}
