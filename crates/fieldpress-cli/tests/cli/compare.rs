//! `compare`.
