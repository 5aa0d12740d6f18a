//! L5: one file per file format, and what they share: where arrays lie in a file and how the file is put back together.

mod format;
mod layout;
mod output;
#[cfg(test)]
pub(crate) mod testing;

pub use crate::container::Role;
pub use format::{Arrays, Dataset, FileArray, Format, OpenOptions};
pub use layout::Layout;
pub use output::{Output, PendingFile};

/// Every file format, in the order in which they are tried on a file.
pub static FORMATS: &[&dyn Format] = &[];
