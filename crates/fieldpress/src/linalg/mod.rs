//! L1: linear algebra of small dense matrices.

mod eigen;
mod solve;

pub use eigen::eigenvectors;
pub use solve::solve_definite;
