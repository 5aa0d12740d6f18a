//! L4: many named arrays, their companions and verbatim blobs in one file.

mod directory;
mod format;
mod reader;
mod writer;

pub use directory::{ArrayHeader, BlobHeader, Directory, FileHeader, FORMAT_VERSION};
pub use reader::{Archive, BlockInfo};
pub use writer::{ArrayOptions, ArrayReport, ArchiveWriter};
