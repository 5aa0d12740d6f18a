//! L1: velocity distributions: their meshes, and their sparse and dense forms.
//!
//! Vectors are in the order vx, vy, vz. Arrays are in C order with the axes `[vz][vy][vx]`, so that vx is the fastest.
//! Speeds are in m/s and phase-space densities in s^3/m^6 on a mesh in m/s; on a mesh of unit width
//! ([`Mesh::unit`]) everything is in cells.

mod dense;
mod mesh;
mod sparse;

pub use dense::{Dense, Distribution};
pub use mesh::{BlockBox, Mesh, BLOCK_CELLS, WID};
pub use sparse::Sparse;
