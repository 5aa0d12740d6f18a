//! L1: linear algebra of small dense matrices.

mod eigen;
mod lbfgs;
mod solve;

pub use eigen::eigenvectors;
pub use lbfgs::{Lbfgs, Minimum};
pub use solve::solve_definite;
