//! VTK XML ImageData (`.vti`): point and cell arrays on a uniform grid, described in XML.
//!
//! Specification: "VTK XML Formats" in the VTK User's Guide and the VTK documentation; file versions 0.1, 1.0 and 2.x.
//!
//! # Format
//!
//! | part | content |
//! |---|---|
//! | `VTKFile` | `type="ImageData"`, `version`, `byte_order`, `header_type` (`UInt32` if absent), `compressor` (none, zlib, LZ4) |
//! | `ImageData/Piece` | one piece; `Extent="x0 x1 y0 y1 z0 z1"` |
//! | `PointData`, `CellData` | `DataArray`s with `type`, `Name`, `NumberOfComponents` and their payload |
//! | `AppendedData` | `encoding` raw or base64, an underscore, payloads at the `offset`s that arrays name, from after it |
//!
//! A payload is decimal text (`ascii`), base64 in the element (`binary`) or in the appended part. Binary payloads begin
//! with a header of `UInt32` or `UInt64` words w in the byte order of the file:
//!
//! | compressor | payload |
//! |---|---|
//! | none | w (bytes of values), values; in base64 one run over both, or one each |
//! | zlib, LZ4 | w (blocks), w (bytes per block), w (bytes in the last block, 0 if full), w (compressed bytes) per block; then the blocks; in base64 one run for the header, one for all blocks |
//!
//! # Arrays
//!
//! `PointData/velocity` is the array `velocity` of the points; a second of that name is `PointData/velocity#2`. Shapes
//! are `[nz, ny, nx]` with the components, where there are more than one, as last axis. Points are one more along each
//! axis than the extent spans; cells are as many, but at least one.
//!
//! # Restoring
//!
//! The XML comes back as it was, around payloads written in the way each one was: in the same encoding and block size,
//! `ascii` in the shortest decimals that read back the same. Offsets into compressed appended data are computed again
//! (padded to 21 characters, where the file left less room). Files without compression come back to the byte. The
//! attributes `RangeMin` and `RangeMax` stay those of the original.
//!
//! The template lists the parts of the file in order; see [`template::Piece`].

mod ascii;
mod encoding;
mod read;
mod template;
#[cfg(test)]
mod tests;
mod write;
mod xml;

pub(super) use read::Vti;
