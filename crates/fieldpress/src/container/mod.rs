//! L4: many named arrays, their companions and verbatim blobs in one file.

mod assemble;
mod directory;
mod format;
mod inspect;
mod level;
mod plan;
mod reader;
mod search;
mod writer;

#[doc(hidden)]
pub use assemble::assemble;
pub use directory::{ArrayHeader, BlobHeader, Directory, FileHeader, Role, FORMAT_VERSION};
pub use inspect::StoredBlock;
pub use plan::{integrals, Plan};
pub use reader::{Archive, BlockInfo};
pub use writer::{ArchiveWriter, ArrayOptions, ArrayReport, MOST_WHOLE};
