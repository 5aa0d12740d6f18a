//! L1: velocity distributions: their meshes, sparse and dense forms, moments, and how far two of them differ.
//!
//! Vectors are in the order vx, vy, vz. Arrays are in C order with the axes `[vz][vy][vx]`, so that vx is the fastest.
//! Speeds are in m/s and phase-space densities in s^3/m^6 on a mesh in m/s; on a mesh of unit width
//! ([`Mesh::unit`]) everything is in cells.

mod arrays;
mod compare;
mod dense;
mod layout;
mod maxwellian;
mod mesh;
mod moments;
mod published;
mod sparse;
mod tensor;

pub use arrays::{DistributionView, Distributions, Place, Velocities};
pub use compare::{Comparison, MomentErrors, ValueErrors};
pub use dense::{Dense, Distribution};
pub use layout::{cell_parts, mesh_extents, Layout};
pub use maxwellian::{non_maxwellianity, BiMaxwellian};
pub use mesh::{BlockBox, Mesh, BLOCK_CELLS, WID};
pub use moments::{entropy, Moments, BOLTZMANN};
pub use published::{PublishedPressure, PublishedStatistics};
pub use sparse::Sparse;
pub use tensor::{Gyrotropic, Tensor};

use crate::bits::Sum;

/// The sum of `terms`, compensated.
fn sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms.into_iter().collect::<Sum>().value()
}
