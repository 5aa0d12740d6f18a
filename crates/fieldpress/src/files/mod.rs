//! Whole files: into an archive, back out of it, and checked against it.
//!
//! [`compress_files`] stores every array of every file with all that is needed to put the files together again;
//! [`restore_file`] does that; [`verify_file`] reads an original again and decides whether its bounds hold.
//! [`export_array`] and [`export_npz`] take arrays out on their own.

mod archived;
mod compress;
mod distributions;
mod elements;
mod export;
mod glob;
mod input;
mod order;
mod portrait;
mod restore;
mod tally;
mod verify;

pub use compress::{compress_files, FileOptions, FilesReport};
pub use distributions::MomentTally;
pub use export::{export_array, export_npz, ArrayFormat, Selection};
pub use glob::Glob;
pub use input::{Event, Input, Watch};
pub use portrait::{read_portrait, write_portrait, MapOrigin};
pub use restore::{restore_cells, restore_file, restore_points};
pub use tally::{compare_values, Tally};
pub use verify::{verify_file, ArrayVerdict, FileVerdict};
