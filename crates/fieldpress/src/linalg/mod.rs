//! L1: linear algebra of small dense matrices.

mod eigen;

pub use eigen::eigenvectors;
