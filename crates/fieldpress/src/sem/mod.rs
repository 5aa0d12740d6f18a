//! L1: spectral elements: points and bases on the reference element, meshes, and what they share.
//!
//! An element of order `N` has `n = N + 1` Gauss-Lobatto-Legendre points along each axis; arrays are `[elements, z, y, x]`, in two dimensions
//! `[elements, y, x]`, the last axis fastest.

mod basis;
mod boxes;
mod coder;
mod coding;
mod flow;
mod geometry;
mod gll;
mod groups;
mod modes;
mod norm;
mod tensor;
#[cfg(test)]
pub(crate) mod testing;
mod topology;
mod traces;

pub use basis::{Basis, Ends};
pub use boxes::ElementBox;
pub use coder::{analyse, Elements, Keep, Weights};
pub use coding::Coding;
pub use flow::{Derived, FlowErrors};
pub use geometry::{corner_volumes, extents, Geometry};
pub use gll::{Gll, MAX_POINTS, MIN_POINTS};
pub use groups::Groups;
pub use norm::{Integrals, Norm, OnElements};
pub use tensor::{resample, Matrix, Tensor};
pub use topology::{Topology, Vertices};
