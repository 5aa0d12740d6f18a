//! Field files of the spectral-element codes Nek5000, NekRS and Neko.
//!
//! Source: the writers and readers of Nek5000 (`core/prepost.f`, `core/ic.f`) and Neko (`src/io/fld_file.f90`). They
//! have no other specification; what follows is what their files hold.
//!
//! # Format
//!
//! A field file `<case>0.f00001`, or one part of a set of files:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 132 | text header, see `header.rs` |
//! | 132 | 4 | the number 6.54321 as `f32`: tells the byte order of all that follows |
//! | 136 | 4 n | element map: for each of the n elements in this file its global number, `i32`, in any order |
//! | ... | | for each letter of the header's code `X U P T Snn`, in this order, one group of arrays |
//! | ... | | 3-D only: for each group the extremes of its data, see `extremes.rs`; may be absent or cut short |
//!
//! A group holds, for each element, its components one after the other, and of each the lz x ly x lx values at the
//! element's nodes, first direction fastest, as `f32` or `f64`. `X` has the components x y z, `U` ux uy uz (without z
//! and uz where lz = 1: the file is 2-D), all others have one.
//!
//! A legacy file `<case>.fld01`:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 80 | text header |
//! | 80 | 4 | 6.54321 |
//! | 84 | | for each element in global order all components of all fields, as one group |

mod extremes;
mod field;
mod header;
mod meta;
mod order;
mod plan;

pub use field::NEK;
pub use meta::{Series, NEK_SERIES};
pub use order::restore_with_points;
