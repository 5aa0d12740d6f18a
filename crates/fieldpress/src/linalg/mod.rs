//! L1: linear algebra of small dense matrices.

mod cholesky;
mod eigen;
mod solve;

pub use cholesky::Cholesky;
pub use eigen::eigenvectors;
pub use solve::solve_definite;
