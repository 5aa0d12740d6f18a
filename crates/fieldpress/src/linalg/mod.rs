//! L1: linear algebra of small dense matrices.

mod cholesky;
mod eigen;

pub use cholesky::Cholesky;
pub use eigen::eigenvectors;
