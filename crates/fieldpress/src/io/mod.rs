//! L5: one file per file format, and what they share: where arrays lie in a file and how the file is put back together.

pub(crate) mod bytes;
mod fits;
mod format;
mod layout;
mod nek;
pub mod npy;
mod npz;
mod open;
mod output;
mod raw;
#[cfg(test)]
pub(crate) mod testing;
pub mod vlsv;
mod vti;

pub use crate::container::Role;
pub use format::{Arrays, Dataset, FileArray, Format, OpenOptions};
pub use layout::Layout;
pub use nek::{restore_with_points, Series, NEK, NEK_SERIES};
pub use open::{format, open, open_path};
pub(crate) use output::file_bytes;
pub use output::{Output, PendingFile};

/// Every file format, in the order in which they are tried on a file.
#[rustfmt::skip] // one line each
pub static FORMATS: &[&dyn Format] = &[
    &npy::Npy,
    &npz::Npz,
    &raw::Raw,
    &vti::Vti,
    &fits::Fits,
    NEK_SERIES,
    NEK,
    &vlsv::VLSV,
];
