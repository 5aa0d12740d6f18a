//! VLSV, the file format of the Vlasiator plasma simulation: arrays of a spatial mesh and sparse velocity distributions.

mod arrays;
mod cells;
mod footer;
mod reader;
#[cfg(test)]
mod sample;
mod velocity;

pub use arrays::{VlsvFormat, VLSV};
pub use footer::{Stored, Tag};
pub use reader::Vlsv;
pub use velocity::{CellBlocks, VelocityMesh};
